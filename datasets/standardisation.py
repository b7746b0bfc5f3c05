"""Standardising real data for the network: mean 0 and variance 1 in training.

Initial weights, step rates and saturating units have one meaning for every file only if all
columns have one scale, so each column of real data is standardised by the mean and the standard
deviation of all frames of the training split, in all splits. Results are reported in the units
of the file: an NLL by `log_scale`, frames by `in_units`. A prepended frame of zeros is thus a
frame of training averages. Other kinds of data stay as they are.
"""

from __future__ import annotations

import dataclasses
import math
from decimal import Context, Decimal

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.dataset import REAL, SPLITS, Dataset, Frames

_DIGITS = Context(prec=40)
_LARGEST = np.finfo(np.float64).max


def standardised(dataset: Dataset) -> Dataset:
    """Return a data set as the network reads it: real data standardised, other kinds unchanged."""
    if dataset.kind != REAL:
        return dataset
    mean, deviation = _moments(dataset)
    # What overflows here is infinite in the network's single precision, and so is its NLL.
    with np.errstate(over="ignore"):
        train, valid, test = (
            tuple(
                np.clip((sequence - mean) / deviation, -_LARGEST, _LARGEST)
                for sequence in dataset.split(split)
            )
            for split in SPLITS
        )
    return dataclasses.replace(dataset, train=train, valid=valid, test=test)


def in_units(dataset: Dataset, frames: Frames) -> Frames:
    """Return standardised frames in the units of the file.

    Parameters
    ----------
    dataset
        The data set as loaded.
    frames
        Shape (n_frames, n_features).
    """
    if dataset.kind != REAL:
        return frames
    mean, deviation = _moments(dataset)
    return frames * deviation + mean


def deviations_in_units(dataset: Dataset, deviations: Frames) -> Frames:
    """Return standard deviations of standardised frames in the units of the file.

    Parameters
    ----------
    dataset
        The data set as loaded, real.
    deviations
        Shape (n_frames, n_features).
    """
    return deviations * _moments(dataset)[1]


def log_scale(dataset: Dataset) -> float:
    """Return the NLL in the units of the file minus that of standardised frames.

    It is the sum over columns of the logarithm of the standard deviation, in nats per frame; 0
    unless the data are real.
    """
    if dataset.kind != REAL:
        return 0.0
    # NumPy's logarithm has other last bits where there is AVX-512, the C library's where it is of
    # another version; these digits are rounded once.
    deviations = (Decimal(deviation) for deviation in _moments(dataset)[1].tolist())
    return math.fsum(float(deviation.ln(_DIGITS)) for deviation in deviations)


def _moments(dataset: Dataset) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    # The order of additions follows the order in memory.
    frames = np.ascontiguousarray(np.concatenate(dataset.train))
    return frames.mean(axis=0), frames.std(axis=0)
