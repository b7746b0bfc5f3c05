"""Real data in the units in which a network sees them: mean 0 and variance 1 in training.

Initial weights, step rates and saturating units mean one thing for every file only where its
columns are of one size, so real data are standardised, column by column, by mean and standard
deviation of all frames of the training split. Validation and test are shifted and scaled by the
same numbers. What is told stays in the units of the file: an NLL by `log_scale`, frames by
`in_units`. A prepended frame of zeros is thus one of training averages. Other kinds are left as
they are.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.dataset import REAL, SPLITS, Dataset, Frames


def standardised(dataset: Dataset) -> Dataset:
    """Return a data set as a network sees it: real data standardised, float64; others itself."""
    if dataset.kind != REAL:
        return dataset
    mean, deviation = _moments(dataset)
    train, valid, test = (
        tuple((sequence - mean) / deviation for sequence in dataset.split(split))
        for split in SPLITS
    )
    return dataclasses.replace(dataset, train=train, valid=valid, test=test)


def in_units(dataset: Dataset, frames: Frames) -> Frames:
    """Return frames that a network sees in the units of the file.

    Parameters
    ----------
    dataset
        As it was loaded.
    frames
        Shape (n_frames, n_features).
    """
    if dataset.kind != REAL:
        return frames
    mean, deviation = _moments(dataset)
    return frames * deviation + mean


def log_scale(dataset: Dataset) -> float:
    """Return what an NLL in the units of the file has above that of standardised frames.

    It is the sum over columns of the logarithm of the standard deviation, in nats a frame; 0 for
    other kinds than real data.
    """
    return float(np.log(_moments(dataset)[1]).sum()) if dataset.kind == REAL else 0.0


def _moments(dataset: Dataset) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    frames = np.concatenate(dataset.train)
    return frames.mean(axis=0), frames.std(axis=0)
