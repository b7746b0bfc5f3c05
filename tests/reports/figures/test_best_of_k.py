"""Expected best of k draws, against every subset."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from fdrnn.reports.figures import best_of_k
from fdrnn.reports.figures.style import drawn
from fdrnn.reports.numbers.evidence import Evidence


def trials(*rows: tuple[str, float, float]) -> pd.DataFrame:
    """State, validation NLL, test NLL of each configuration."""
    table = pd.DataFrame(rows, columns=["state", "valid_nll", "test_nll_pooled"])
    return table.assign(config_index=range(len(rows)))


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


def outcomes(table: pd.DataFrame, k: int) -> list[float | None]:
    """The selected trial's test NLL of every subset of k finished trials."""
    finished = table[table["state"] == "finished"]
    found: list[float | None] = []
    for subset in combinations(finished.itertuples(), k):
        eligible = [one for one in subset if np.isfinite(one.valid_nll)]
        if eligible:
            best = min(eligible, key=lambda one: (one.valid_nll, one.config_index))
            found.append(best.test_nll_pooled)
        else:
            found.append(None)
    return found


def test_against_every_subset() -> None:
    table = best_of_k.best_of_k(DRAWS)
    assert table["k"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    for row in table.itertuples():
        every = outcomes(DRAWS, row.k)
        some = np.array([one for one in every if one is not None])
        assert row.mean == pytest.approx(some.mean())
        assert row.deviation == pytest.approx(some.std(), abs=1e-9)
        assert row.low == np.quantile(some, 0.1, method="inverted_cdf")
        assert row.high == np.quantile(some, 0.9, method="inverted_cdf")
        assert row.none == pytest.approx(every.count(None) / len(every), abs=1e-12)


def test_a_trial_without_a_test_nll_is_never_the_outcome() -> None:
    table = best_of_k.best_of_k(trials(("finished", 8.0, np.nan), ("finished", 9.0, 9.5)))
    assert table["mean"].tolist() == [9.5, 9.5]
    assert table["none"].tolist() == [0.5, 0.0]


def test_the_chances_of_a_rank_sum_to_1_for_many_draws() -> None:
    chances = best_of_k.selection_chances(1000, 1000)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    assert (chances >= 0).all()
    # All draws: the best one is selected.
    assert chances[-1, 0] == 1.0


def test_no_outcome() -> None:
    nothing = trials(("finished", np.inf, np.nan), ("waiting", np.nan, np.nan))
    assert best_of_k.best_of_k(nothing).empty
    assert best_of_k.best_of_k(nothing.head(0)).empty


@pytest.mark.parametrize(("nll", "expected"), [(9.0, 1), (8.6, 2), (8.1, None)])
def test_draws_to_reach(nll: float, expected: int | None) -> None:
    table = pd.DataFrame({"k": [1, 2, 3], "mean": [8.9, 8.5, 8.2]})
    assert best_of_k.draws_to_reach(table, nll) == expected


def test_the_last_point_is_table_1_s_number(fd: Evidence) -> None:
    table = best_of_k.best_of_k(fd.trials)
    assert fd.best is not None
    assert len(table) == 8
    assert table["mean"].iloc[-1] == pytest.approx(fd.best["test_nll_pooled"])
    assert table["low"].iloc[-1] == table["high"].iloc[-1] == fd.best["test_nll_pooled"]


def test_the_figure_has_both_studies_and_the_paper_s_line(fd: Evidence, plain: Evidence) -> None:
    figure = best_of_k.figure(fd, plain)
    assert figure is not None
    axes = drawn(figure.draw).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    for label, evidence in (("FD-RNN", fd), ("plain RNN", plain)):
        np.testing.assert_array_equal(
            lines[label].get_ydata(), best_of_k.best_of_k(evidence.trials)["mean"]
        )
    assert lines["paper, FD"].get_ydata() == [8.01, 8.01]
    assert "all 8 draws give a test NLL of 9.02, above the paper's 8.01." in figure.caption
    assert "quick ones" not in figure.caption


def test_a_plain_study_stands_beside_the_plain_number_that_the_paper_cites(plain: Evidence) -> None:
    figure = best_of_k.figure(plain)
    assert figure is not None
    lines = {line.get_label(): line for line in drawn(figure.draw).axes[0].lines}
    assert lines["plain, cited by the paper"].get_ydata() == [8.58, 8.58]
    assert "paper, FD" not in lines
    assert "the 8.58 that the paper cites" in figure.caption


def test_the_answer_says_from_which_draw_on_and_that_quick_trials_finish_first(
    fd: Evidence,
) -> None:
    trials = fd.trials.assign(test_nll_pooled=fd.trials["valid_nll"].rank() / 10 + 7.5)
    trials.loc[trials["config_index"] == 0, "state"] = "running"
    figure = best_of_k.figure(replace(fd, trials=trials))
    assert figure is not None
    table = best_of_k.best_of_k(trials)
    k = best_of_k.draws_to_reach(table, 8.01)
    assert k is not None
    draws = "draw" if k == 1 else "draws"
    assert f"from {k} {draws} on the expected test NLL is at most the paper's" in figure.caption
    assert "Of 8 trials 7 have finished, quick ones first" in figure.caption


def test_a_level_that_is_left_again_is_not_reached() -> None:
    table = pd.DataFrame({"k": [1, 2, 3], "mean": [8.0, 8.5, 8.2]})
    assert best_of_k.draws_to_reach(table, 8.3) == 3
    assert best_of_k.draws_to_reach(table, 8.1) is None
