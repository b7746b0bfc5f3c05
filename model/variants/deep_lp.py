r"""A deep transition whose state passes a layer of Lp units to the output: ``deep_output_lp``.

Of L layers the first L - 1 are a deep transition (see `fdrnn.model.variants.deep`), and the last
has Lp units (Gulcehre et al. 2013), each of which pools P linear projections of the state,

.. math::

    u_j = \Big( \frac{1}{P} \sum_{k=1}^{P} |a_{jk}|^{p_j} \Big)^{1 / p_j}, \qquad
    a = h W_{pool} + b_{pool}, \qquad p_j = 1 + \log(1 + e^{\rho_j}),

where the p_j are learned, and the paper's centres are the biases. Pascanu et al. 2013 reached their
best numbers on music by a DOT(S)-RNN with Lp units. Decided here: all p_j begin at 3, and each of
the P matrices is drawn like W_rec. The moments of such a unit have no closed form, so that there is
no variant with fast dropout.

References
----------
Gulcehre, Cho, Pascanu and Bengio 2013, *Learned-norm pooling for deep feedforward and recurrent
neural networks*.
Pascanu, Gulcehre, Cho and Bengio 2013, *How to construct deep recurrent neural networks*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdrnn.model.activations import FinalLayer
from fdrnn.model.settings import require, require_count
from fdrnn.model.variants.base import Built, Noise, State, Symbols, by_name, typical
from fdrnn.model.variants.deep import Deep, DeepHyperparameters
from fdrnn.model.variants.plain import ordinary

if TYPE_CHECKING:
    from fdrnn.model.initialization import Parameters

INITIAL_EXPONENT = 3.0
"""Initial p of every unit."""

_STREAM = 9
"""Spawn key of the matrices of W_pool."""


@dataclass(frozen=True, kw_only=True)
class LpHyperparameters(DeepHyperparameters):
    """`DeepHyperparameters` with at least two layers, and the size of a pool.

    Attributes
    ----------
    n_pooled
        Linear projections that each Lp unit pools, P, at least 1.
    """

    n_pooled: int

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = "at least 2, of which the last has Lp units"
        require(self.n_layers >= 2, "n_layers", self.n_layers, rule)
        require_count("n_pooled", self.n_pooled, 1)

    @property
    def of_transition(self) -> DeepHyperparameters:
        """Hyperparameters of the deep transition below the Lp units."""
        values = {field.name: getattr(self, field.name) for field in fields(DeepHyperparameters)}
        return DeepHyperparameters(**values | {"n_layers": self.n_layers - 1})


@dataclass(frozen=True, kw_only=True)
class LpDeepOutput(Deep):
    """A deep transition without dropout, Lp units, and an ordinary output layer."""

    transition: bool = True

    parameter_axes: ClassVar[Mapping[str, int]] = {
        **Deep.parameter_axes, "W_pool": 2, "b_pool": 1, "rho_pool": 1
    }  # fmt: skip

    def n_matrices(self, hyperparameters: LpHyperparameters) -> int:
        """Count the matrices between hidden units."""
        return super().n_matrices(hyperparameters.of_transition) + hyperparameters.n_pooled

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, n_outputs: int, init_scale: str, seed: int
    ) -> Parameters:
        """Draw the parameters of a deep transition, and W_pool; b_pool starts at 0."""
        from fdrnn.model.initialization import recurrent_matrices

        drawn = super().initial_parameters(
            hyperparameters.of_transition, n_features, n_outputs, init_scale, seed
        )
        n_pooled, n_hidden = hyperparameters.n_pooled, hyperparameters.n_hidden
        streams = np.random.SeedSequence(seed, spawn_key=(_STREAM,))
        matrices = recurrent_matrices(hyperparameters, init_scale, streams, n_pooled)
        further = {
            "W_pool": np.concatenate(matrices, axis=1),
            "b_pool": np.zeros(n_pooled * n_hidden),
            "rho_pool": np.full(n_hidden, math.log(math.expm1(INITIAL_EXPONENT - 1.0))),
        }
        return drawn | {name: value.astype(np.float32) for name, value in further.items()}

    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
        """Run all layers."""
        from fdrnn.model.ops import LpUnits, softplus
        from fdrnn.model.toolchain import theano

        p, zeros = symbols.parameters, symbols.zeros
        h, _, after = self.without_rates(symbols, state)
        projections, _ = FinalLayer(h, zeros, p["W_pool"], p["b_pool"]).affine()
        one = theano.tensor.constant(1, dtype=symbols.x.dtype)
        units = LpUnits()(projections, one + softplus(p["rho_pool"]))
        return ordinary(symbols, units, zeros), after


VARIANTS = by_name(
    LpDeepOutput(
        name="deep_output_lp",
        title="DOT(S)-RNN, Lp units",
        typical=typical(LpHyperparameters, n_layers=3, n_pooled=2),
        plain="deep_output_lp",
    ),
)
