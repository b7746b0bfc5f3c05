"""Cutting sequences into chunks of equal length for training and validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.dataset import Frames

DEFAULT_CHUNK_LENGTH = 100
"""Frames of a chunk in the paper."""

PADDING_SIDES = ("front", "back")
"""Where short chunks get their zeros; the paper's is the first."""


@dataclass(frozen=True, eq=False)
class Chunks:
    """Pieces of sequences, padded to equal length.

    Attributes
    ----------
    frames
        Shape (n_chunks, chunk_length, n_features), with the dtype of the sequences.
    starts
        int64, shape (n_chunks,): index of each chunk's first real frame, which is the number of
        zero frames prepended to it; from 0 to chunk_length - 1.
    n_frames
        int64, shape (n_chunks,): real frames of each chunk, from 1 to chunk_length.
    """

    frames: npt.NDArray[Any]
    starts: npt.NDArray[np.int64]
    n_frames: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        shapes = [array.shape for array in (self.frames, self.starts, self.n_frames)]
        if len(shapes[0]) != 3 or not shapes[0][:1] == shapes[1] == shapes[2]:
            raise ValueError(
                "frames must be (n_chunks, chunk_length, n_features), starts and n_frames "
                f"(n_chunks,), got {', '.join(map(str, shapes))}"
            )

    def __len__(self) -> int:
        return len(self.frames)


def count_chunks(sequences: Sequence[Frames], length: int) -> int:
    """Count the chunks that `chunk` makes: ceil(n_frames / length) of each sequence."""
    return sum(-(-len(sequence) // length) for sequence in sequences)


def chunk(
    sequences: Sequence[Frames], length: int = DEFAULT_CHUNK_LENGTH, side: str = "front"
) -> Chunks:
    """Cut each sequence into consecutive chunks and pad the short ones with zeros.

    A sequence is cut from its beginning, so that only its last chunk can be short; it is kept
    even if it is a single frame. Chunks are in the order of the sequences.

    Parameters
    ----------
    sequences
        At least one array of shape (n_frames, n_features), with any n_frames >= 1, and equal
        n_features and dtype. A frame of zeros has no note in binary data, no symbol in
        categorical data, and is the training average in standardised real data.
    length
        Frames of a chunk, at least 1.
    side
        Where the zeros are, one of `PADDING_SIDES`.

    Returns
    -------
    Chunks
        All chunks.

    Raises
    ------
    ValueError
        If there is no sequence, `length` is less than 1 or `side` is not one of `PADDING_SIDES`.

    Examples
    --------
    >>> import numpy as np
    >>> chunks = chunk([np.ones((5, 2), np.uint8)], length=3)
    >>> chunks.frames[:, :, 0]
    array([[1, 1, 1],
           [0, 1, 1]], dtype=uint8)
    >>> chunks.starts
    array([0, 1])
    """
    if length < 1:
        raise ValueError(f"a chunk's length must be at least 1, got {length}")
    if side not in PADDING_SIDES:
        raise ValueError(f"side must be {' or '.join(PADDING_SIDES)}, got {side!r}")
    if not sequences:
        raise ValueError("chunking needs at least one sequence, got none")
    n_chunks = count_chunks(sequences, length)
    frames = np.zeros((n_chunks, length, sequences[0].shape[1]), sequences[0].dtype)
    starts, n_frames = np.zeros(n_chunks, np.int64), np.zeros(n_chunks, np.int64)
    pieces = (
        sequence[begin : begin + length]
        for sequence in sequences
        for begin in range(0, len(sequence), length)
    )
    for index, piece in enumerate(pieces):
        starts[index] = length - len(piece) if side == "front" else 0
        n_frames[index] = len(piece)
        frames[index, starts[index] : starts[index] + len(piece)] = piece
    return Chunks(frames, starts, n_frames)
