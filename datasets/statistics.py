"""Statistics of a data set: what ``fdrnn data show`` prints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fdrnn.datasets.chunking import DEFAULT_CHUNK_LENGTH, count_chunks
from fdrnn.datasets.dataset import BINARY, CATEGORICAL, REAL, SPLITS, Dataset


@dataclass(frozen=True)
class SplitStatistics:
    """Statistics of one split.

    Attributes
    ----------
    split
        ``"train"``, ``"valid"`` or ``"test"``.
    n_sequences, n_frames
        Sequences, and frames of all of them.
    min_length, median_length, max_length
        Frames of a sequence.
    n_chunks
        Chunks of training or validation; None for the test split, whose sequences stay whole.
    padding_share
        Share of the chunks' frames that are prepended zeros, in [0, 1); None for the test split.
    notes_per_frame
        Mean number of ones in a frame; None unless the data are binary.
    lowest_feature, highest_feature
        First and last column that is ever 1; None if there is none, and for real data.
    smallest, largest
        Extremes of all values; None unless the data are real.
    """

    split: str
    n_sequences: int
    n_frames: int
    min_length: int
    median_length: float
    max_length: int
    n_chunks: int | None
    padding_share: float | None
    notes_per_frame: float | None
    lowest_feature: int | None
    highest_feature: int | None
    smallest: float | None
    largest: float | None


@dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of a data set.

    Attributes
    ----------
    name, title, note, kind, lowest_midi_note, n_features, fingerprint
        Those of the `Dataset`.
    chunk_length
        Frames of a chunk.
    splits
        Statistics of training, validation and test.
    """

    name: str
    title: str
    note: str
    kind: str
    lowest_midi_note: int | None
    n_features: int
    fingerprint: str
    chunk_length: int
    splits: tuple[SplitStatistics, ...]

    def table(self) -> tuple[tuple[str, ...], ...]:
        """Return rows of text: a header (empty, then the splits), then a label and its values.

        Where the columns are notes, the range is in MIDI numbers, else in columns or symbols.
        """
        splits = self.splits
        return (
            ("", *(s.split for s in splits)),
            ("sequences", *(f"{s.n_sequences:,}" for s in splits)),
            ("frames", *(f"{s.n_frames:,}" for s in splits)),
            ("shortest sequence", *(f"{s.min_length:,}" for s in splits)),
            ("median sequence", *(f"{s.median_length:,g}" for s in splits)),
            ("longest sequence", *(f"{s.max_length:,}" for s in splits)),
            (
                f"chunks of {self.chunk_length}",
                *("-" if s.n_chunks is None else f"{s.n_chunks:,}" for s in splits),
            ),
            (
                "padding in chunks",
                *("-" if s.padding_share is None else f"{s.padding_share:.1%}" for s in splits),
            ),
            *self._values(),
        )

    def _values(self) -> tuple[tuple[str, ...], ...]:
        splits, lowest = self.splits, self.lowest_midi_note
        if self.kind == REAL:
            return (
                ("smallest value", *(f"{s.smallest:.6g}" for s in splits)),
                ("largest value", *(f"{s.largest:.6g}" for s in splits)),
            )
        used = "MIDI notes used" if lowest is not None else _USED[self.kind]
        in_range = (used, *(_range(s, lowest or 0) for s in splits))
        if self.kind == BINARY:
            return (("ones per frame", *(f"{s.notes_per_frame:.2f}" for s in splits)), in_range)
        return (in_range,)


_USED = {BINARY: "columns used", CATEGORICAL: "symbols used"}


def describe_statistics(
    dataset: Dataset, chunk_length: int = DEFAULT_CHUNK_LENGTH
) -> DatasetStatistics:
    """Return the statistics of a data set.

    Parameters
    ----------
    dataset
        The data set.
    chunk_length
        Frames of a training or validation chunk, at least 1.
    """
    return DatasetStatistics(
        name=dataset.name,
        title=dataset.title,
        note=dataset.note,
        kind=dataset.kind,
        lowest_midi_note=dataset.lowest_midi_note,
        n_features=dataset.n_features,
        fingerprint=dataset.fingerprint,
        chunk_length=chunk_length,
        splits=tuple(_split(split, dataset, chunk_length) for split in SPLITS),
    )


def _split(split: str, dataset: Dataset, chunk_length: int) -> SplitStatistics:
    sequences, is_real = dataset.split(split), dataset.kind == REAL
    lengths = np.array([len(sequence) for sequence in sequences])
    n_frames = int(lengths.sum())
    n_chunks = None if split == "test" else count_chunks(sequences, chunk_length)
    ones = np.zeros(dataset.n_features, np.int64)
    if not is_real:
        ones += sum(sequence.sum(axis=0, dtype=np.int64) for sequence in sequences)
    used = np.flatnonzero(ones)
    return SplitStatistics(
        split=split,
        n_sequences=len(sequences),
        n_frames=n_frames,
        min_length=int(lengths.min()),
        median_length=float(np.median(lengths)),
        max_length=int(lengths.max()),
        n_chunks=n_chunks,
        padding_share=None if n_chunks is None else 1 - n_frames / (n_chunks * chunk_length),
        notes_per_frame=float(np.sum(ones) / n_frames) if dataset.kind == BINARY else None,
        lowest_feature=int(used[0]) if used.size else None,
        highest_feature=int(used[-1]) if used.size else None,
        smallest=min(float(sequence.min()) for sequence in sequences) if is_real else None,
        largest=max(float(sequence.max()) for sequence in sequences) if is_real else None,
    )


def _range(split: SplitStatistics, offset: int) -> str:
    if split.lowest_feature is None or split.highest_feature is None:
        return "none"
    return f"{split.lowest_feature + offset} to {split.highest_feature + offset}"
