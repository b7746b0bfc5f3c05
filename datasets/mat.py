"""Reading .mat files of MATLAB's versions 5 to 7: matrices of numbers, texts, and cells of them.

A file is a header of 128 bytes and a list of elements, each a type, a size and as many bytes; a
variable is an element that is a list of elements (*MAT-File Format*, MathWorks, "Level 5
MAT-File Format"). The reader goes two levels deep, for cells of matrices, and never further:
a matrix of another class (structures, objects, cells in cells, complex numbers) is returned as an
empty array of dtype object.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.errors import DataError, one_line
from fdrnn.datasets.limits import Budget, require_few_sequences

_HEADER_BYTES = 128
_MOST_VARIABLES = 1000
_MOST_AXES = 32
_MOST_TEXT_BYTES = 1000

_MATRIX, _COMPRESSED = 14, 15
"""Types of elements that hold elements."""

_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_TEXTS = {1: "latin1", 2: "latin1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""By the type of an element, the numpy code of its numbers and the codec of its characters."""

_CELLS, _TEXT, _SPARSE, _NUMERIC, _OPAQUE = 1, 4, 5, range(6, 16), 17
"""Classes of matrices."""

_COMPLEX = 0x800

_UNREAD: npt.NDArray[Any] = np.empty(0, object)


def read_mat(data: bytes, source: str, wanted: Set[str]) -> dict[str, npt.NDArray[Any] | None]:
    """Return the variables of a .mat file.

    Parameters
    ----------
    data
        The file.
    source
        What an error calls it, usually its path.
    wanted
        Names of the variables to read.

    Returns
    -------
    dict of str to array or None
        The wanted variables: numbers, a text without axes, or cells as an array of dtype object;
        None for each other name.

    Raises
    ------
    DataError
        If the file is of another version, damaged, or larger than `fdrnn.datasets.limits` allows.
    """
    if data[124:128] in (b"\x00\x02IM", b"\x02\x00MI"):
        raise DataError(f"{source}: .mat files of version 7.3 are not read; save with version 7")
    try:
        return _Reader(source, data).variables(data, wanted)
    except DataError:
        raise
    except (ValueError, struct.error, zlib.error, OverflowError) as error:
        raise DataError(
            f"{source}: the .mat file is damaged or of another format ({one_line(str(error), 200)})"
        ) from error


class _Reader:
    """Reads one file."""

    def __init__(self, source: str, data: bytes) -> None:
        if data[126:128] not in (b"IM", b"MI"):
            raise ValueError("it has not the header of version 5 to 7")
        self._source = source
        self._order = "<" if data[126:128] == b"IM" else ">"
        self._budget = Budget(source)
        self._n_cells = 0

    def variables(self, data: bytes, wanted: Set[str]) -> dict[str, npt.NDArray[Any] | None]:
        variables: dict[str, npt.NDArray[Any] | None] = {}
        for count, (kind, content) in enumerate(self._elements(memoryview(data)[_HEADER_BYTES:])):
            if count >= _MOST_VARIABLES:
                raise ValueError(f"more than {_MOST_VARIABLES} variables")
            element = self._inflated(content) if kind == _COMPRESSED else (kind, content)
            name, value = self._matrix(*element, wanted)
            variables[name] = value
        return variables

    def _elements(self, content: memoryview) -> Iterator[tuple[int, memoryview]]:
        offset = 0
        while offset < len(content):
            kind, size = struct.unpack_from(f"{self._order}II", content, offset)
            begin = offset + 8
            if kind >> 16:  # up to four bytes are the second half of the tag
                kind, size, begin = kind & 0xFFFF, kind >> 16, offset + 4
                if size > 4:
                    raise ValueError("a small element of more than four bytes")
            if begin + size > len(content):
                raise ValueError("truncated")
            yield kind, content[begin : begin + size]
            end = begin + size
            # An element may begin anywhere after a compressed one.
            offset = end if kind == _COMPRESSED else end + (offset - end) % 8

    def _inflated(self, content: memoryview) -> tuple[int, memoryview]:
        inflated = zlib.decompressobj().decompress(content, self._budget.left + 1)
        self._budget.take(len(inflated))
        return self._next(self._elements(memoryview(inflated)))

    @staticmethod
    def _next(elements: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
        try:
            return next(elements)
        except StopIteration:
            raise ValueError("truncated") from None

    def _matrix(
        self, kind: int, content: memoryview, wanted: Set[str] | None = None
    ) -> tuple[str, npt.NDArray[Any] | None]:
        """Return name and value of a variable; a matrix in a cell, which has no `wanted`."""
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} where a matrix should be")
        if not content:
            return "", np.empty((0, 0))
        parts = self._elements(content)
        flags, _ = struct.unpack(f"{self._order}II", self._next(parts)[1])
        if flags & 0xFF == _OPAQUE:
            # A string in double quotes, a table, a date: its name follows, and no axes.
            name = bytes(self._next(parts)[1]).decode("latin1")
            return name, None if wanted is not None and name not in wanted else _UNREAD
        shape = tuple(self._integers(*self._next(parts)).tolist())
        if min(shape, default=-1) < 0 or len(shape) > _MOST_AXES:
            raise ValueError("axes out of range")
        name = bytes(self._next(parts)[1]).decode("latin1")
        matrix_class, value = flags & 0xFF, _UNREAD
        if wanted is not None and name not in wanted:
            return name, None
        if matrix_class == _CELLS and wanted is not None:
            value = self._cells(parts, shape)
        elif matrix_class == _TEXT:
            value = self._text(*self._next(parts))
        elif matrix_class == _SPARSE and not flags & _COMPLEX:
            value = self._sparse(parts, shape)
        elif matrix_class in _NUMERIC and not flags & _COMPLEX:
            value = self._numbers(*self._next(parts)).reshape(shape, order="F")
        return name, value

    def _cells(
        self, parts: Iterator[tuple[int, memoryview]], shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        self._n_cells += math.prod(shape)
        require_few_sequences(self._n_cells, f"{self._source}: cells of a .mat file")
        cells = np.empty(math.prod(shape), object)
        for index in range(len(cells)):
            cells[index] = self._matrix(*self._next(parts))[1]
        return cells.reshape(shape, order="F")

    def _numbers(self, kind: int, content: memoryview) -> npt.NDArray[Any]:
        if kind not in _NUMBERS:
            raise ValueError(f"an element of type {kind} where numbers should be")
        return np.frombuffer(content, np.dtype(self._order + _NUMBERS[kind]))

    def _integers(self, kind: int, content: memoryview) -> npt.NDArray[np.int64]:
        numbers = self._numbers(kind, content)
        if numbers.dtype.kind not in "iu":
            raise ValueError("indices that are not integers")
        return numbers.astype(np.int64)

    def _text(self, kind: int, content: memoryview) -> npt.NDArray[Any]:
        if kind not in _TEXTS or len(content) > _MOST_TEXT_BYTES:
            return _UNREAD
        codec = _TEXTS[kind]
        if codec in ("utf-16", "utf-32"):
            codec += "-le" if self._order == "<" else "-be"
        return np.array(bytes(content).decode(codec))

    def _sparse(
        self, parts: Iterator[tuple[int, memoryview]], shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        """Return a sparse matrix with its zeros: row indices, starts of columns, values."""
        rows, starts = (self._integers(*self._next(parts)) for _ in range(2))
        values = self._numbers(*self._next(parts))
        n_rows, n_columns = shape
        if len(starts) != n_columns + 1 or starts[0] != 0:
            raise ValueError("a sparse matrix with another number of columns")
        counts = np.diff(starts)
        rows, values = rows[: starts[-1]], values[: starts[-1]]
        if (counts < 0).any() or not len(rows) == len(values) == starts[-1]:
            raise ValueError("a sparse matrix with another number of values")
        if len(rows) and not 0 <= rows.min() <= rows.max() < n_rows:
            raise ValueError("a sparse matrix with an index out of range")
        self._budget.take(n_rows * n_columns * values.dtype.itemsize)
        matrix = np.zeros(shape, values.dtype)
        matrix[rows, np.repeat(np.arange(n_columns), counts)] = values
        return matrix
