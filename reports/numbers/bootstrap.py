"""Bootstrap intervals of a test NLL over test sequences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

N_RESAMPLES = 10_000
LEVEL = 0.95
SEED = 2013
"""Seed of the resampling, the same for every study, so that a report is reproducible."""

_DRAWS_AT_ONCE = 1_000_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """Ends of an interval, in nats per predicted step; None where there is none."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Estimate(Interval):
    """A test NLL, or a difference of two, with its 95 % bootstrap interval over test sequences."""

    value: float | None = None


@dataclass(frozen=True)
class Intervals:
    """Intervals of both averages of a test NLL; see `intervals`."""

    pooled: Interval = Interval()
    sequence_mean: Interval = Interval()


def resampled(sums: Floats, steps: npt.NDArray[np.int64]) -> Floats | None:
    r"""Return nats, predicted steps and the sequence mean of resampled test sequences.

    A resample draws as many test sequences as there are, with replacement. Its pooled NLL is the
    ratio :math:`\sum_i s_i / \sum_i n_i` of nats and predicted steps over the drawn sequences,
    its sequence mean the mean of :math:`s_i / n_i`.

    Parameters
    ----------
    sums
        Shape (n,): nats summed over the predicted steps of each sequence.
    steps
        Shape (n,): numbers of predicted steps; sequences with none are left out.

    Returns
    -------
    numpy.ndarray or None
        Shape (3, `N_RESAMPLES`); the resamples depend on the number of sequences with steps alone.
        None for fewer than two of them, or where a sum is not finite.
    """
    scored = steps > 0
    sums, steps = sums[scored], steps[scored]
    if len(sums) < 2 or not np.isfinite(sums).all():
        return None
    values: Floats = np.stack([sums, steps, sums / steps / len(sums)])
    n, random = len(sums), np.random.default_rng(SEED)
    at_once = max(1, _DRAWS_AT_ONCE // n)
    parts: list[Floats] = []
    for first in range(0, N_RESAMPLES, at_once):
        drawn = random.integers(0, n, (min(at_once, N_RESAMPLES - first), n))
        parts.append(np.stack([one[drawn].sum(axis=1) for one in values]))
    return np.concatenate(parts, axis=1)


def intervals(resamples: Floats | None) -> Intervals:
    """Return 95 % percentile bootstrap intervals of the pooled NLL and of the sequence mean.

    They show how much the number depends on which pieces are in the test set, for this one
    trained network; the luck of the draws and of the training is not part of it.

    Parameters
    ----------
    resamples
        As `resampled` returns them; without these the intervals have no ends.
    """
    if resamples is None:
        return Intervals()
    nats, steps, mean = resamples
    return Intervals(interval(nats / steps), interval(mean))


def interval(resamples: Floats) -> Interval:
    """Return the percentile interval of a number's resamples."""
    low, high = np.percentile(resamples, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Interval(float(low), float(high))
