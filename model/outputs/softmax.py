"""The base of the categorical outputs: one symbol a frame, its classes as columns.

A frame is one-hot: the column of its symbol is 1. Where the activations have no variance, the
class probabilities are softmax(E[a]), and the NLL of target class t is
``log sum_j exp(a_j) - a_t``. Of the softmax's moments there is no closed form: the paper names
sampling and the unscented transform.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import CATEGORICAL
from fdrnn.model.outputs.base import Array, ArrayMoments, Output

if TYPE_CHECKING:
    from fdrnn.model.initialization import Parameters
    from fdrnn.model.settings import TrainingSettings


class CategoricalOutput(Output):
    """A categorical output; subclasses define how variances enter."""

    kind: ClassVar[str] = CATEGORICAL
    counts_padding: ClassVar[bool] = False

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, settings: TrainingSettings, seed: int
    ) -> Parameters:
        """Return b_y = 0: every class alike."""
        return {"b_y": np.zeros(n_features, np.float32)}

    @abstractmethod
    def probabilities(self, mean: Array, variance: Array | None) -> Array:
        """Return P of every class, (n, D)."""

    def expectation(self, moments: ArrayMoments, parameters: Parameters, target: Array) -> Array:
        """Return P of every class."""
        return self.probabilities(*moments)

    def variates(self, rng: np.random.Generator, n_steps: int, n_features: int) -> Array:
        """Draw one uniform number a step."""
        return rng.random((n_steps, 1))

    def realize(
        self, moments: ArrayMoments, parameters: Parameters, variates: Array
    ) -> npt.NDArray[np.uint8]:
        """Draw a symbol, as a one-hot frame."""
        mean, variance = moments
        (probabilities,) = self.probabilities(
            mean[None], None if variance is None else variance[None]
        )
        cumulated = np.cumsum(probabilities)
        symbol = int(np.searchsorted(cumulated, variates[0] * cumulated[-1], side="right"))
        frame = np.zeros(len(mean), np.uint8)
        frame[min(symbol, len(mean) - 1)] = 1
        return frame


def softmax(activations: Array) -> Array:
    """Return the softmax over the last axis."""
    shifted = np.exp(activations - activations.max(axis=-1, keepdims=True))
    probabilities: Array = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities
