"""A data set: sequences of frames of one kind, split into training, validation and test.

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

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.baseline import columns_nll, last_value_nll, symbols_nll
from fdrnn.datasets.errors import DataError, shown
from fdrnn.datasets.limits import require_few_sequences

BINARY = "binary"
REAL = "real"
CATEGORICAL = "categorical"
KINDS = (BINARY, REAL, CATEGORICAL)

Frames = npt.NDArray[Any]
"""A sequence, shape (n_frames, n_features), of the dtype of its kind."""

DTYPES: Mapping[str, type[Any]] = {BINARY: np.uint8, REAL: np.float64, CATEGORICAL: np.uint8}
"""Dtypes of the arrays of each kind."""

Sequences = tuple[Frames, ...]
"""Sequences of one split; each of shape (n_frames, n_features)."""

SPLITS = ("train", "valid", "test")

_COLUMN_BLOCK_VALUES = 2**22

_MOST_ROUNDING = 64 * np.finfo(np.float64).eps
"""The standard deviation that rounding may give a constant column, relative to its values."""


def one_hot(symbols: npt.NDArray[Any], n_symbols: int) -> Frames:
    """Return integers 0 .. n_symbols - 1, shape (n_frames,), as the rows of a sequence."""
    frames = np.zeros((len(symbols), n_symbols), np.uint8)
    frames[np.arange(len(symbols)), symbols] = 1
    return frames


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """The description of its data that a study stores, so that a report needs only the store.

    Attributes
    ----------
    title, note, n_features, lowest_midi_note, fingerprint, kind, baseline_nll
        Those of the `Dataset`; the last is None where it was not stored.
    """

    title: str
    note: str
    n_features: int
    lowest_midi_note: int | None
    fingerprint: str
    kind: str = BINARY
    baseline_nll: float | None = None

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields by name; ``DataDescription(**mapping)`` restores the description.

        Binary data have no key ``kind``, like data stored before there were kinds, and data
        without a naive prediction none for it.
        """
        mapping = asdict(self)
        if self.kind == BINARY:
            del mapping["kind"]
        if self.baseline_nll is None:
            del mapping["baseline_nll"]
        return mapping


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences of one kind, split into training, validation and test.

    Parameters
    ----------
    name
        The name given to `load`: ``"jsb"``, ``"bach"`` or a path.
    title
        The name that reports print, for example ``"JSB Chorales"``.
    train, valid, test
        Tuples of arrays of shape (n_frames, n_features), with dtype and values of the kind.
    kind
        One of `fdrnn.datasets.KINDS`.
    lowest_midi_note
        MIDI number of column 0 where the columns are notes, else None.
    step_quarters
        Quarter notes that a frame lasts, positive; None if unknown. Only MIDI files use it.
    note
        What a report must say of this data set, for example that it is not the benchmark.

    Raises
    ------
    DataError
        If a split is empty or all its sequences are single frames, widths differ, a value is
        not valid for the kind, a column of real data is constant in the training split, or
        `step_quarters` is not positive and finite.
    """

    name: str
    title: str
    train: Sequences = field(repr=False)
    valid: Sequences = field(repr=False)
    test: Sequences = field(repr=False)
    kind: str = BINARY
    lowest_midi_note: int | None = None
    step_quarters: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(
                f"{self.name}: kind must be one of {', '.join(KINDS)}, got {shown(self.kind)}"
            )
        dtype = np.dtype(DTYPES[self.kind])
        if self.step_quarters is not None and not 0 < self.step_quarters < math.inf:
            raise DataError(
                f"{self.name}: step_quarters must be positive and finite, got {self.step_quarters}"
            )
        widths = set()
        for split in SPLITS:
            sequences = self.split(split)
            if not sequences:
                raise DataError(
                    f"{self.name}: the {split} split has no sequence; each split needs one"
                )
            require_few_sequences(len(sequences), f"{self.name}: the {split} split")
            for index, sequence in enumerate(sequences):
                where = f"{self.name}: sequence {index} of the {split} split"
                if sequence.ndim != 2 or sequence.dtype != dtype or not sequence.size:
                    raise DataError(
                        f"{where} must be a non-empty {dtype} array (frames, features), "
                        f"got {sequence.dtype} of shape {sequence.shape}"
                    )
                broken = _FAULTS[self.kind](sequence)
                if broken:
                    raise DataError(f"{where} {broken}")
                widths.add(sequence.shape[1])
            if all(len(sequence) < 2 for sequence in self.split(split)):
                raise DataError(
                    f"{self.name}: the {split} split predicts nothing: each of its sequences is a "
                    "single frame, at least one must have two"
                )
        if len(widths) != 1:
            raise DataError(
                f"{self.name}: every sequence must have one width, found {shown(sorted(widths))}"
            )
        if self.kind == REAL:
            self._require_varying_columns()

    def _require_varying_columns(self) -> None:
        # The density of a constant column has no bound, and its unit is unknown.
        width, n_frames = self.n_features, sum(map(len, self.train))
        # A few columns at a time, because a copy of all would double the memory.
        block = max(1, _COLUMN_BLOCK_VALUES // n_frames)
        for first in range(0, width, block):
            frames = np.concatenate([sequence[:, first : first + block] for sequence in self.train])
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                # Rounding may give equal numbers a deviation, and unequal ones none.
                deviation = np.where(np.ptp(frames, axis=0) == 0, 0.0, frames.std(axis=0))
                rounding = _MOST_ROUNDING * np.abs(frames).max(axis=0)
            least = np.maximum(rounding, np.finfo(np.float64).tiny)
            usable = np.isfinite(deviation) & (deviation > least)
            if not usable.all():
                column = int(np.flatnonzero(~usable)[0])
                raise DataError(
                    f"{self.name}: every column of real data must vary in the training split, "
                    "by more than its rounding, with a finite standard deviation; that of column "
                    f"{first + column} is {deviation[column]:g}: leave it out, subtract "
                    "its mean or scale it"
                )

    def split(self, name: str) -> Sequences:
        """Return the sequences of ``"train"``, ``"valid"`` or ``"test"``."""
        if name not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {name!r}")
        sequences: Sequences = getattr(self, name)
        return sequences

    @property
    def n_features(self) -> int:
        """Width of a frame (88 for piano-rolls)."""
        return int(self.train[0].shape[1])

    @property
    def description(self) -> DataDescription:
        """The description that a study stores."""
        return DataDescription(
            title=self.title,
            note=self.note,
            n_features=self.n_features,
            lowest_midi_note=self.lowest_midi_note,
            fingerprint=self.fingerprint,
            kind=self.kind,
            baseline_nll=self.baseline_nll,
        )

    @cached_property
    def baseline_nll(self) -> float | None:
        """Test NLL of the naive prediction (`fdrnn.datasets.baseline`), None if not finite."""
        nll = _NAIVE[self.kind](self.train, self.test)
        return nll if math.isfinite(nll) else None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of splits, lengths and frames: equal for equal data, whatever the file format.

        The kind is part of it, unless it is binary, the only one when studies were first stored.
        """
        digest = hashlib.sha256(b"" if self.kind == BINARY else self.kind.encode())
        for split in SPLITS:
            for sequence in self.split(split):
                digest.update(f"{split} {sequence.shape}".encode())
                digest.update(np.ascontiguousarray(sequence).tobytes())
        return digest.hexdigest()


def _binary_fault(sequence: Frames) -> str:
    largest = sequence.max()
    return f"must contain 0 and 1 only, found {largest}" if largest > 1 else ""


def _real_fault(sequence: Frames) -> str:
    finite = np.isfinite(sequence)
    return "" if finite.all() else f"must contain finite numbers, found {sequence[~finite][0]}"


def _categorical_fault(sequence: Frames) -> str:
    if sequence.shape[1] < 2:
        return f"must have at least 2 symbols, got {sequence.shape[1]}"
    is_one_hot = (sequence.max(axis=1) == 1) & (sequence.sum(axis=1, dtype=np.int64) == 1)
    return (
        ""
        if is_one_hot.all()
        else f"must be one-hot, frame {np.flatnonzero(~is_one_hot)[0]} is not"
    )


_FAULTS: Mapping[str, Callable[[Frames], str]] = {
    BINARY: _binary_fault,
    REAL: _real_fault,
    CATEGORICAL: _categorical_fault,
}

_NAIVE: Mapping[str, Callable[[Sequences, Sequences], float]] = {
    BINARY: columns_nll,
    REAL: last_value_nll,
    CATEGORICAL: symbols_nll,
}
