"""Fast dropout by Gaussian approximation: the paper's equations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fdrnn.model.activations import Activations, FinalLayer
from fdrnn.model.settings import FastDropoutHyperparameters
from fdrnn.model.variants.base import Symbols, Variant, typical

if TYPE_CHECKING:
    from fdrnn.model.moments import Expression

TYPICAL = typical(
    FastDropoutHyperparameters,
    dropout_input=0.1,
    dropout_hidden_to_hidden=0.5,
    fast_dropout_final_layer=True,
    dropout_hidden_to_output=0.2,
)


@dataclass(frozen=True, kw_only=True)
class FastDropout(Variant):
    """Moments of every unit, in training and test alike (equations 1 and 2).

    All rates 0 alone do not make an ordinary network of it: the approximate variance of tanh is
    up to 0.108 where its input has none (see `fdrnn.model.moments`), so that hidden units pass
    variances on, which flatten the next step's tanh and the output's sigmoid. At initial weights
    for JSB Chorales, the validation NLL without rates and that of the plain network are 34.38 and
    34.33 nats (sigma^2 of W_rec and W_out 0.0001, of W_in 0.01), 37.8 and 36.7 (both 0.01), 59.9
    and 73.9 (both 0.1). `fast_dropout_wang_manning` without rates is the plain network.

    Attributes
    ----------
    cell
        What a unit computes; see `fdrnn.model.ops.RecurrentLayer`.
    input_scale
        s of the transfer function 2 sig(s a) - 1: 2 is tanh.
    drop_rate_scales_mean
        Whether the recurrent mean is multiplied by the drop rate in the place of p_keep.
    """

    cell: str = "moments"
    input_scale: float = 2.0
    drop_rate_scales_mean: bool = False

    decomposes: ClassVar[bool] = True
    scalars: ClassVar[Mapping[str, str]] = {
        "p_keep_input": "float32",
        "p_keep_hidden": "float32",
        "mean_factor": "float32",
        "p_keep_output": "float32",
        "fast_dropout_final_layer": "int8",
    }

    def scalar_values(
        self, hyperparameters: FastDropoutHyperparameters, n_steps: float
    ) -> Mapping[str, float]:
        """Return keep rates, 1 - dropout rate, and the switch of the final layer."""
        p_keep_hidden = 1.0 - hyperparameters.dropout_hidden_to_hidden
        return {
            "p_keep_input": 1.0 - hyperparameters.dropout_input,
            "p_keep_hidden": p_keep_hidden,
            "mean_factor": hyperparameters.dropout_hidden_to_hidden
            if self.drop_rate_scales_mean
            else p_keep_hidden,
            "p_keep_output": 1.0 - (hyperparameters.dropout_hidden_to_output or 0.0),
            "fast_dropout_final_layer": hyperparameters.fast_dropout_final_layer,
        }

    def activations(
        self,
        symbols: Symbols,
        state: tuple[Expression, ...],
        noise: Mapping[str, Expression] | None,
    ) -> tuple[Activations | FinalLayer, tuple[Expression, ...]]:
        """Propagate moments through both layers."""
        return self.layers(symbols, state, self.cell)

    def layers(
        self,
        symbols: Symbols,
        state: tuple[Expression, ...],
        cell: str,
        hidden_noise: Expression | None = None,
        output_noise: Expression | None = None,
    ) -> tuple[FinalLayer, tuple[Expression, ...]]:
        """Build both layers, the output layer sampled where it is given noise."""
        from fdrnn.model.ops import RecurrentLayer

        p, scalars = symbols.parameters, symbols.scalars
        mean, variance, *_ = RecurrentLayer(cell, self.input_scale)(
            symbols.x,
            symbols.n_rows,
            *state,
            p["W_in"],
            p["W_rec"],
            p["b_h"],
            scalars["p_keep_input"],
            scalars["p_keep_hidden"],
            scalars["mean_factor"],
            hidden_noise,
        )
        layer = FinalLayer(
            mean,
            variance,
            p["W_out"],
            p["b_y"],
            scalars["p_keep_output"],
            scalars["fast_dropout_final_layer"],
            output_noise,
        )
        return layer, (mean, variance)


VARIANT = FastDropout(name="fast_dropout", title="FD-RNN", typical=TYPICAL)
