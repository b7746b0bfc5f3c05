"""Bootstrap intervals of a test NLL over test sequences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

N_RESAMPLES = 10_000
LEVEL = 0.95
SEED = 2013
"""Of the resampling; the same for every study, so that a report is the same each time."""

_DRAWS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Interval:
    """Ends of an interval, in nats per predicted step."""

    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """Intervals of both averages of a test NLL; see `test_nll_intervals`."""

    pooled: Interval
    sequence_mean: Interval


def test_nll_intervals(
    sums: npt.NDArray[np.float64],
    steps: npt.NDArray[np.int64],
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
) -> Intervals | None:
    r"""Return 95 % percentile bootstrap intervals of the pooled NLL and of the sequence mean.

    A resample draws as many test sequences as there are, with replacement. Its pooled NLL is the
    ratio :math:`\sum_i s_i / \sum_i n_i` of nats and predicted steps over the drawn sequences,
    its sequence mean the mean of :math:`s_i / n_i`. The interval runs from the 2.5 % to the
    97.5 % quantile over the resamples. It says how much the number depends on which pieces
    happen to be in the test set, for this one trained network; it has no part of the luck of the
    draws and of the training.

    Parameters
    ----------
    sums
        Shape (n,): nats summed over the predicted steps of each sequence.
    steps
        Shape (n,): numbers of predicted steps; sequences with none are left out.
    n_resamples
        Number of resamples.
    seed
        Seed of `numpy.random.default_rng`.

    Returns
    -------
    Intervals or None
        None with fewer than two sequences, or where a sum is not finite.
    """
    scored = steps > 0
    sums, steps = sums[scored], steps[scored]
    n = len(sums)
    if n < 2 or not np.isfinite(sums).all():
        return None
    means = sums / steps
    random = np.random.default_rng(seed)
    pooled, sequence_mean = np.empty(n_resamples), np.empty(n_resamples)
    n_at_once = max(1, _DRAWS_AT_ONCE // n)
    for start in range(0, n_resamples, n_at_once):
        chunk = slice(start, min(start + n_at_once, n_resamples))
        drawn = random.integers(n, size=(chunk.stop - start, n))
        pooled[chunk] = sums[drawn].sum(axis=1) / steps[drawn].sum(axis=1)
        sequence_mean[chunk] = means[drawn].mean(axis=1)
    return Intervals(_percentiles(pooled), _percentiles(sequence_mean))


def _percentiles(values: npt.NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
