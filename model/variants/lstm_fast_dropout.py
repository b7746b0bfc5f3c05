"""The LSTM with fast dropout: moments through the gates by products of independent variables.

What is taken for independent stands in `fdrnn.model.ops.lstm`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

from fdrnn.model.activations import Activations, FinalLayer
from fdrnn.model.settings import DropoutHyperparameters
from fdrnn.model.variants import lstm
from fdrnn.model.variants.base import Symbols, V

if TYPE_CHECKING:
    from fdrnn.model.moments import Expression


@dataclass(frozen=True, kw_only=True)
class FastDropoutLstm(lstm.Lstm):
    """Means and variances of hidden state and cell, in training and test alike."""

    state: ClassVar[tuple[str, ...]] = ("mean", "variance", "cell_mean", "cell_variance")
    n_products: ClassVar[int] = 2
    decomposes: ClassVar[bool] = True
    scalars: ClassVar[Mapping[str, str]] = {
        "p_keep_input": "float32",
        "p_keep_hidden": "float32",
        "p_keep_output": "float32",
        "fast_dropout_final_layer": "int8",
    }

    def scalar_values(
        self, hyperparameters: DropoutHyperparameters, n_steps: float
    ) -> Mapping[str, float]:
        """Return keep rates, 1 - dropout rate, and the switch of the final layer."""
        return {
            "p_keep_input": 1.0 - hyperparameters.dropout_input,
            "p_keep_hidden": 1.0 - hyperparameters.dropout_hidden_to_hidden,
            "p_keep_output": 1.0 - (hyperparameters.dropout_hidden_to_output or 0.0),
            "fast_dropout_final_layer": hyperparameters.fast_dropout_final_layer,
        }

    def initial_state(self, parameters: Mapping[str, V], zeros: V) -> tuple[V, ...]:
        """Return h0 and c0, both without variance."""
        return parameters["h0"], zeros, parameters["c0"], zeros

    def activations(
        self,
        symbols: Symbols,
        state: tuple[Expression, ...],
        noise: Mapping[str, Expression] | None,
    ) -> tuple[Activations | FinalLayer, tuple[Expression, ...]]:
        """Propagate mean and variance through both layers."""
        from fdrnn.model.ops import LstmLayer

        p, scalars = symbols.parameters, symbols.scalars
        mean, variance, cell_mean, cell_variance, *_ = LstmLayer()(
            symbols.x,
            symbols.n_rows,
            *state,
            p["W_in"],
            p["W_rec"],
            p["b_h"],
            scalars["p_keep_input"],
            scalars["p_keep_hidden"],
        )
        layer = FinalLayer(
            mean,
            variance,
            p["W_out"],
            p["b_y"],
            scalars["p_keep_output"],
            scalars["fast_dropout_final_layer"],
        )
        return layer, (mean, variance, cell_mean, cell_variance)


VARIANT = FastDropoutLstm(
    name="lstm_fast_dropout",
    title="FD-LSTM",
    typical=DropoutHyperparameters(
        **asdict(lstm.VARIANT.typical),
        dropout_input=0.1,
        dropout_hidden_to_hidden=0.2,
        fast_dropout_final_layer=True,
        dropout_hidden_to_output=0.2,
    ),
)
