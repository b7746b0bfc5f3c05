"""The LSTM, with which the paper's introduction compares recurrent networks, and with fast dropout.

With a forget gate and without peepholes; `fdrnn.model.ops.lstm` has its equations, and what
``lstm_fast_dropout`` takes for independent. It has no single recurrent matrix to be made sparse or
rescaled, so neither nu nor a spectral radius.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdrnn.model.settings import CommonHyperparameters, DropoutHyperparameters
from fdrnn.model.variants.base import (
    PARAMETER_AXES,
    TYPICAL,
    Built,
    Noise,
    State,
    Symbols,
    V,
    Variant,
    by_name,
)
from fdrnn.model.variants.fast_dropout import KEEP_RATES, final_layer, keep_rates
from fdrnn.model.variants.plain import ordinary

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.initialization import Parameters

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
        self, hyperparameters: Any, n_features: int, n_outputs: int, init_scale: str, seed: int
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
            "W_out": outputs.normal(0.0, of_rec_out, (n_hidden, n_outputs)),
            "b_y": np.full(n_outputs, OUTPUT_BIAS),
        }
        return {name: value.astype(np.float32) for name, value in drawn.items()}

    def recurrent_weights(self, parameters: Parameters) -> npt.NDArray[np.float32]:
        """Return the candidate's matrix, which corresponds to W_rec of an ordinary network."""
        W = parameters["W_rec"]
        return W[:, 3 * len(W) :]

    def initial_state(self, parameters: Mapping[str, V], zeros: V) -> tuple[V, ...]:
        """Return h0 and c0."""
        return parameters["h0"], parameters["c0"]

    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
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


@dataclass(frozen=True, kw_only=True)
class FastDropoutLstm(Lstm):
    """Means and variances of hidden state and cell, in training and test alike."""

    state: ClassVar[tuple[str, ...]] = ("mean", "variance", "cell_mean", "cell_variance")
    n_products: ClassVar[int] = 2
    decomposes: ClassVar[bool] = True
    scalars: ClassVar[Mapping[str, str]] = KEEP_RATES

    def scalar_values(
        self, hyperparameters: DropoutHyperparameters, n_steps: float
    ) -> Mapping[str, float]:
        """Return keep rates, 1 - dropout rate, and the switch of the final layer."""
        return keep_rates(hyperparameters)

    def initial_state(self, parameters: Mapping[str, V], zeros: V) -> tuple[V, ...]:
        """Return h0 and c0, both without variance."""
        return parameters["h0"], zeros, parameters["c0"], zeros

    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
        """Propagate mean and variance through both layers."""
        from fdrnn.model.ops import LstmLayer

        p, scalars = symbols.parameters, symbols.scalars
        mean, variance, cell_mean, cell_variance, *_ = LstmLayer()(
            symbols.x, symbols.n_rows, *state, p["W_in"], p["W_rec"], p["b_h"],
            scalars["p_keep_input"], scalars["p_keep_hidden"],
        )  # fmt: skip
        state = (mean, variance, cell_mean, cell_variance)
        return final_layer(symbols, mean, variance), state


VARIANTS = by_name(
    Lstm(
        name="lstm",
        title="LSTM",
        typical=CommonHyperparameters(n_hidden=200, **TYPICAL),
        plain="lstm",
    ),
    FastDropoutLstm(
        name="lstm_fast_dropout",
        title="FD-LSTM",
        typical=DropoutHyperparameters(
            n_hidden=200,
            **TYPICAL,
            dropout_input=0.1,
            dropout_hidden_to_hidden=0.2,
            fast_dropout_final_layer=True,
            dropout_hidden_to_output=0.2,
        ),
        plain="lstm",
    ),
)
