"""Naive predictions: test NLL that a network should undercut.

Each is the pooled test NLL in nats per predicted step (x_2 to x_T of every test sequence), and not
finite where the prediction fails. Sequences are arrays of shape (n_frames, n_features).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_Frames = Sequence[npt.NDArray[Any]]


def columns_nll(train: _Frames, test: _Frames) -> float:
    """Return the NLL of columns of 0 and 1, each predicted by its frequency in training."""
    n_frames, ones = _counts(train)
    # One frame more of either value: what training lacks is not impossible.
    share = (ones + 1) / (n_frames + 2)
    n_steps, present = _counts([sequence[1:] for sequence in test])
    return -float(present @ np.log(share) + (n_steps - present) @ np.log1p(-share)) / n_steps


def symbols_nll(train: _Frames, test: _Frames) -> float:
    """Return the NLL of one-hot symbols, predicted by their frequencies in training."""
    n_frames, ones = _counts(train)
    share = (ones + 1) / (n_frames + len(ones))
    n_steps, present = _counts([sequence[1:] for sequence in test])
    return -float(present @ np.log(share)) / n_steps


def last_value_nll(train: _Frames, test: _Frames) -> float:
    """Return the NLL of real values: a Gaussian at the last value, as wide as training's steps."""
    with np.errstate(all="ignore"):
        n_steps, squares = _squared_steps(train)
        n_tested, tested = _squared_steps(test)
        variance = squares / n_steps
        logarithms = np.log(2 * math.pi * variance)
        return float((logarithms + tested / variance / n_tested).sum() / 2)


def _counts(sequences: _Frames) -> tuple[int, npt.NDArray[np.float64]]:
    """Return the number of frames, and in how many of them each column is 1."""
    ones = sum(sequence.sum(axis=0, dtype=np.int64) for sequence in sequences)
    return sum(map(len, sequences)), np.asarray(ones, float)


def _squared_steps(sequences: _Frames) -> tuple[int, npt.NDArray[np.float64]]:
    """Return the number of steps, and the sum of their squares in each column."""
    squares = sum((np.diff(sequence, axis=0) ** 2).sum(axis=0) for sequence in sequences)
    return sum(len(sequence) - 1 for sequence in sequences), np.asarray(squares, float)
