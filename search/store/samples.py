"""Samples of a stored model, kept with its trial so that reports need neither weights nor data.

Nothing else of a finished trial changes; keeping samples again replaces them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import Frames

ALWAYS_KEPT = ("excerpt", "predictions", "sample")
"""The names of the arrays that all `Samples` have."""

SAMPLE_ARRAYS = (*ALWAYS_KEPT, "deviations")
"""The names of the arrays of `Samples` in the store."""


@dataclass(frozen=True, kw_only=True)
class SampleOrigin:
    """The origin of samples: the test sequence, the draws, the code.

    Attributes
    ----------
    sequence
        Index of the test sequence, in the data set's order.
    sequence_length
        Its frames, of which the excerpt has the first.
    n_given
        Frames of the excerpt that the sample begins with.
    seed
        Seed of the draws.
    step_quarters
        Quarter notes that a frame lasts (`fdrnn.datasets.Dataset`); None if unknown.
    code_version
        Version of fdrnn that computed them.
    """

    sequence: int
    sequence_length: int
    n_given: int
    seed: int
    step_quarters: float | None
    code_version: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """An excerpt of a test sequence, its predictions, and a sequence drawn from the model.

    Attributes
    ----------
    config_index
        The trial, whose best-validation parameters were used.
    excerpt
        Shape (T, n_features), of the data set's dtype: the first frames of the test sequence.
    predictions
        float64, shape (T - 1, n_features): row t - 1 is E[x_t | x_<t] of the excerpt, P(x_t | x_<t)
        where the columns are 0 and 1; see `fdrnn.model.sampling.predict`.
    deviations
        float64, as `predictions`: the standard deviations of the predicted Gaussians; None where
        columns are 0 and 1, and in samples that were kept before there were any.
    sample
        Shape (n_steps, n_features), of the data set's dtype: `origin.n_given` frames of the
        excerpt, then frames drawn from the model, each given all frames before it.
    origin
        Where they come from.
    """

    config_index: int
    excerpt: Frames
    predictions: npt.NDArray[np.float64]
    sample: Frames
    origin: SampleOrigin
    deviations: npt.NDArray[np.float64] | None = None
