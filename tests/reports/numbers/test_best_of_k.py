"""Expected best of k draws, against every subset."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fdrnn.reports.numbers import best_of_k


def trials(*rows: tuple[str, float, float]) -> pd.DataFrame:
    """State, validation NLL, test NLL of each configuration; the i-th took i + 1 minutes."""
    table = pd.DataFrame(rows, columns=["state", "valid_nll", "test_nll_pooled"])
    minutes = np.arange(1, len(rows) + 1)
    return table.assign(config_index=range(len(rows)), seconds=60.0 * minutes)


DRAWS = trials(
    ("finished", 8.2, 8.30),
    ("finished", 8.0, 8.40),
    ("running", np.nan, np.nan),
    ("finished", 9.0, 8.10),
    ("finished", 8.2, 8.20),  # a tie with the first, which wins it
    ("finished", np.inf, np.nan),  # diverged at once
    ("failed", np.nan, np.nan),
    ("finished", 12.0, 15.0),
    ("finished", np.inf, np.nan),
)


HALVED = trials(
    ("finished", 8.2, 8.30),
    *(("pruned", 9.0, np.nan) for _ in range(5)),
    ("finished", 8.0, 8.40),
    ("finished", 8.1, 8.05),
    ("pruned", 8.05, np.nan),
    ("finished", 9.5, 15.0),
)

OTHER_PLAN = trials(
    ("pruned", 7.9, np.nan),  # by rungs that the selected one did not meet
    ("finished", 8.0, 8.40),
    ("pruned", 8.3, np.nan),
    ("finished", 9.0, 9.1),
    ("pruned", np.inf, np.nan),
)


def subsets(table: pd.DataFrame, k: int) -> list[tuple[Any, ...]]:
    """Every subset of k finished or pruned trials."""
    ended = table[table["state"].isin(["finished", "pruned"])]
    return list(combinations(ended.itertuples(), k))


def outcomes(table: pd.DataFrame, k: int) -> list[float | None]:
    """The selected trial's test NLL of every subset of k draws; None where a pruned one is best."""
    found: list[float | None] = []
    selected = table.loc[table["state"] == "finished", "valid_nll"].min()
    for subset in subsets(table, k):
        best, test_nll = np.inf, None
        for one in sorted(subset, key=lambda one: (one.state != "finished", one.config_index)):
            if one.valid_nll < best and (one.state == "finished" or best != selected):
                best, test_nll = one.valid_nll, one.test_nll_pooled
        found.append(test_nll if test_nll is not None and np.isfinite(test_nll) else None)
    return found


@pytest.mark.parametrize(("draws", "n"), [(DRAWS, 7), (HALVED, 10), (OTHER_PLAN, 5)])
def test_against_every_subset(draws: pd.DataFrame, n: int) -> None:
    table = best_of_k.best_of_k(draws)
    assert table["k"].tolist() == list(range(1, n + 1))
    for row in table.itertuples():
        every = outcomes(draws, row.k)
        some = np.array([one for one in every if one is not None])
        assert row.mean == pytest.approx(some.mean())
        assert row.deviation == pytest.approx(some.std(), abs=1e-9)
        assert row.low == np.quantile(some, 0.1, method="inverted_cdf")
        assert row.high == np.quantile(some, 0.9, method="inverted_cdf")
        assert row.none == pytest.approx(every.count(None) / len(every), abs=1e-12)
        cost = [sum(one.seconds for one in subset) for subset in subsets(draws, row.k)]
        assert row.hours == pytest.approx(np.mean(cost) / 3600)


def test_a_curve_begins_where_nine_of_ten_subsets_have_an_outcome() -> None:
    known = {k: [one is not None for one in outcomes(HALVED, k)] for k in range(1, 11)}
    expected = [k for k, ones in known.items() if np.mean(ones) >= 0.9]
    assert 1 < expected[0] < 10
    table = best_of_k.with_outcome(HALVED)
    assert table["k"].tolist() == expected
    pd.testing.assert_frame_equal(
        table, best_of_k.best_of_k(HALVED).tail(len(expected)).reset_index(drop=True)
    )


def test_a_curve_begins_where_exactly_nine_of_ten_have_one() -> None:
    draws = trials(*[("finished", 8.0, 8.1)] * 9, ("finished", np.inf, np.nan))
    assert best_of_k.with_outcome(draws)["k"].iloc[0] == 1


def test_a_trial_without_a_test_nll_is_never_the_outcome() -> None:
    table = best_of_k.best_of_k(trials(("finished", 8.0, np.nan), ("finished", 9.0, 9.5)))
    assert table["mean"].tolist() == [9.5, 9.5]
    assert table["none"].tolist() == [0.5, 0.0]


def test_the_chances_of_a_rank_sum_to_1_for_many_draws() -> None:
    for k in (1, 2, 500, 999, 1000):
        chances = best_of_k.selection_chances(k, 1000, 1000)
        assert chances.sum() == pytest.approx(1.0)
        assert (chances >= 0).all()
    # All draws: the best one is selected.
    assert chances[0] == 1.0


def test_a_curve_of_many_draws_has_500_points_and_both_ends() -> None:
    nll = np.random.default_rng(0).normal(8.0, 0.5, 5000)
    draws = trials(*(("finished", one, one) for one in nll))
    table = best_of_k.best_of_k(draws)
    assert len(table) == 500
    assert table["k"].tolist()[:250] == list(range(1, 251))
    assert table["k"].is_unique
    assert table["k"].is_monotonic_increasing
    last = table.iloc[-1]
    assert (last["k"], last["mean"], last["hours"]) == (
        5000,
        nll.min(),
        draws["seconds"].sum() / 3600,
    )
    assert table["mean"].iloc[0] == pytest.approx(nll.mean())


def test_no_outcome() -> None:
    nothing = trials(("finished", np.inf, np.nan), ("waiting", np.nan, np.nan))
    assert best_of_k.best_of_k(nothing).empty
    assert best_of_k.best_of_k(nothing.head(0)).empty


@pytest.mark.parametrize(("nll", "expected"), [(9.0, 1), (8.6, 2), (8.1, None)])
def test_draws_to_reach(nll: float, expected: int | None) -> None:
    table = pd.DataFrame({"k": [1, 2, 3], "mean": [8.9, 8.5, 8.2]})
    assert best_of_k.draws_to_reach(table, nll) == expected


def test_a_level_that_is_left_again_is_not_reached() -> None:
    table = pd.DataFrame({"k": [1, 2, 3], "mean": [8.0, 8.5, 8.2]})
    assert best_of_k.draws_to_reach(table, 8.3) == 3
    assert best_of_k.draws_to_reach(table, 8.1) is None
