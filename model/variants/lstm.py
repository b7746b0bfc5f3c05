"""The LSTM, with which the paper's introduction compares recurrent networks.

With a forget gate and without peepholes; its equations stand in `fdrnn.model.ops.lstm`. It has no
single recurrent matrix to be made sparse or rescaled, so neither nu nor a spectral radius.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdrnn.model.settings import CommonHyperparameters
from fdrnn.model.variants.base import PARAMETER_AXES, Symbols, V, Variant
from fdrnn.model.variants.plain import ordinary

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.activations import Activations, FinalLayer
    from fdrnn.model.initialization import Parameters
    from fdrnn.model.moments import Expression

FORGET_BIAS = 1.0
"""Initial bias of the forget gates; those of the others are 0.

Positive so that cells remember at first, after Gers, Schmidhuber and Cummins 2000, *Learning to
forget*; 1 after Jozefowicz, Zaremba and Sutskever 2015, *An empirical exploration of recurrent
network architectures*.
"""


@dataclass(frozen=True, kw_only=True)
class Lstm(Variant):
    """LSTM layer and ordinary output layer."""

    parameter_axes: ClassVar[Mapping[str, int]] = {**PARAMETER_AXES, "c0": 2}
    state: ClassVar[tuple[str, ...]] = ("mean", "cell_mean")
    n_products: ClassVar[int] = 1
    n_gates: ClassVar[int] = 4

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, init_scale: str, seed: int
    ) -> Parameters:
        """Draw W_in, W_rec and W_out as normal, of the four gates alike.

        The forget gates' bias is `FORGET_BIAS`, the others' 0, b_y = -0.8; the trained initial
        state h0, c0 starts at 0.
        """
        from fdrnn.model.initialization import OUTPUT_BIAS, deviation

        n_hidden = hyperparameters.n_hidden
        streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)]
        recurrent, inputs, outputs = streams
        of_rec_out = deviation(hyperparameters.sigma2_rec_out, init_scale)
        of_in = deviation(hyperparameters.sigma2_in, init_scale)
        bias = np.zeros(4 * n_hidden)
        bias[n_hidden : 2 * n_hidden] = FORGET_BIAS
        drawn = {
            "W_in": inputs.normal(0.0, of_in, (n_features, 4 * n_hidden)),
            "W_rec": recurrent.normal(0.0, of_rec_out, (n_hidden, 4 * n_hidden)),
            "b_h": bias,
            "h0": np.zeros((1, n_hidden)),
            "c0": np.zeros((1, n_hidden)),
            "W_out": outputs.normal(0.0, of_rec_out, (n_hidden, n_features)),
            "b_y": np.full(n_features, OUTPUT_BIAS),
        }
        return {name: value.astype(np.float32) for name, value in drawn.items()}

    def recurrent_weights(self, parameters: Parameters) -> npt.NDArray[np.float32]:
        """Return the candidate's: what stands where an ordinary network has W_rec."""
        W = parameters["W_rec"]
        return W[:, 3 * len(W) :]

    def initial_state(self, parameters: Mapping[str, V], zeros: V) -> tuple[V, ...]:
        """Return h0 and c0."""
        return parameters["h0"], parameters["c0"]

    def activations(
        self,
        symbols: Symbols,
        state: tuple[Expression, ...],
        noise: Mapping[str, Expression] | None,
    ) -> tuple[Activations | FinalLayer, tuple[Expression, ...]]:
        """Run the layers without rates."""
        from fdrnn.model.ops import LstmLayer
        from fdrnn.model.toolchain import theano

        p, zeros = symbols.parameters, symbols.zeros
        one = theano.tensor.constant(1, dtype=zeros.dtype)
        h, c = state
        mean, no_variance, cell_mean, *_ = LstmLayer(stochastic=False)(
            symbols.x, symbols.n_rows, h, zeros, c, zeros, p["W_in"], p["W_rec"], p["b_h"], one, one
        )
        return ordinary(symbols, mean, no_variance), (mean, cell_mean)


VARIANT = Lstm(
    name="lstm",
    title="LSTM",
    typical=CommonHyperparameters(
        n_hidden=200,
        step_rate=0.001,
        momentum=0.9,
        decay=0.9,
        sigma2_rec_out=0.001,
        sigma2_in=0.01,
    ),
)
