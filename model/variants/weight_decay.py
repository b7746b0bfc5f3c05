"""An ordinary network with an L2 penalty on its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fdrnn.model.settings import Hyperparameters, require_positive
from fdrnn.model.variants.base import Symbols, typical
from fdrnn.model.variants.plain import Plain

if TYPE_CHECKING:
    from fdrnn.model.moments import Expression


@dataclass(frozen=True, kw_only=True)
class WeightDecayHyperparameters(Hyperparameters):
    """`Hyperparameters` and the penalty's coefficient.

    Attributes
    ----------
    weight_decay
        lambda, positive and finite: the loss is the NLL in nats per predicted step plus
        lambda times the sum of the squared weights.
    """

    weight_decay: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("weight_decay", self.weight_decay)


@dataclass(frozen=True, kw_only=True)
class WeightDecay(Plain):
    """R_wd = lambda (|W_in|^2 + |W_rec|^2 + |W_out|^2), gradient 2 lambda w (section 2.2.2).

    Biases and h0 are not penalised, as is usual: they do not scale what they are given.
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


VARIANT = WeightDecay(
    name="weight_decay",
    title="RNN, weight decay",
    typical=typical(WeightDecayHyperparameters, weight_decay=0.0001),
)
