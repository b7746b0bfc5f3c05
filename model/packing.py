r"""Pack sequences as rows, the form in which the native layers read a batch.

Rows are time-major: those of step 0, then those of step 1, and so on; `n_rows` (T,) counts them.
Row i of step t continues row min(i, n_rows[t-1] - 1) of step t - 1. So the last rows of a step
may *end* (whole sequences of different lengths, the longest first), and rows may *join*,
continuing the last row of the step before. Joining serves the zeros prepended to short chunks:
they lead every chunk along the same hidden trajectory, so one row represents all chunks still in
their padding, and each chunk leaves it where its own frames begin. The loss of that row counts
once for each chunk that it represents. Nothing is approximated.

A row is one predicted step: its input is frame t, its target frame t + 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import Chunks
from fdrnn.datasets.dataset import Sequences

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Rows of consecutive steps.

    Attributes
    ----------
    x, target
        float32, shape (R, n_features).
    n_rows
        int64, shape (T,), positive.
    """

    x: FloatArray
    target: FloatArray
    n_rows: IntArray


@dataclass(frozen=True, eq=False)
class PackedBlock(PackedRows):
    """Consecutive steps of a batch of whole sequences, whose rows never join.

    Attributes
    ----------
    sequence
        int64, shape (R,): position of each row's sequence in the input.
    """

    sequence: IntArray


@dataclass(frozen=True, eq=False)
class PackedChunks(PackedRows):
    """A minibatch of chunks.

    Attributes
    ----------
    counted
        float32, shape (R,): predicted steps that each row represents, with the padding counted;
        they sum to n_chunks (chunk_length - 1).
    masked
        float32, shape (R,): 1 where input and target frame are both real, else 0.
    """

    counted: FloatArray
    masked: FloatArray

    def loss_weights(self, padding: str) -> FloatArray:
        """Return `counted`, or `masked`, which leaves the padding out of the loss."""
        return self.counted if padding == "counted" else self.masked


def pack_chunks(chunks: Chunks, index: IntArray, share_padding: bool = True) -> PackedChunks:
    """Pack the chunks at `index`.

    Parameters
    ----------
    chunks
        Chunks of one length of at least 2 frames.
    index
        Positions of the minibatch's chunks, shape (B,), B >= 1; their order does not matter.
    share_padding
        Whether the padding of all chunks is one row. False computes every row of every chunk:
        the same numbers to rounding, for tests and measurements.
    """
    n_chunks, length = len(index), chunks.frames.shape[1]
    # A chunk needs its own row from the step that predicts its first real frame.
    first_own = np.maximum(chunks.starts[index] - 1, 0)
    order = np.argsort(first_own, kind="stable")
    index, first_own = index[order], first_own[order]
    step = np.arange(length - 1)
    own = np.searchsorted(first_own, step, side="right")
    n_rows = np.minimum(own + 1, n_chunks) if share_padding else np.full(length - 1, n_chunks)
    row_step = np.repeat(step, n_rows)
    row_chunk = np.arange(n_rows.sum()) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
    counted = np.ones(len(row_step), np.float32)
    if share_padding:
        shared = row_chunk == own[row_step]
        counted[shared] = (n_chunks - own)[row_step[shared]]
    source = index[row_chunk]
    return PackedChunks(
        x=chunks.frames[source, row_step].astype(np.float32),
        target=chunks.frames[source, row_step + 1].astype(np.float32),
        n_rows=n_rows.astype(np.int64),
        counted=counted,
        masked=_both_real(chunks, source, row_step).astype(np.float32),
    )


def count_steps(chunks: Chunks, padding: str) -> int:
    """Count the predicted steps of all chunks under a padding rule, the sum of their weights."""
    if padding == "masked":
        return int((chunks.n_frames - 1).sum())
    return len(chunks) * (chunks.frames.shape[1] - 1)


def _both_real(chunks: Chunks, source: IntArray, step: IntArray) -> npt.NDArray[np.bool_]:
    """Return whether the frames `step` and `step` + 1 of the chunks `source` are real."""
    first = chunks.starts[source]
    both: npt.NDArray[np.bool_] = (step >= first) & (step + 1 < first + chunks.n_frames[source])
    return both


def pack_sequences(sequences: Sequences, steps_per_block: int = 64) -> Iterator[PackedBlock]:
    """Pack whole sequences, the longest first, as consecutive blocks.

    The rows of a block's first step continue the first rows of the last step of the previous
    block. A sequence of one frame predicts nothing and has no row.
    """
    n_steps = np.array([len(sequence) - 1 for sequence in sequences])
    order = np.argsort(-n_steps, kind="stable")
    sorted_steps = n_steps[order]
    for begin in range(0, int(sorted_steps[0]), steps_per_block):
        step = np.arange(begin, min(begin + steps_per_block, int(sorted_steps[0])))
        n_rows = np.searchsorted(-sorted_steps, -step, side="left")
        row_step = np.repeat(step, n_rows)
        first_rows = np.cumsum(n_rows) - n_rows
        row_sequence = np.arange(n_rows.sum()) - np.repeat(first_rows, n_rows)
        # Filled sequence by sequence.
        width = sequences[0].shape[1]
        x = np.empty((len(row_step), width), np.float32)
        target = np.empty_like(x)
        for position in range(int(n_rows[0])):
            rows = first_rows[: int(sorted_steps[position]) - begin] + position
            frames = sequences[order[position]][begin : begin + len(rows) + 1]
            x[rows], target[rows] = frames[:-1], frames[1:]
        yield PackedBlock(x, target, n_rows.astype(np.int64), order[row_sequence])
