"""Fast dropout by Gaussian approximation, and its other cells.

``fast_dropout`` has the paper's equations. ``authors_cell`` has two quirks of the authors'
library: its recurrent mean took the drop rate for p_keep (the variance did not), and its tanh was
2 sig(a) - 1 = tanh(a / 2); ``authors_mean`` has the first alone, so that the two can be separated.
``separate_factors`` has the factors of mean and variance as two hyperparameters.
``authors_cell_learned_state`` also learns the deviation of the first hidden state, as the first
author's later code does.
``fast_dropout_wang_manning`` has the variance of Wang and Manning 2013 (the paper's footnote 1),
V[a] = p_keep (1 - p_keep) mean^2 W^2, which ignores the variances of the incoming units; with all
rates 0 it is an ordinary network. ``rectifier`` has rectified linear units, whose moments are
exact (Wang and Manning 2013), and which the paper left out because learning was unstable; with all
rates 0 none has a variance, and it is an ordinary rectifier network. ``fast_dropout_sampled``
draws each pre-synaptic activation once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdrnn.model.activations import FinalLayer
from fdrnn.model.randomness import standard_normal
from fdrnn.model.settings import (
    DropoutHyperparameters,
    FastDropoutHyperparameters,
    require_positive,
)
from fdrnn.model.variants.base import (
    PARAMETER_AXES,
    Built,
    Noise,
    State,
    Symbols,
    V,
    Variant,
    by_name,
    typical,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.initialization import Parameters
    from fdrnn.model.moments import Expression
    from fdrnn.model.packing import PackedChunks

INITIAL_DEVIATION = 0.1
"""Initial s0 of `LearnedState`; at 0 its gradient would be 0."""

KEEP_RATES: Mapping[str, str] = {
    "p_keep_input": "float32",
    "p_keep_hidden": "float32",
    "p_keep_output": "float32",
    "fast_dropout_final_layer": "int8",
}
"""Names and dtypes of the scalars that every variant with fast dropout has."""


def keep_rates(hyperparameters: DropoutHyperparameters) -> dict[str, float]:
    """Return keep rates, 1 - dropout rate, and the switch of the final layer."""
    return {
        "p_keep_input": 1.0 - hyperparameters.dropout_input,
        "p_keep_hidden": 1.0 - hyperparameters.dropout_hidden_to_hidden,
        "p_keep_output": 1.0 - (hyperparameters.dropout_hidden_to_output or 0.0),
        "fast_dropout_final_layer": hyperparameters.fast_dropout_final_layer,
    }


def final_layer(
    symbols: Symbols, mean: Expression, variance: Expression, noise: Expression | None = None
) -> FinalLayer:
    """Return the output layer with fast dropout, sampled where it is given noise."""
    p, rates = symbols.parameters, symbols.scalars
    return FinalLayer(
        mean, variance, p["W_out"], p["b_y"],
        rates["p_keep_output"], rates["fast_dropout_final_layer"], noise,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FastDropout(Variant):
    """Moments of every unit, in training and test alike (equations 1 and 2).

    All rates 0 alone do not make an ordinary network of it: the approximate variance of tanh is
    up to 0.108 where its input has none (see `fdrnn.model.moments`), so that hidden units pass
    variances on, which flatten the next step's tanh and the output's sigmoid. At initial weights
    for JSB Chorales, the validation NLL without rates and that of the plain network are 34.38 and
    34.33 nats (sigma^2 of W_rec and W_out 0.0001, of W_in 0.01), 37.8 and 36.7 (both 0.01), 59.9
    and 73.9 (both 0.1). ``fast_dropout_wang_manning`` without rates is the plain network.

    Attributes
    ----------
    cell
        What a unit computes; see `fdrnn.model.ops.RecurrentLayer`.
    input_scale
        s of the transfer function 2 sig(s a) - 1: 2 is tanh.
    drop_rate_scales_mean
        Whether the recurrent mean is multiplied by the drop rate instead of p_keep.
    """

    cell: str = "moments"
    input_scale: float = 2.0
    drop_rate_scales_mean: bool = False

    decomposes: ClassVar[bool] = True
    scalars: ClassVar[Mapping[str, str]] = {**KEEP_RATES, "mean_factor": "float32"}

    def scalar_values(
        self, hyperparameters: FastDropoutHyperparameters, n_steps: float
    ) -> Mapping[str, float]:
        """Return keep rates, the switch of the final layer and the factor on the mean."""
        rates, rate = keep_rates(hyperparameters), hyperparameters.dropout_hidden_to_hidden
        factor = rate if self.drop_rate_scales_mean else rates["p_keep_hidden"]
        return {**rates, "mean_factor": factor}

    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
        """Propagate moments through both layers."""
        return self.layers(symbols, state, self.cell)

    def layers(
        self,
        symbols: Symbols,
        state: State,
        cell: str,
        hidden_noise: Expression | None = None,
        output_noise: Expression | None = None,
    ) -> Built:
        """Build both layers, the output layer sampled where it is given noise."""
        from fdrnn.model.ops import RecurrentLayer

        p, scalars = symbols.parameters, symbols.scalars
        mean, variance, *_ = RecurrentLayer(cell, self.input_scale)(
            symbols.x, symbols.n_rows, *state, p["W_in"], p["W_rec"], p["b_h"],
            scalars["p_keep_input"], scalars["p_keep_hidden"], scalars["mean_factor"],
            hidden_noise,
        )  # fmt: skip
        return final_layer(symbols, mean, variance, output_noise), (mean, variance)


@dataclass(frozen=True, kw_only=True)
class FactorHyperparameters(FastDropoutHyperparameters):
    """Table 2 in full, and the factor on the recurrent mean.

    Attributes
    ----------
    mean_factor
        Factor on the recurrent mean in equation 1, from 1e-30 to 1, in place of p_keep. The
        variance in equation 2 keeps p_keep = 1 - `dropout_hidden_to_hidden`.
    """

    mean_factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("mean_factor", self.mean_factor, largest=1.0)


@dataclass(frozen=True, kw_only=True)
class SeparateFactors(FastDropout):
    """E[a] = (f mean) W + b, V[a] as in equation 2: f = p_keep is ``fast_dropout``.

    The authors' cell has f = 1 - p_keep: with the mean's share that p_keep = f would give, it
    passes (1 - f) / f times as much of the incoming variance on.
    """

    def scalar_values(self, hyperparameters: Any, n_steps: float) -> Mapping[str, float]:
        """Return keep rates, the switch of the final layer and the factor on the mean."""
        return {**keep_rates(hyperparameters), "mean_factor": hyperparameters.mean_factor}


@dataclass(frozen=True, kw_only=True)
class LearnedState(FastDropout):
    """The first hidden state has a variance s0^2; s0 is trained like its mean h0."""

    parameter_axes: ClassVar[Mapping[str, int]] = {**PARAMETER_AXES, "s0": 2}

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, n_outputs: int, init_scale: str, seed: int
    ) -> Parameters:
        """Draw the parameters of `FastDropout`; s0 starts at `INITIAL_DEVIATION`."""
        drawn = super().initial_parameters(hyperparameters, n_features, n_outputs, init_scale, seed)
        return drawn | {"s0": np.full_like(drawn["h0"], INITIAL_DEVIATION)}

    def initial_state(self, parameters: Mapping[str, V], zeros: V) -> tuple[V, ...]:
        """Return h0 and s0^2."""
        deviation: Any = parameters["s0"]
        return (parameters["h0"], deviation * deviation)


@dataclass(frozen=True, kw_only=True)
class SampledFastDropout(FastDropout):
    """Training by a = E[a] + s sqrt(V[a]), s ~ N(0, 1) for each unit, step and chunk.

    What was drawn has no variance left, so V[a] = p_keep (1 - p_keep) x^2 W^2. The gradient is
    the pathwise one, whose part through V[a] is delta s c_i w_i / sqrt(V[a]),
    c_i = p_keep (1 - p_keep) x_i^2 (the paper's equation 4 is that of a single incoming weight);
    its mean over s is 0 where delta does not depend on s. The output layer is sampled likewise
    if it uses fast dropout. With all rates 0 this is an ordinary network, draws or not.

    Validation and test use the Gaussian approximation, the pass of ``fast_dropout``, which needs
    no draws.
    """

    noise: ClassVar[Mapping[str, tuple[str, int]]] = {
        "hidden": ("float32", 2),
        "output": ("float32", 2),
    }

    def draw(
        self,
        rng: np.random.Generator,
        batch: PackedChunks,
        n_outputs: int,
        hyperparameters: FastDropoutHyperparameters,
    ) -> Mapping[str, npt.NDArray[np.float32]]:
        """Draw s of every hidden and every output unit."""
        return {
            name: standard_normal(rng, (len(batch.x), width))
            for name, width in (("hidden", hyperparameters.n_hidden), ("output", n_outputs))
        }

    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
        """Draw activations in training, propagate moments in validation and test."""
        if noise is None:
            return self.layers(symbols, state, self.cell)
        return self.layers(symbols, state, "sampled", noise["hidden"], noise["output"])


_RATES: Mapping[str, Any] = {
    "dropout_input": 0.1,
    "dropout_hidden_to_hidden": 0.5,
    "fast_dropout_final_layer": True,
    "dropout_hidden_to_output": 0.2,
}
TYPICAL = typical(FastDropoutHyperparameters, **_RATES)

VARIANTS = by_name(
    FastDropout(name="fast_dropout", title="FD-RNN", typical=TYPICAL),
    FastDropout(
        name="authors_cell",
        title="FD-RNN, authors' cell",
        typical=TYPICAL,
        input_scale=1.0,
        drop_rate_scales_mean=True,
    ),
    FastDropout(
        name="authors_mean",
        title="FD-RNN, authors' mean",
        typical=TYPICAL,
        drop_rate_scales_mean=True,
    ),
    SeparateFactors(
        name="separate_factors",
        title="FD-RNN, separate factors",
        typical=typical(FactorHyperparameters, **_RATES, mean_factor=0.2),
    ),
    LearnedState(
        name="authors_cell_learned_state",
        title="FD-RNN, authors' cell, learned state",
        typical=TYPICAL,
        input_scale=1.0,
        drop_rate_scales_mean=True,
    ),
    FastDropout(
        name="fast_dropout_wang_manning",
        title="FD-RNN, Wang & Manning's variance",
        typical=TYPICAL,
        cell="dropout_variance",
    ),
    FastDropout(name="rectifier", title="FD-RNN, rectifier", typical=TYPICAL, cell="rectifier"),
    SampledFastDropout(name="fast_dropout_sampled", title="FD-RNN, sampled", typical=TYPICAL),
)
