"""Statistics of a data set: what ``fdrnn data show`` prints."""

from __future__ import annotations

from collections.abc import Callable
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
        Share of the chunks' frames that are zeros of short chunks, in [0, 1); None for the test
        split.
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


@dataclass(frozen=True, eq=False)
class DatasetStatistics:
    """Statistics of a data set.

    Attributes
    ----------
    dataset
        The data set.
    chunk_length
        Frames of a chunk.
    splits
        Statistics of training, validation and test.
    """

    dataset: Dataset
    chunk_length: int
    splits: tuple[SplitStatistics, ...]

    def table(self) -> tuple[tuple[str, ...], ...]:
        """Return rows of text: a header (empty, then the splits), then a label and its values.

        Where the columns are notes, the range is in MIDI numbers, else in columns or symbols.
        """
        kind, lowest = self.dataset.kind, self.dataset.lowest_midi_note

        def row(label: str, value: Callable[[SplitStatistics], str]) -> tuple[str, ...]:
            return (label, *map(value, self.splits))

        rows = [
            row("", lambda s: s.split),
            row("sequences", lambda s: f"{s.n_sequences:,}"),
            row("frames", lambda s: f"{s.n_frames:,}"),
            row("shortest sequence", lambda s: f"{s.min_length:,}"),
            row("median sequence", lambda s: f"{s.median_length:,g}"),
            row("longest sequence", lambda s: f"{s.max_length:,}"),
            row(f"chunks of {self.chunk_length}", lambda s: _or_dash(s.n_chunks, ",")),
            row("padding in chunks", lambda s: _or_dash(s.padding_share, ".1%")),
        ]
        if kind == REAL:
            rows.append(row("smallest value", lambda s: f"{s.smallest:.6g}"))
            rows.append(row("largest value", lambda s: f"{s.largest:.6g}"))
            return tuple(rows)
        if kind == BINARY:
            rows.append(row("ones per frame", lambda s: f"{s.notes_per_frame:.2f}"))
        used = "MIDI notes used" if lowest is not None else f"{_COLUMNS[kind]} used"
        rows.append(row(used, lambda s: _range(s, lowest or 0)))
        return tuple(rows)


_COLUMNS = {BINARY: "columns", CATEGORICAL: "symbols"}


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _range(split: SplitStatistics, offset: int) -> str:
    if split.lowest_feature is None or split.highest_feature is None:
        return "none"
    return f"{split.lowest_feature + offset} to {split.highest_feature + offset}"


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
    splits = tuple(_split(split, dataset, chunk_length) for split in SPLITS)
    return DatasetStatistics(dataset, chunk_length, splits)


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
