"""Samples of a stored model, kept with its trial so that reports need neither weights nor data.

Nothing else of a finished trial changes; keeping samples again replaces them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import Frames
from fdrnn.datasets.errors import shown
from fdrnn.search.store.tables import unpacked

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

    Raises
    ------
    ValueError
        If a value is of another type, or `step_quarters` not positive and finite.
    """

    sequence: int
    sequence_length: int
    n_given: int
    seed: int
    step_quarters: float | None
    code_version: str

    def __post_init__(self) -> None:
        for name in ("sequence", "sequence_length", "n_given", "seed", "code_version"):
            value, kind = getattr(self, name), str if name == "code_version" else int
            if type(value) is not kind:
                raise ValueError(f"{name} of samples must be {kind.__name__}, got {shown(value)}")
        step = self.step_quarters
        if step is not None and not (isinstance(step, int | float) and 0 < step < math.inf):
            raise ValueError(f"step_quarters must be positive and finite, got {shown(step)}")


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

    Raises
    ------
    ValueError
        If the shapes of the arrays do not fit each other.
    """

    config_index: int
    excerpt: Frames
    predictions: npt.NDArray[np.float64]
    sample: Frames
    origin: SampleOrigin
    deviations: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        excerpt, sample = self.excerpt.shape, self.sample.shape
        predicted = [self.predictions.shape]
        predicted += [] if self.deviations is None else [self.deviations.shape]
        fit = len(excerpt) == len(sample) == 2 and excerpt[1] == sample[1]
        if not (fit and all(excerpt + sample) and {*predicted} == {(excerpt[0] - 1, excerpt[1])}):
            raise ValueError(
                "excerpt, sample and predictions of samples must be of shapes (T, n_features), "
                f"(n_steps, n_features), (T - 1, n_features), got {excerpt}, {sample}, "
                f"{', '.join(map(str, predicted))}"
            )


def samples_of(
    config_index: int, rows: Iterable[Mapping[str, Any]], n_features: int
) -> Samples | None:
    """Return the samples of a trial from their rows; None where an array is missing.

    Parameters
    ----------
    config_index
        The trial.
    rows
        Its rows of `fdrnn.search.store.tables.samples`.
    n_features
        Columns of the study's data.

    Raises
    ------
    ValueError, TypeError
        If an array or the origin is damaged, or they do not fit each other or the data.
    """
    kept = {row["name"]: (unpacked(row), row["about"]) for row in rows}
    if not set(ALWAYS_KEPT) <= set(kept):
        return None
    samples = Samples(
        config_index=config_index,
        origin=SampleOrigin(**kept["sample"][1]),
        **{name: kept[name][0] for name in SAMPLE_ARRAYS if name in kept},
    )
    if samples.excerpt.shape[1] != n_features:
        raise ValueError(
            f"samples must have the {n_features} columns of the data, got "
            f"{samples.excerpt.shape[1]}"
        )
    return samples
