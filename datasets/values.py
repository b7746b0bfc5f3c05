"""Values of data files as frames of the kind that the file declares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.errors import DataError
from fdrnn.datasets.kinds import BINARY, CATEGORICAL, KINDS, REAL, Frames, one_hot

KIND = "kind"
N_SYMBOLS = "n_symbols"
"""Names in a file of its kind, and of the number of its symbols."""

MOST_SYMBOLS = 2**16
"""More than a softmax over one-hot frames is good for."""

Reader = Callable[[Any, str], Frames]
"""From the values of a file and where they stand, frames of its kind."""


def variable(variables: dict[str, Any], key: str, path: Path) -> npt.NDArray[Any]:
    """Return an array of a file, DataError if it has none of that name."""
    value = variables.get(key)
    if not isinstance(value, np.ndarray):
        names = ", ".join(sorted(name for name in variables if not name.startswith("__")))
        raise DataError(f"{path} must hold an array {key!r}; it holds {names or 'nothing'}")
    return value


def kind_of(variables: dict[str, Any], path: Path) -> str:
    """Return the kind that a file declares, binary if it declares none."""
    if KIND not in variables:
        return BINARY
    value = np.asarray(variables[KIND])
    if value.size != 1 or str(value.item()) not in KINDS:
        raise DataError(
            f"{path}: {KIND} must be one of {', '.join(KINDS)}, got {value.ravel().tolist()!r}"
        )
    return str(value.item())


def reader(kind: str, variables: dict[str, Any], path: Path) -> Reader:
    """Return what reads the values of a file of this kind, DataError where they break its rule."""
    if kind == CATEGORICAL:
        n_symbols = _n_symbols(variables, path)
        return lambda values, where: _symbols(values, n_symbols, where)
    return _real if kind == REAL else _binary


def _matrix(values: object, where: str) -> npt.NDArray[Any]:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        raise DataError(f"{where} must be a matrix (n_frames, n_features) of numbers")
    if values.ndim != 2:
        raise DataError(f"{where} must be of shape (n_frames, n_features), got {values.shape}")
    return values


def _binary(values: object, where: str) -> Frames:
    matrix = _matrix(values, where)
    is_binary = (matrix == 0) | (matrix == 1)
    if not is_binary.all():
        raise DataError(
            f"{where} must hold 0 and 1 only, found {matrix[~is_binary][0]}; data of another kind "
            f"say so by the key {KIND}"
        )
    return np.ascontiguousarray(matrix, np.uint8)


def _real(values: object, where: str) -> Frames:
    return np.ascontiguousarray(_matrix(values, where), np.float64)


def _symbols(values: object, n_symbols: int, where: str) -> Frames:
    if (
        not isinstance(values, np.ndarray)
        or values.size != max(values.shape, default=0)
        or values.dtype.kind not in "iuf"
    ):
        raise DataError(f"{where} must be a row of integers, one symbol a frame")
    row = values.ravel()
    known = (row >= 0) & (row < n_symbols) & (row == np.floor(row))
    if not known.all():
        raise DataError(
            f"{where} must hold symbols, integers 0 to {n_symbols - 1} ({N_SYMBOLS} is "
            f"{n_symbols}), found {row[~known][0]}"
        )
    return one_hot(row.astype(np.int64), n_symbols)


def _n_symbols(variables: dict[str, Any], path: Path) -> int:
    value = np.asarray(variable(variables, N_SYMBOLS, path))
    if (
        value.size != 1
        or value.dtype.kind not in "iuf"
        or value.item() not in range(2, MOST_SYMBOLS + 1)
    ):
        raise DataError(
            f"{path}: {N_SYMBOLS} must be one integer from 2 to {MOST_SYMBOLS}, got "
            f"{value.ravel().tolist()!r}"
        )
    return int(value.item())
