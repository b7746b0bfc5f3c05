"""Validation NLL over chunks and test NLL over whole sequences."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import Chunks
from fdrnn.datasets.dataset import Sequences
from fdrnn.model.network import Network
from fdrnn.model.packing import PackedChunks, pack_chunks, pack_sequences

CHUNKS_PER_BATCH = 100


def pack_for_validation(chunks: Chunks) -> list[PackedChunks]:
    """Pack all chunks, sorted by padding so that batches share most of it."""
    order = np.argsort(chunks.starts, kind="stable")
    return [
        pack_chunks(chunks, order[begin : begin + CHUNKS_PER_BATCH])
        for begin in range(0, len(order), CHUNKS_PER_BATCH)
    ]


def validation_nll(network: Network, batches: list[PackedChunks]) -> tuple[float, float]:
    """Return NLL in nats per predicted step with the padding counted, and masked.

    The first is NaN where the output cannot predict padding.
    """
    sums = np.zeros(2)
    steps = np.zeros(2)
    for batch in batches:
        nll, _ = network.score(batch, network.initial_state())
        for i, weights in enumerate((batch.counted, batch.masked)):
            # A weight of 0 leaves an infinite NLL out, too.
            seen = weights > 0
            # Exact products and sum: NumPy's have other last bits on other CPUs.
            sums[i] += math.fsum(nll[seen].astype(np.float64) * weights[seen])
            steps[i] += weights.sum(dtype=np.float64)
    counted, masked = sums / np.maximum(steps, 1.0)
    return float(counted) if network.output.counts_padding else math.nan, float(masked)


def sequence_nll(
    network: Network, sequences: Sequences
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Score whole sequences.

    Returns
    -------
    sums
        float64, shape (n_sequences,): nats summed over the predicted steps x_2 .. x_T.
    steps
        int64, shape (n_sequences,): T - 1.
    """
    sums = np.zeros(len(sequences))
    state = network.initial_state()
    for block in pack_sequences(sequences):
        nll, state = network.score(block, state)
        sums += np.bincount(block.sequence, weights=nll, minlength=len(sequences))
    return sums, np.array([len(sequence) - 1 for sequence in sequences], np.int64)
