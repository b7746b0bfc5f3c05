"""An ordinary recurrent network: no dropout, no variances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fdrnn.model.settings import Hyperparameters
from fdrnn.model.variants.base import Symbols, Variant, typical

if TYPE_CHECKING:
    from fdrnn.model.moments import Expression


@dataclass(frozen=True, kw_only=True)
class Plain(Variant):
    """h_t = tanh(x_t W_in + h_{t-1} W_rec + b_h), y_t = sig(h_t W_out + b_y)."""

    state: ClassVar[tuple[str, ...]] = ("mean",)
    n_products: ClassVar[int] = 1

    def nll(
        self,
        symbols: Symbols,
        state: tuple[Expression, ...],
        noise: Mapping[str, Expression] | None,
    ) -> tuple[Expression, tuple[Expression, ...]]:
        """Run both layers without rates."""
        hidden, no_variance = self.hidden(symbols, state, symbols.x)
        return self.output(symbols, hidden, no_variance), (hidden,)

    def hidden(
        self, symbols: Symbols, state: tuple[Expression, ...], x: Expression
    ) -> tuple[Expression, Expression]:
        """Build the recurrent layer: its state, and the empty variance that goes with it."""
        from fdrnn.model.ops import RecurrentLayer

        p, one = symbols.parameters, self._one(symbols)
        hidden, no_variance, *_ = RecurrentLayer("plain")(
            x, symbols.n_rows, *state, symbols.zeros,
            p["W_in"], p["W_rec"], p["b_h"], one, one, one,
        )  # fmt: skip
        return hidden, no_variance

    def output(self, symbols: Symbols, hidden: Expression, no_variance: Expression) -> Expression:
        """Build the ordinary output layer: NLL of each row."""
        from fdrnn.model.ops import BernoulliOutput
        from fdrnn.model.toolchain import theano

        p = symbols.parameters
        off = theano.tensor.constant(0, dtype="int8")
        nll, *_ = BernoulliOutput()(
            hidden, no_variance, p["W_out"], p["b_y"], symbols.target, self._one(symbols), off
        )
        return nll

    @staticmethod
    def _one(symbols: Symbols) -> Expression:
        from fdrnn.model.toolchain import theano

        return theano.tensor.constant(1, dtype=symbols.x.dtype)


VARIANT = Plain(name="plain", title="plain RNN", typical=typical(Hyperparameters))
