r"""Categorical classes by sampling the activations of a softmax.

In training a = E[a] + s sqrt(V[a]) is drawn once for each row and class, s ~ N(0, 1) from the
trial's seed, the epoch and the minibatch alone, and the gradient goes through it (the pathwise
one, as in ``fast_dropout_sampled``). In validation and test

.. math:: P(t) = \frac{1}{N} \sum_{i=1}^{N} \mathrm{softmax}\big(E[a] + s_i \sqrt{V[a]}\big)_t

with N = 100 draws s_i that are the same for every row, network and trial, so that networks
are compared on the same draws. The training loss is on average above the NLL of P (Jensen).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from fdrnn.model.activations import deviation
from fdrnn.model.outputs.base import Array, Arrays
from fdrnn.model.outputs.softmax import CategoricalOutput, softmax
from fdrnn.model.randomness import standard_normal

if TYPE_CHECKING:
    from fdrnn.model.activations import Moments
    from fdrnn.model.moments import Expression
    from fdrnn.model.packing import PackedChunks
    from fdrnn.model.variants.base import Symbols

N_DRAWS = 100
"""Draws of validation and test."""

_SEED = 2013


@dataclass(frozen=True, kw_only=True)
class SampledOutput(CategoricalOutput):
    """One draw in training, the average over fixed draws in validation and test."""

    noise: ClassVar[Mapping[str, tuple[str, int]]] = {"activation": ("float32", 2)}
    fixed: ClassVar[Mapping[str, tuple[str, int]]] = {"draws": ("float32", 2)}

    def draw(
        self, rng: np.random.Generator, batch: PackedChunks
    ) -> Mapping[str, npt.NDArray[np.float32]]:
        """Draw s of every row and class."""
        return {"activation": standard_normal(rng, batch.x.shape)}

    def fixed_arrays(self, n_features: int) -> Mapping[str, npt.NDArray[np.float32]]:
        """Return the s_i, shape (N, D)."""
        return {"draws": fixed_draws(n_features)}

    def nll_of(self, moments: Moments, symbols: Symbols, noise: Arrays) -> Expression:
        """Build -log softmax(draw)_t in training, -log P(t) in validation and test."""
        from fdrnn.model.ops import AveragedSoftmax, Softmax

        mean, variance = moments
        if variance is None:
            return Softmax()(mean, symbols.target)
        if "draws" in noise:
            return AveragedSoftmax()(mean, variance, noise["draws"], symbols.target)
        drawn = mean + noise["activation"] * deviation(variance)
        return Softmax()(drawn, symbols.target)

    def probabilities(self, mean: Array, variance: Array | None) -> Array:
        """Return P of every class."""
        if variance is None:
            return softmax(mean)
        spread, total = np.sqrt(variance), np.zeros_like(mean)
        for drawn in fixed_draws(mean.shape[1]).astype(np.float64):
            total += softmax(mean + drawn * spread)
        return total / N_DRAWS


@cache
def fixed_draws(n_features: int) -> npt.NDArray[np.float32]:
    """Return the draws of validation and test, shape (N_DRAWS, n_features)."""
    return standard_normal(np.random.default_rng(_SEED), (N_DRAWS, n_features))


OUTPUT = SampledOutput(name="softmax_sampled", title="softmax, sampled")
