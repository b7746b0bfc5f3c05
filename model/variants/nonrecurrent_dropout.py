"""Ordinary dropout on the non-recurrent connections alone (Pachitariu and Sahani 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fdrnn.model.settings import Hyperparameters, require_dropout_rate
from fdrnn.model.variants.base import Symbols, typical
from fdrnn.model.variants.dropout import inverted_mask
from fdrnn.model.variants.plain import Plain, ordinary

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.activations import Activations, FinalLayer
    from fdrnn.model.moments import Expression
    from fdrnn.model.packing import PackedChunks


@dataclass(frozen=True, kw_only=True)
class NonrecurrentDropoutHyperparameters(Hyperparameters):
    """`Hyperparameters` and the dropout rates of the connections that are not recurrent.

    Attributes
    ----------
    dropout_input, dropout_hidden_to_output
        Dropout rates (1 - p_keep), in [0, 1).
    """

    dropout_input: float
    dropout_hidden_to_output: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_dropout_rate("dropout_input", self.dropout_input)
        require_dropout_rate("dropout_hidden_to_output", self.dropout_hidden_to_output)


@dataclass(frozen=True, kw_only=True)
class NonrecurrentDropout(Plain):
    """Masks on x_t and on what the output layer sees of h_t; the state is left alone.

    Masks and test pass are those of `fdrnn.model.variants.dropout`. Pachitariu and Sahani mask
    the connections from the hidden to the output layer; the input's rate may be 0.
    """

    noise: ClassVar[Mapping[str, tuple[str, int]]] = {
        "input": ("float32", 2),
        "hidden_to_output": ("float32", 2),
    }

    def draw(
        self,
        rng: np.random.Generator,
        batch: PackedChunks,
        hyperparameters: NonrecurrentDropoutHyperparameters,
    ) -> Mapping[str, npt.NDArray[np.float32]]:
        """Draw the masks."""
        hidden = (len(batch.x), hyperparameters.n_hidden)
        return {
            "input": inverted_mask(rng, batch.x.shape, hyperparameters.dropout_input),
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
        if noise is None:
            return super().activations(symbols, state, None)
        hidden, no_variance = self.hidden(symbols, state, symbols.x * noise["input"])
        masked = hidden * noise["hidden_to_output"]
        return ordinary(symbols, masked, no_variance), (hidden,)


VARIANT = NonrecurrentDropout(
    name="nonrecurrent_dropout",
    title="RNN, non-recurrent dropout",
    typical=typical(
        NonrecurrentDropoutHyperparameters, dropout_input=0.1, dropout_hidden_to_output=0.2
    ),
)
