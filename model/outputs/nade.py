r"""Binary columns that depend on each other: a neural autoregressive distribution estimator (NADE).

The final layer gives the biases of a NADE over the columns of a frame, RNN-NADE: b_v (D) of the
columns and b_h (N) of its hidden units,

.. math::

    a_1 = b_h, \qquad
    P(x_i = 1 \mid x_{<i}) = \mathrm{sig}\big(b_{v,i} + V_i\, \mathrm{sig}(a_i)\big), \qquad
    a_{i+1} = a_i + x_i W_i

with i in the order of ``column_order``. The product of these probabilities is that of the frame
given the past, exactly, and columns drawn one after the other are an exact sample of it.

Where the activations have variances, those of b_h stay with every a_i, because x and W are certain.
With k_i = (1 + pi V[a_i] / 8)^(-1/2), all elementwise,

.. math::

    E[\mathrm{sig}(a_i)] &\approx E_i = \mathrm{sig}(k_i E[a_i]), \qquad
    V[\mathrm{sig}(a_i)] \approx E_i (1 - E_i) (1 - k_i) \\
    E[z_i] &= E[b_{v,i}] + V_i E_i, \qquad
    V[z_i] = V[b_{v,i}] + V_i^2\, V[\mathrm{sig}(a_i)] \\
    P(x_i = 1 \mid x_{<i}) &\approx \mathrm{sig}\big(E[z_i] / \sqrt{1 + \pi V[z_i] / 8}\big)

The mean of the sigmoid is that of `fdrnn.model.moments`. Its variance is not, which is up to 0.027
at V[a] = 0 and would flatten the P of a certain network. This one follows from the same
approximation of the mean, since sig^2 is sig minus its derivative: it is 0 without a variance, so
that a final layer without fast dropout has an ordinary NADE, and its largest error against
numerical integration is 0.013 for variances in [0, 10] (that of `fdrnn.model.moments`: 0.027). P
is a probability distribution of frames in any case.

References
----------
Larochelle and Murray 2011, *The neural autoregressive distribution estimator*.
Boulanger-Lewandowski, Bengio and Vincent 2012, *Modeling temporal dependencies in high-dimensional
sequences*.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import BINARY
from fdrnn.model.activations import FinalLayer
from fdrnn.model.outputs.base import (
    Array,
    ArrayMoments,
    Arrays,
    Built,
    Output,
    OutputHyperparameters,
)
from fdrnn.model.settings import LARGEST_INITIAL, require, require_count, require_positive

if TYPE_CHECKING:
    from fdrnn.model.activations import Moments
    from fdrnn.model.initialization import Parameters
    from fdrnn.model.moments import Expression
    from fdrnn.model.settings import TrainingSettings
    from fdrnn.model.variants.base import Symbols

TO_COLUMNS, FROM_COLUMNS, ORDER = "V_nade", "W_nade", "order_nade"
"""Parameters V and W, shape (D, N), and the indices of the columns in their order, shape (D,)."""

COLUMN_ORDERS = ("ascending", "descending", "shuffled")

_STREAM = 16
"""Spawn key of the output's random numbers; those of the variants are below."""


@dataclass(frozen=True, kw_only=True)
class NadeHyperparameters(OutputHyperparameters):
    """Hyperparameters of NADE.

    Attributes
    ----------
    n_nade
        Hidden units N, at least 1.
    sigma2_nade
        Variance of the initial entries of V and W, from 1e-30 to 1e30.
    column_order
        Order in which columns depend on each other: ``"ascending"``, ``"descending"`` or
        ``"shuffled"``, by the trial's seed.
    """

    n_nade: int
    sigma2_nade: float
    column_order: str = "ascending"

    def __post_init__(self) -> None:
        require_count("n_nade", self.n_nade, 1)
        require_positive("sigma2_nade", self.sigma2_nade, LARGEST_INITIAL)
        order, rule = self.column_order, " or ".join(COLUMN_ORDERS)
        require(order in COLUMN_ORDERS, "column_order", order, rule)


@dataclass(frozen=True, kw_only=True)
class NadeOutput(Output):
    """P(x_i = 1 | x_<i), column by column, from biases that depend on the past."""

    kind: ClassVar[str] = BINARY
    counts_padding: ClassVar[bool] = False
    parameter_axes: ClassVar[Mapping[str, int]] = {TO_COLUMNS: 2, FROM_COLUMNS: 2, ORDER: 1}
    untrained: ClassVar[frozenset[str]] = frozenset({ORDER})

    def n_outputs(self, hyperparameters: NadeHyperparameters, n_features: int) -> int:
        """Return D + N: b_v, then b_h."""
        return n_features + hyperparameters.n_nade

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, settings: TrainingSettings, seed: int
    ) -> Parameters:
        """Draw V, W and a shuffled order; the biases are those of Bernoulli columns, and 0."""
        from fdrnn.model.initialization import deviation

        streams = np.random.SeedSequence(seed, spawn_key=(_STREAM,)).spawn(2)
        weights, columns = (np.random.default_rng(stream) for stream in streams)
        n_nade = hyperparameters.n_nade
        spread = deviation(hyperparameters.sigma2_nade, settings.init_scale)
        order = {
            "ascending": np.arange(n_features),
            "descending": np.arange(n_features)[::-1],
            "shuffled": columns.permutation(n_features),
        }[hyperparameters.column_order]
        drawn = {
            "b_y": np.concatenate([np.full(n_features, settings.output_bias), np.zeros(n_nade)]),
            TO_COLUMNS: weights.normal(0.0, spread, (n_features, n_nade)),
            FROM_COLUMNS: weights.normal(0.0, spread, (n_features, n_nade)),
            ORDER: order,
        }
        return {name: value.astype(np.float32) for name, value in drawn.items()}

    def nll(self, activations: Built, symbols: Symbols, noise: Arrays) -> Expression:
        """Build the NLL of frames, with the moments of an affine layer by one operation."""
        mean, *variance = self.presynaptic(activations, symbols)
        return self.nll_of((mean, variance[0] if variance else None), symbols, noise)

    def presynaptic(self, activations: Built, symbols: Symbols) -> list[Expression]:
        """Build the moments; where an affine layer is ordinary, the variances have no rows."""
        if isinstance(activations, FinalLayer) and activations.noise is None:
            return activations.native()
        return super().presynaptic(activations, symbols)

    def nll_of(self, moments: Moments, symbols: Symbols, noise: Arrays) -> Expression:
        """Build the NLL of frames."""
        from fdrnn.model.ops import Nade

        (mean, variance), p = moments, symbols.parameters
        weights = (p[name] for name in (TO_COLUMNS, FROM_COLUMNS, ORDER))
        return Nade(stochastic=variance is not None)(mean, variance, *weights, symbols.target)[0]

    def expectation(self, moments: ArrayMoments, parameters: Parameters, target: Array) -> Array:
        """Return P(x_i = 1 | x_<i) of every column, x_<i as in the target.

        The probability of a column given the past alone has no closed form.
        """
        return _columns(moments, parameters, lambda column, _: target[:, column])

    def realize(
        self, moments: ArrayMoments, parameters: Parameters, variates: Array
    ) -> npt.NDArray[np.uint8]:
        """Draw column after column."""
        mean, variance = moments
        rows = mean[None], None if variance is None else variance[None]
        frame = np.zeros(len(variates), np.uint8)

        def draw(column: int, probability: Array) -> npt.NDArray[Any]:
            frame[column] = variates[column] < probability[0]
            return frame[column : column + 1]

        _columns(rows, parameters, draw)
        return frame


def _columns(
    moments: ArrayMoments,
    parameters: Parameters,
    value: Callable[[int, Array], npt.NDArray[Any]],
) -> Array:
    """Return P(x_i = 1 | x_<i), (n, D); `value` gives x_i (n,) by column and probability."""
    from scipy.special import expit

    V, W = (parameters[name].astype(np.float64) for name in (TO_COLUMNS, FROM_COLUMNS))
    (mean, variance), n_features = moments, len(V)
    probabilities = np.zeros((len(mean), n_features))
    spread = variance if variance is not None and len(variance) else np.zeros_like(mean)
    a, k = mean[:, n_features:], 1.0 / np.sqrt(1.0 + math.pi / 8 * spread[:, n_features:])
    for column in parameters[ORDER].astype(int):
        h = expit(k * a)
        z = mean[:, column] + h @ V[column]
        v = spread[:, column] + (h * (1.0 - h) * (1.0 - k)) @ V[column] ** 2
        probabilities[:, column] = expit(z / np.sqrt(1.0 + math.pi / 8 * v))
        x = value(column, probabilities[:, column])
        a = a + x[:, None] * W[column]
    return probabilities


OUTPUT = NadeOutput(
    name="nade", title="NADE", typical=NadeHyperparameters(n_nade=100, sigma2_nade=0.001)
)
