"""Networks without dropout and variances: ``plain``, ``weight_decay``, ``echo_state``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fdrnn.model.activations import FinalLayer
from fdrnn.model.settings import Hyperparameters, require_positive
from fdrnn.model.variants.base import Built, Noise, State, Symbols, Variant, by_name, typical

if TYPE_CHECKING:
    from fdrnn.model.moments import Expression


@dataclass(frozen=True, kw_only=True)
class Plain(Variant):
    """h_t = tanh(x_t W_in + h_{t-1} W_rec + b_h), a_t = h_t W_out + b_y."""

    state: ClassVar[tuple[str, ...]] = ("mean",)
    n_products: ClassVar[int] = 1

    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
        """Run both layers without rates."""
        hidden, no_variance = self.hidden(symbols, state, symbols.x)
        return ordinary(symbols, hidden, no_variance), (hidden,)

    def hidden(
        self, symbols: Symbols, state: State, x: Expression
    ) -> tuple[Expression, Expression]:
        """Build the recurrent layer's state, and the empty variance that goes with it."""
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


@dataclass(frozen=True, kw_only=True)
class WeightDecayHyperparameters(Hyperparameters):
    """`Hyperparameters` and the coefficient of the penalty.

    Attributes
    ----------
    weight_decay
        lambda, from 1e-30 to 1e38: the loss is the NLL in nats per predicted step plus
        lambda times the sum of the squared weights.
    """

    weight_decay: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("weight_decay", self.weight_decay)


@dataclass(frozen=True, kw_only=True)
class WeightDecay(Plain):
    """R_wd = lambda (|W_in|^2 + |W_rec|^2 + |W_out|^2), gradient 2 lambda w (section 2.2.2).

    Biases and h0 are not penalised, as is usual: they do not scale their inputs.
    """

    scalars: ClassVar[Mapping[str, str]] = {"weight_decay": "float32"}

    def scalar_values(
        self, hyperparameters: WeightDecayHyperparameters, n_steps: float
    ) -> Mapping[str, float]:
        """Return lambda."""
        return {"weight_decay": hyperparameters.weight_decay}

    def penalty(self, symbols: Symbols) -> Expression:
        """Build R_wd."""
        squares = [(symbols.parameters[name] ** 2).sum() for name in ("W_in", "W_rec", "W_out")]
        return symbols.scalars["weight_decay"] * sum(squares)


@dataclass(frozen=True, kw_only=True)
class EchoState(Plain):
    """Only the output layer is trained, on a recurrent layer as it is drawn (Jaeger 2003)."""

    untrained: ClassVar[frozenset[str]] = frozenset({"W_in", "W_rec", "b_h", "h0"})


PLAIN = Plain(name="plain", title="plain RNN", typical=typical(Hyperparameters))

VARIANTS = by_name(
    PLAIN,
    WeightDecay(
        name="weight_decay",
        title="RNN, weight decay",
        typical=typical(WeightDecayHyperparameters, weight_decay=0.0001),
    ),
    EchoState(name="echo_state", title="echo state network", typical=typical(Hyperparameters)),
)
