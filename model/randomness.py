"""Random numbers of a training run, from its seed and counters alone.

A run restored from the state of its last finished epoch therefore resumes with the same bits,
without the state of a generator.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def data_order(seed: int, epoch: int, n_chunks: int) -> npt.NDArray[np.int64]:
    """Return the order of the chunks in an epoch, from (seed, epoch)."""
    return np.random.default_rng((seed, epoch)).permutation(n_chunks)


def noise_generator(seed: int, epoch: int, minibatch: int) -> np.random.Generator:
    """Return the generator of a minibatch's noise, from (seed, epoch, number of the minibatch)."""
    # A spawn key, because (seed, epoch) itself is the seed of the order of the data.
    sequence = np.random.SeedSequence((seed, epoch), spawn_key=(minibatch,))
    return np.random.Generator(np.random.SFC64(sequence))


def standard_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return draws of N(0, 1) that have the same bits with every C library.

    Drawn in float64 and rounded. In the tails, 2.6e-4 of all draws, NumPy uses the C library's
    log1p. Versions differ in its last bit, which rounding hides but for one of 5e8 draws there.
    NumPy's own float32 draws show the differences of log1pf.
    """
    return rng.standard_normal(shape).astype(np.float32)
