"""Bootstrap intervals of a test NLL over test sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

N_RESAMPLES = 10_000
LEVEL = 0.95
SEED = 2013
"""Seed of the resampling, the same for every study, so that a report is reproducible."""

_DRAWS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Interval:
    """Ends of an interval, in nats per predicted step; None where there is none."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Intervals:
    """Intervals of both averages of a test NLL; see `test_nll_intervals`."""

    pooled: Interval = Interval()
    sequence_mean: Interval = Interval()


def test_nll_intervals(sums: npt.NDArray[np.float64], steps: npt.NDArray[np.int64]) -> Intervals:
    r"""Return 95 % percentile bootstrap intervals of the pooled NLL and of the sequence mean.

    A resample draws as many test sequences as there are, with replacement. Its pooled NLL is the
    ratio :math:`\sum_i s_i / \sum_i n_i` of nats and predicted steps over the drawn sequences,
    its sequence mean the mean of :math:`s_i / n_i`. The interval shows how much the number
    depends on which pieces are in the test set, for this one trained network; the luck of the
    draws and of the training is not part of it.

    Parameters
    ----------
    sums
        Shape (n,): nats summed over the predicted steps of each sequence.
    steps
        Shape (n,): numbers of predicted steps; sequences with none are left out.

    Returns
    -------
    Intervals
        Without ends for fewer than two sequences, or where a sum is not finite.
    """
    scored = steps > 0
    sums, steps = sums[scored], steps[scored]
    if len(sums) < 2 or not np.isfinite(sums).all():
        return Intervals()
    return Intervals(
        _interval(lambda sums, steps, axis: sums.sum(axis) / steps.sum(axis), sums, steps),
        _interval(lambda means, axis: means.mean(axis), sums / steps),
    )


def _interval(
    statistic: Callable[..., npt.NDArray[np.float64]], *data: npt.NDArray[Any]
) -> Interval:
    found = stats.bootstrap(
        data,
        statistic,
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=LEVEL,
        n_resamples=N_RESAMPLES,
        batch=max(1, _DRAWS_AT_ONCE // len(data[0])),
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(float(found.low), float(found.high))
