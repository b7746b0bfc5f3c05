"""Ordinary dropout, by masks: ``dropout`` on every connection, ``nonrecurrent_dropout``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdrnn.model.settings import Hyperparameters, require_dropout_rate
from fdrnn.model.variants.base import Built, Noise, State, Symbols, by_name, typical
from fdrnn.model.variants.plain import Plain, ordinary

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.moments import Expression
    from fdrnn.model.packing import PackedChunks

_MASK = ("float32", 2)


def inverted_mask(
    rng: np.random.Generator, shape: tuple[int, ...], dropout_rate: float
) -> npt.NDArray[np.float32]:
    """Draw 1 / p_keep with probability p_keep = 1 - dropout rate, else 0; its mean is 1."""
    p_keep = np.float32(1.0 - dropout_rate)
    return (rng.random(shape, np.float32) < p_keep) * (np.float32(1) / p_keep)


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
        for mask in NonrecurrentDropout.noise:
            require_dropout_rate(f"dropout_{mask}", getattr(self, f"dropout_{mask}"))


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
        for mask in Dropout.noise:
            require_dropout_rate(f"dropout_{mask}", getattr(self, f"dropout_{mask}"))


@dataclass(frozen=True, kw_only=True)
class NonrecurrentDropout(Plain):
    """Masks on x_t and on the output layer's input h_t, none on the state.

    Pachitariu and Sahani 2013 mask the connections from the hidden to the output layer; the
    input's rate may be 0. Masks and test pass are those of `Dropout`.
    """

    noise: ClassVar[Mapping[str, tuple[str, int]]] = {"input": _MASK, "hidden_to_output": _MASK}

    def draw(
        self, rng: np.random.Generator, batch: PackedChunks, n_outputs: int, hyperparameters: Any
    ) -> Mapping[str, npt.NDArray[np.float32]]:
        """Draw the masks."""
        hidden = (len(batch.x), hyperparameters.n_hidden)
        return {
            mask: inverted_mask(
                rng,
                batch.x.shape if mask == "input" else hidden,
                getattr(hyperparameters, f"dropout_{mask}"),
            )
            for mask in self.noise
        }

    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
        """Mask in training; in validation and test run the ordinary network."""
        if noise is None:
            return super().activations(symbols, state, None)
        hidden, no_variance = self.masked_hidden(symbols, state, noise)
        masked = hidden * noise["hidden_to_output"]
        return ordinary(symbols, masked, no_variance), (hidden,)

    def masked_hidden(
        self, symbols: Symbols, state: State, noise: Mapping[str, Expression]
    ) -> tuple[Expression, Expression]:
        """Build the recurrent layer in training."""
        return self.hidden(symbols, state, symbols.x * noise["input"])


@dataclass(frozen=True, kw_only=True)
class Dropout(NonrecurrentDropout):
    """Masks on x_t, on h_{t-1} and on the output layer's input h_t (Hinton et al. 2012).

    Every unit, step and chunk has its own mask, and so has each kind of connection. What is
    kept is divided by p_keep, so that the expectation of each activation is that of the network
    without masks, which is the one that validation and test use. With all rates 0 this is an
    ordinary network.
    """

    noise: ClassVar[Mapping[str, tuple[str, int]]] = {
        "input": _MASK, "hidden_to_hidden": _MASK, "hidden_to_output": _MASK
    }  # fmt: skip

    def masked_hidden(
        self, symbols: Symbols, state: State, noise: Mapping[str, Expression]
    ) -> tuple[Expression, Expression]:
        """Build the recurrent layer with its state masked."""
        from fdrnn.model.ops import DropoutRecurrentLayer

        p = symbols.parameters
        hidden, _ = DropoutRecurrentLayer()(
            symbols.x * noise["input"], symbols.n_rows, *state,
            p["W_in"], p["W_rec"], p["b_h"], noise["hidden_to_hidden"],
        )  # fmt: skip
        return hidden, symbols.zeros


VARIANTS = by_name(
    NonrecurrentDropout(
        name="nonrecurrent_dropout",
        title="RNN, non-recurrent dropout",
        typical=typical(
            NonrecurrentDropoutHyperparameters, dropout_input=0.1, dropout_hidden_to_output=0.2
        ),
    ),
    Dropout(
        name="dropout",
        title="RNN, dropout",
        typical=typical(
            OrdinaryDropoutHyperparameters,
            dropout_input=0.1,
            dropout_hidden_to_hidden=0.2,
            dropout_hidden_to_output=0.2,
        ),
    ),
)
