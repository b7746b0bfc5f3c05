"""Exact tests of a count: in so many of the judged draws a claim holds.

A draw counts once, however many epochs it has: draws of a space are independent of each other,
epochs of a trial are not.

The sign test is the one for all claims that compare numbers. Wilcoxon's signed-rank test ranks the
sizes of the differences, too, and so finds smaller effects, but only of differences that are
symmetric about their median. Those of spectral radii are not: radii of one comparison range from 5
to 150. Its p value would not be that of the count beside it, and of four or five draws none is
significant in it either.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

SIGNIFICANCE = 0.05
"""A p value below it is called significant."""

CountTest = Callable[[int, int], float]
"""Returns the p value of a count: in how many draws a claim holds, and of how many."""


def sign_test(holds: int, judged: int) -> float:
    """Return the two-sided p value of a count if a claim were as likely to hold as not.

    Examples
    --------
    >>> sign_test(4, 4)
    0.125
    """
    return min(1.0, 2 * _at_most(min(holds, judged - holds), judged, 0.5))


def low_count_test(holds: int, judged: int, share: float) -> float:
    """Return how likely a count so low is if a claim held in a given share of the draws.

    Examples
    --------
    >>> round(low_count_test(1, 2, 0.95), 4)
    0.0975
    """
    return _at_most(holds, judged, share)


def _at_most(holds: int, judged: int, share: float) -> float:
    # Here, because every `fdrnn run` imports this module; `scipy.stats` takes longer still.
    from scipy.special import bdtr  # noqa: PLC0415

    return float(bdtr(holds, judged, share))


def largest_p_value(test: CountTest, holds: int, judged: int, left_out: int) -> float:
    """Return the largest p value that a count could have had with the draws left out of it.

    Parameters
    ----------
    test
        The test of the count.
    holds, judged
        The count, and of how many draws.
    left_out
        How many draws more there would have been, in each of which the claim holds or does not.
    """
    return max(test(holds + more, judged + left_out) for more in range(left_out + 1))


def fewest_draws() -> int:
    """Return of how many draws a count can be significant in the sign test."""
    return next(n for n in count(1) if sign_test(n, n) < SIGNIFICANCE)
