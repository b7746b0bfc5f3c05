"""Kinds of data: what a frame is.

=============  ==================================  =======================  ====================
kind           a frame                             in a data file           as an array
=============  ==================================  =======================  ====================
`BINARY`       columns that are 0 or 1             the same                 uint8, 0 and 1
`REAL`         columns of finite numbers           the same, in any unit    float64
`CATEGORICAL`  one of V symbols                    an integer 0 .. V-1      uint8, one-hot, V
                                                                            columns
=============  ==================================  =======================  ====================

A file declares its kind (`fdrnn.datasets.formats`); it is never guessed from the values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

BINARY = "binary"
REAL = "real"
CATEGORICAL = "categorical"
KINDS = (BINARY, REAL, CATEGORICAL)

Frames = npt.NDArray[Any]
"""A sequence, shape (n_frames, n_features), of the dtype of its kind."""

DTYPES: Mapping[str, type[Any]] = {BINARY: np.uint8, REAL: np.float64, CATEGORICAL: np.uint8}
"""Of the arrays of each kind."""


def fault(kind: str, sequence: Frames) -> str:
    """Return the rule of its kind that a sequence's values break, empty for none.

    Parameters
    ----------
    kind
        One of `KINDS`.
    sequence
        Not empty, of the kind's dtype and two axes.
    """
    return _FAULTS[kind](sequence)


def _binary_fault(sequence: Frames) -> str:
    largest = sequence.max()
    return f"must hold 0 and 1 only, found {largest}" if largest > 1 else ""


def _real_fault(sequence: Frames) -> str:
    finite = np.isfinite(sequence)
    return "" if finite.all() else f"must hold finite numbers, found {sequence[~finite][0]}"


def _categorical_fault(sequence: Frames) -> str:
    if sequence.shape[1] < 2:
        return f"must have at least 2 symbols, got {sequence.shape[1]}"
    one_hot = (sequence.max(axis=1) == 1) & (sequence.sum(axis=1, dtype=np.int64) == 1)
    return "" if one_hot.all() else f"must be one-hot, frame {np.flatnonzero(~one_hot)[0]} is not"


_FAULTS: Mapping[str, Callable[[Frames], str]] = {
    BINARY: _binary_fault,
    REAL: _real_fault,
    CATEGORICAL: _categorical_fault,
}


def one_hot(symbols: npt.NDArray[Any], n_symbols: int) -> Frames:
    """Return integers 0 .. n_symbols - 1, shape (n_frames,), as the rows of a sequence."""
    frames = np.zeros((len(symbols), n_symbols), np.uint8)
    frames[np.arange(len(symbols)), symbols] = 1
    return frames
