"""Bootstrap intervals, against all resamples and against one by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fdrnn.reports.numbers import bootstrap
from fdrnn.reports.numbers.bootstrap import Intervals
from fdrnn.reports.numbers.evidence import Evidence, difference

SUMS = np.array([60.0, 100.0, 21.0])
STEPS = np.array([10, 12, 3])


def intervals_of(sums: npt.NDArray[Any], steps: npt.NDArray[Any]) -> Intervals:
    return bootstrap.intervals(bootstrap.resampled(sums, steps))


def test_against_every_resample_of_three_sequences() -> None:
    draws = [list(draw) for draw in product(range(3), repeat=3)]
    pooled = [SUMS[draw].sum() / STEPS[draw].sum() for draw in draws]
    means = [(SUMS[draw] / STEPS[draw]).mean() for draw in draws]
    found = intervals_of(SUMS, STEPS)
    for interval, values in ((found.pooled, pooled), (found.sequence_mean, means)):
        assert (interval.low, interval.high) == pytest.approx(
            np.quantile(values, [0.025, 0.975], method="inverted_cdf"), abs=1e-12
        )


def test_against_a_bootstrap_by_hand() -> None:
    random = np.random.default_rng(1)
    steps = random.integers(5, 200, 80)
    sums = steps * random.normal(8.0, 1.0, 80)
    draws = np.random.default_rng(2).integers(80, size=(20_000, 80))
    pooled = sums[draws].sum(axis=1) / steps[draws].sum(axis=1)
    low, high = np.quantile(pooled, [0.025, 0.975])
    found = intervals_of(sums, steps).pooled
    # Two runs of a bootstrap with 10,000 resamples differ by about a hundredth of the width.
    assert found.low == pytest.approx(low, abs=0.03 * (high - low))
    assert found.high == pytest.approx(high, abs=0.03 * (high - low))


def test_the_same_each_time() -> None:
    assert intervals_of(SUMS, STEPS) == intervals_of(SUMS, STEPS)


def test_sequences_without_a_predicted_step_have_no_part() -> None:
    with_empty = intervals_of(np.append(SUMS, 0.0), np.append(STEPS, 0))
    assert with_empty == intervals_of(SUMS, STEPS)


@pytest.mark.parametrize(
    ("sums", "steps"), [([], []), ([8.0], [1]), ([8.0, np.inf], [1, 1]), ([8.0, 0.0], [1, 0])]
)
def test_no_interval(sums: list[float], steps: list[int]) -> None:
    assert intervals_of(np.array(sums), np.array(steps, dtype=np.int64)) == Intervals()


def test_a_study_is_resampled_once(
    fd: Evidence, plain: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For its own intervals and for every difference from another."""
    expected = fd.intervals, plain.intervals
    calls = []
    resampled = bootstrap.resampled
    monkeypatch.setattr(bootstrap, "resampled", lambda *of: (calls.append(of), resampled(*of))[1])
    one, other = replace(fd), replace(plain)
    assert difference(one, other).low is not None
    assert (one.intervals, other.intervals) == expected
    assert difference(other, one).low is not None
    assert len(calls) == 2
