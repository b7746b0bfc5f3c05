"""A data set: sequences of one kind, split into training, validation and test."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fdrnn.datasets.errors import DataError
from fdrnn.datasets.kinds import BINARY, DTYPES, KINDS, REAL, Frames, fault

Sequences = tuple[Frames, ...]
"""Sequences of one split; each of shape (n_frames, n_features)."""

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """What a study remembers of its data, so that a report needs only the store.

    Attributes
    ----------
    title, note, n_features, lowest_midi_note, fingerprint, kind
        As of the `Dataset`.
    """

    title: str
    note: str
    n_features: int
    lowest_midi_note: int | None
    fingerprint: str
    kind: str = BINARY

    def to_mapping(self) -> dict[str, Any]:
        """Return its fields by name; binary data, as they were before there were kinds, have none.

        ``DataDescription(**mapping)`` is equal to it.
        """
        mapping = asdict(self)
        if self.kind == BINARY:
            del mapping["kind"]
        return mapping


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences of one kind in the three splits of a benchmark.

    Parameters
    ----------
    name
        The name under which it was asked for: ``"jsb"``, ``"bach"`` or a path.
    title
        The name a report prints, for example ``"JSB Chorales"``.
    train, valid, test
        Tuples of arrays of shape (n_frames, n_features), of the kind's dtype and values.
    kind
        One of `fdrnn.datasets.KINDS`.
    lowest_midi_note
        MIDI number of column 0 where the columns are notes, else None.
    step_quarters
        Quarter notes that a frame lasts, positive; None where that is not known. It matters to
        MIDI files alone.
    note
        What a report must say of this data set, for example that it is not the benchmark.

    Raises
    ------
    DataError
        If a split is empty or has single frames alone, widths differ, a value is none of the
        kind, a column of real data is constant in the training split, or `step_quarters` is not
        positive and finite.
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
                f"{self.name}: kind must be one of {', '.join(KINDS)}, got {self.kind!r}"
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
                    f"{self.name}: the {split} split holds no sequence; each split needs one"
                )
            for index, sequence in enumerate(sequences):
                where = f"{self.name}: sequence {index} of the {split} split"
                if sequence.ndim != 2 or sequence.dtype != dtype or not sequence.size:
                    raise DataError(
                        f"{where} must be a non-empty {dtype} array (frames, features), "
                        f"got {sequence.dtype} of shape {sequence.shape}"
                    )
                broken = fault(self.kind, sequence)
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
                f"{self.name}: every sequence must have one width, found {sorted(widths)}"
            )
        if self.kind == REAL:
            self._require_varying_columns()

    def _require_varying_columns(self) -> None:
        # Its density has no bound, and there is no unit to standardise it by.
        frames = np.concatenate(self.train)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            # Rounding may give equal numbers a deviation, and unequal ones none.
            deviation = np.where(np.ptp(frames, axis=0) == 0, 0.0, frames.std(axis=0))
        usable = np.isfinite(deviation) & (deviation > np.finfo(np.float64).tiny)
        if not usable.all():
            column = int(np.flatnonzero(~usable)[0])
            raise DataError(
                f"{self.name}: every column of real data must vary in the training split, with a "
                f"finite standard deviation; that of column {column} is {deviation[column]:g}: "
                "leave it out or scale it"
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
        """What a study remembers of this data set."""
        return DataDescription(
            title=self.title,
            note=self.note,
            n_features=self.n_features,
            lowest_midi_note=self.lowest_midi_note,
            fingerprint=self.fingerprint,
            kind=self.kind,
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over splits, lengths and frames: equal for equal data, whatever the file form.

        Other kinds than binary, which is as it was before there were kinds, enter it as well.
        """
        digest = hashlib.sha256(b"" if self.kind == BINARY else self.kind.encode())
        for split in SPLITS:
            for sequence in self.split(split):
                digest.update(f"{split} {sequence.shape}".encode())
                digest.update(np.ascontiguousarray(sequence).tobytes())
        return digest.hexdigest()
