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
        """Run the layers without rates."""
        from fdrnn.model.ops import BernoulliOutput, RecurrentLayer
        from fdrnn.model.toolchain import theano

        p = symbols.parameters
        one = theano.tensor.constant(1, dtype="float32")
        no = theano.tensor.constant(0, dtype="int8")
        mean, no_variance, *_ = RecurrentLayer("plain")(
            symbols.x,
            symbols.n_rows,
            *state,
            symbols.zeros,
            p["W_in"],
            p["W_rec"],
            p["b_h"],
            one,
            one,
            one,
        )
        nll, *_ = BernoulliOutput()(
            mean, no_variance, p["W_out"], p["b_y"], symbols.target, one, no
        )
        return nll, (mean,)


VARIANT = Plain(name="plain", title="plain RNN", typical=typical(Hyperparameters))
