"""Tests of a count, beside all outcomes of some draws, enumerated."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from math import prod

import pytest

from fdrnn.reports.numbers.count_tests import (
    CountTest,
    fewest_draws,
    largest_p_value,
    low_count_test,
    sign_test,
)


def outcomes(n: int, share: float) -> Iterator[tuple[int, float]]:
    """Yield the count of every outcome of n draws, and the outcome's probability."""
    for draws in product([0, 1], repeat=n):
        yield sum(draws), prod(share if holds else 1 - share for holds in draws)


@pytest.mark.parametrize("n", range(1, 11))
def test_the_sign_test_is_of_counts_at_least_as_far_from_half(n: int) -> None:
    for holds in range(n + 1):
        far = (chance for k, chance in outcomes(n, 0.5) if abs(2 * k - n) >= abs(2 * holds - n))
        assert sign_test(holds, n) == pytest.approx(sum(far), rel=1e-12)


@pytest.mark.parametrize("n", range(1, 11))
def test_the_one_sided_test_is_of_counts_as_low(n: int) -> None:
    for holds in range(n + 1):
        low = sum(chance for k, chance in outcomes(n, 0.95) if k <= holds)
        assert low_count_test(holds, n, 0.95) == pytest.approx(low, rel=1e-9)


@pytest.mark.parametrize("test", [sign_test, partial(low_count_test, share=0.95)])
def test_the_largest_p_value_is_of_some_outcome_of_the_draws_left_out(test: CountTest) -> None:
    for holds, judged, left_out in product(range(5), [4], range(6)):
        possible = [test(holds + more, judged + left_out) for more, _ in outcomes(left_out, 0.5)]
        assert largest_p_value(test, holds, judged, left_out) == max(possible)


def test_five_draws_are_too_few() -> None:
    assert fewest_draws() == 6
    assert sign_test(5, 5) == 2 / 2**5 > 0.05 > sign_test(6, 6) == 2 / 2**6
