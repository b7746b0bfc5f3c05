"""A data set: binary sequences split into training, validation and test."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.errors import DataError

Sequences = tuple[npt.NDArray[np.uint8], ...]
"""Sequences of one split; each of shape (n_frames, n_features), values 0 and 1."""

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """What a study remembers of its data, so that a report needs only the store.

    Attributes
    ----------
    title, note, n_features, lowest_midi_note, fingerprint
        As of the `Dataset`.
    """

    title: str
    note: str
    n_features: int
    lowest_midi_note: int | None
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Binary sequences in the three splits of a benchmark.

    Parameters
    ----------
    name
        The name under which it was asked for: ``"jsb"``, ``"bach"`` or a path.
    title
        The name a report prints, for example ``"JSB Chorales"``.
    train, valid, test
        Tuples of uint8 arrays of shape (n_frames, n_features), values 0 and 1.
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
        If a split is empty or has single frames alone, widths differ, a value is neither 0 nor
        1, or `step_quarters` is not positive and finite.
    """

    name: str
    title: str
    train: Sequences = field(repr=False)
    valid: Sequences = field(repr=False)
    test: Sequences = field(repr=False)
    lowest_midi_note: int | None = None
    step_quarters: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.step_quarters is not None and not 0 < self.step_quarters < math.inf:
            raise DataError(
                f"{self.name}: step_quarters must be positive and finite, got {self.step_quarters}"
            )
        widths = set()
        for split in SPLITS:
            sequences = self.split(split)
            if not sequences:
                raise DataError(f"{self.name}: the {split} split holds no sequence")
            for index, sequence in enumerate(sequences):
                where = f"{self.name}: sequence {index} of the {split} split"
                if sequence.ndim != 2 or sequence.dtype != np.uint8 or not sequence.size:
                    raise DataError(
                        f"{where} must be a non-empty uint8 array (frames, features), "
                        f"got {sequence.dtype} of shape {sequence.shape}"
                    )
                if sequence.max() > 1:
                    raise DataError(f"{where} must hold 0 and 1 only, found {sequence.max()}")
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
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over splits, lengths and frames: equal for equal data, whatever the file form."""
        digest = hashlib.sha256()
        for split in SPLITS:
            for sequence in self.split(split):
                digest.update(f"{split} {sequence.shape}".encode())
                digest.update(np.ascontiguousarray(sequence).tobytes())
        return digest.hexdigest()
