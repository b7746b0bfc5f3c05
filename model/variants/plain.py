"""An ordinary recurrent network: no dropout, no variances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fdrnn.model.activations import Activations, FinalLayer
from fdrnn.model.settings import Hyperparameters
from fdrnn.model.variants.base import Symbols, Variant, typical

if TYPE_CHECKING:
    from fdrnn.model.moments import Expression


@dataclass(frozen=True, kw_only=True)
class Plain(Variant):
    """h_t = tanh(x_t W_in + h_{t-1} W_rec + b_h), a_t = h_t W_out + b_y."""

    state: ClassVar[tuple[str, ...]] = ("mean",)
    n_products: ClassVar[int] = 1

    def activations(
        self,
        symbols: Symbols,
        state: tuple[Expression, ...],
        noise: Mapping[str, Expression] | None,
    ) -> tuple[Activations | FinalLayer, tuple[Expression, ...]]:
        """Run both layers without rates."""
        hidden, no_variance = self.hidden(symbols, state, symbols.x)
        return ordinary(symbols, hidden, no_variance), (hidden,)

    def hidden(
        self, symbols: Symbols, state: tuple[Expression, ...], x: Expression
    ) -> tuple[Expression, Expression]:
        """Build the recurrent layer: its state, and the empty variance that goes with it."""
        from fdrnn.model.ops import RecurrentLayer
        from fdrnn.model.toolchain import theano

        p, one = symbols.parameters, theano.tensor.constant(1, dtype=symbols.x.dtype)
        hidden, no_variance, *_ = RecurrentLayer("plain")(
            x, symbols.n_rows, *state, symbols.zeros,
            p["W_in"], p["W_rec"], p["b_h"], one, one, one,
        )  # fmt: skip
        return hidden, no_variance


def ordinary(symbols: Symbols, hidden: Expression, no_variance: Expression) -> FinalLayer:
    """Return the output layer without rates."""
    p = symbols.parameters
    return FinalLayer(hidden, no_variance, p["W_out"], p["b_y"])


VARIANT = Plain(name="plain", title="plain RNN", typical=typical(Hyperparameters))
