"""Ordinary dropout on every connection, by masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fdrnn.model.settings import Hyperparameters, require_dropout_rate
from fdrnn.model.variants.base import Symbols, typical
from fdrnn.model.variants.plain import Plain, ordinary

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.activations import Activations, FinalLayer
    from fdrnn.model.moments import Expression
    from fdrnn.model.packing import PackedChunks


def inverted_mask(
    rng: np.random.Generator, shape: tuple[int, ...], dropout_rate: float
) -> npt.NDArray[np.float32]:
    """Draw 1 / p_keep with probability p_keep = 1 - dropout rate, else 0; its mean is 1."""
    p_keep = np.float32(1.0 - dropout_rate)
    return (rng.random(shape, np.float32) < p_keep) * (np.float32(1) / p_keep)


@dataclass(frozen=True, kw_only=True)
class OrdinaryDropoutHyperparameters(Hyperparameters):
    """`Hyperparameters` and the three dropout rates.

    Attributes
    ----------
    dropout_input, dropout_hidden_to_hidden, dropout_hidden_to_output
        Dropout rates (1 - p_keep), in [0, 1).
    """

    dropout_input: float
    dropout_hidden_to_hidden: float
    dropout_hidden_to_output: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_dropout_rate("dropout_input", self.dropout_input)
        require_dropout_rate("dropout_hidden_to_hidden", self.dropout_hidden_to_hidden)
        require_dropout_rate("dropout_hidden_to_output", self.dropout_hidden_to_output)


@dataclass(frozen=True, kw_only=True)
class Dropout(Plain):
    """Masks on x_t, on h_{t-1} and on what the output layer sees of h_t (Hinton et al. 2012).

    Every unit, step and chunk has a mask of its own, and so has each kind of connection. What is
    kept is divided by p_keep, so that the expectation of each activation is that of the network
    without masks, which is the one that validation and test use. With all rates 0 this is an
    ordinary network.
    """

    noise: ClassVar[Mapping[str, tuple[str, int]]] = {
        "input": ("float32", 2),
        "hidden_to_hidden": ("float32", 2),
        "hidden_to_output": ("float32", 2),
    }

    def draw(
        self,
        rng: np.random.Generator,
        batch: PackedChunks,
        hyperparameters: OrdinaryDropoutHyperparameters,
    ) -> Mapping[str, npt.NDArray[np.float32]]:
        """Draw the masks."""
        hidden = (len(batch.x), hyperparameters.n_hidden)
        return {
            "input": inverted_mask(rng, batch.x.shape, hyperparameters.dropout_input),
            "hidden_to_hidden": inverted_mask(
                rng, hidden, hyperparameters.dropout_hidden_to_hidden
            ),
            "hidden_to_output": inverted_mask(
                rng, hidden, hyperparameters.dropout_hidden_to_output
            ),
        }

    def activations(
        self,
        symbols: Symbols,
        state: tuple[Expression, ...],
        noise: Mapping[str, Expression] | None,
    ) -> tuple[Activations | FinalLayer, tuple[Expression, ...]]:
        """Mask in training; in validation and test run the ordinary network."""
        from fdrnn.model.ops import DropoutRecurrentLayer

        if noise is None:
            return super().activations(symbols, state, None)
        p = symbols.parameters
        hidden, _ = DropoutRecurrentLayer()(
            symbols.x * noise["input"], symbols.n_rows, *state,
            p["W_in"], p["W_rec"], p["b_h"], noise["hidden_to_hidden"],
        )  # fmt: skip
        return ordinary(symbols, hidden * noise["hidden_to_output"], symbols.zeros), (hidden,)


VARIANT = Dropout(
    name="dropout",
    title="RNN, dropout",
    typical=typical(
        OrdinaryDropoutHyperparameters,
        dropout_input=0.1,
        dropout_hidden_to_hidden=0.2,
        dropout_hidden_to_output=0.2,
    ),
)
