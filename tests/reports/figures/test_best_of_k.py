"""The figure of the expected best of k draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn_figure import drawn
from made_evidence import with_reads

from fdrnn.reports.figures import best_of_k
from fdrnn.reports.numbers import best_of_k as numbers
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.search.design.halving import Halving
from fdrnn.studies.catalogue import find


def test_the_last_point_is_table_1_s_number(fd: Evidence) -> None:
    table = numbers.best_of_k(fd.trials)
    assert fd.best is not None
    assert len(table) == 8
    assert table["mean"].iloc[-1] == pytest.approx(fd.best["test_nll_pooled"])
    assert table["low"].iloc[-1] == table["high"].iloc[-1] == fd.best["test_nll_pooled"]


def test_the_figure_has_both_studies_and_the_paper_s_line(fd: Evidence, plain: Evidence) -> None:
    figure = best_of_k.figure(fd, plain)
    assert figure is not None
    for axes, name in zip(drawn(figure.draw).axes, ("k", "hours"), strict=True):
        lines = {line.get_label(): line for line in axes.lines}
        assert list(lines) == ["FD-RNN", "plain RNN", "paper, FD"]
        for label, evidence in (("FD-RNN", fd), ("plain RNN", plain)):
            table = numbers.best_of_k(evidence.trials)
            np.testing.assert_array_equal(lines[label].get_xdata(), table[name])
            np.testing.assert_array_equal(lines[label].get_ydata(), table["mean"])
        assert lines["paper, FD"].get_ydata() == [8.01, 8.01]
    assert "all 8 draws give a test NLL of 9.02, above the paper's 8.01." in figure.caption
    assert "quick ones" not in figure.caption
    assert "Pruned" not in figure.caption
    assert "A curve begins" not in figure.caption


def test_a_network_that_is_higher_everywhere_is_seen(fd: Evidence, plain: Evidence) -> None:
    worse = with_reads(
        plain, plain.trials.assign(test_nll_pooled=plain.trials["test_nll_pooled"] + 9)
    )
    figure = best_of_k.figure(fd, worse)
    assert figure is not None
    axes = drawn(figure.draw).axes[0]
    _, top = axes.get_ylim()
    for line in axes.lines:
        assert np.min(np.asarray(line.get_ydata(), float)) < top, line.get_label()


def test_networks_are_named_with_their_output_and_compared_with_their_own_kind(
    fd: Evidence,
) -> None:
    def defined(name: str) -> Evidence:
        return replace(fd, study=replace(fd.study, definition=find(name)))

    nade = best_of_k.figure(defined("jsb-nade"))
    assert nade is not None
    assert [line.get_label() for line in drawn(nade.draw).axes[0].lines] == [
        "FD-RNN, NADE",
        "RNN-NADE, cited by the paper",
    ]
    # The paper has a number of fast dropout, and cites one of plain RNNs.
    lstm = best_of_k.figure(defined("jsb-lstm"))
    assert lstm is not None
    assert "paper" not in lstm.alt


def test_all_draws_cost_the_wall_time_of_all_trials(fd: Evidence, fd_curves: pd.DataFrame) -> None:
    table = numbers.best_of_k(fd.trials)
    assert table["hours"].iloc[-1] == pytest.approx(fd_curves["seconds"].sum() / 3600)


def halved(full: Evidence) -> Evidence:
    """The study with halving, which pruned all but the three trials with the lowest NLL."""
    definition = replace(full.definition, name="halved", halving=Halving((2,)))
    kept = full.trials["valid_nll"].rank() <= 3
    trials = full.trials.assign(
        state=np.where(kept, "finished", "pruned"),
        test_nll_pooled=full.trials["test_nll_pooled"].where(kept),
        seconds=full.trials["seconds"] * np.where(kept, 1.0, 0.2),
    )
    return replace(full, study=replace(full.study, definition=definition), trials=trials)


def test_the_same_search_with_halving_and_without_are_told_apart(
    fd: Evidence, plain: Evidence
) -> None:
    other = halved(fd)
    figure = best_of_k.figure(fd, plain, other)
    assert figure is not None
    labels = ["FD-RNN, no halving", "plain RNN", "FD-RNN, halving", "paper, FD"]
    for axes, name in zip(drawn(figure.draw).axes, ("k", "hours"), strict=True):
        lines = {line.get_label(): line for line in axes.lines}
        assert list(lines) == labels
        table = numbers.with_outcome(other.trials)
        np.testing.assert_array_equal(lines["FD-RNN, halving"].get_xdata(), table[name])
        np.testing.assert_array_equal(lines["FD-RNN, halving"].get_ydata(), table["mean"])
        looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
        assert len(looks) == 4
    hours = [one.trials["seconds"].sum() / 3600 for one in (fd, other)]
    lowest = fd.trials.loc[fd.trials["valid_nll"].idxmin(), "test_nll_pooled"]
    assert (
        f"Its draws took {hours[0]:.2f} worker hours; those of halved (8, halving) took "
        f"{hours[1]:.2f} and give {lowest:.2f}."
    ) in figure.caption
    assert "Pruned ones count, too; subsets whose lowest" in figure.caption
    assert "A curve begins where 90 % of the subsets have a trial" in figure.caption
    other_way = best_of_k.figure(other, None, fd)
    assert other_way is not None
    (legend,) = (axes.get_legend() for axes in drawn(other_way.draw).axes if axes.get_legend())
    expected = ["FD-RNN, halving", "FD-RNN, no halving", "paper, FD"]
    assert [text.get_text() for text in legend.get_texts()] == expected


def test_the_axis_ends_at_the_highest_mean_of_the_network_whose_is_lower(
    fd: Evidence, plain: Evidence
) -> None:
    other = halved(fd)
    figure = best_of_k.figure(other, plain, fd)
    assert figure is not None
    highest = [numbers.with_outcome(one.trials)["mean"].max() for one in (other, plain, fd)]
    of_fd = max(highest[0], highest[2])
    assert of_fd > highest[0]
    for axes in drawn(figure.draw).axes:
        low, high = axes.get_ylim()
        assert low < min(8.01, other.trials["test_nll_pooled"].min())
        end = max(8.01, min(of_fd, highest[1]))
        assert end < high < end + 0.1 * (end - low)


def test_a_curve_that_begins_below_the_paper_s_number_says_where_it_begins(fd: Evidence) -> None:
    other = halved(fd)
    low = replace(
        other, trials=other.trials.assign(test_nll_pooled=other.trials["test_nll_pooled"] - 3)
    )
    figure = best_of_k.figure(low)
    assert figure is not None
    k = numbers.with_outcome(low.trials)["k"].iloc[0]
    assert f"from {k} draws on, where the curve begins, the expected test NLL" in figure.caption


def test_the_dot_of_a_single_draw_lies_inside_the_axes(fd: Evidence) -> None:
    one = replace(fd, trials=fd.trials[fd.trials["config_index"] == fd.selected])
    figure = best_of_k.figure(one)
    assert figure is not None
    for axes in drawn(figure.draw).axes:
        (dot,) = (line for line in axes.lines if line.get_marker() == "o")
        ((x, y),) = axes.transAxes.inverted().transform(axes.transData.transform(dot.get_xydata()))
        assert 0.04 < x < 0.96
        assert 0.02 < y < 0.98


def test_subsets_without_a_test_nll_are_named(fd: Evidence) -> None:
    """One of 16 draws diverged at once: alone it is no outcome, and the curve begins at 1 draw."""
    again = fd.trials.assign(config_index=fd.trials["config_index"] + len(fd.trials))
    trials = pd.concat([fd.trials, again], ignore_index=True)
    whole = best_of_k.figure(replace(fd, trials=trials))
    trials.loc[3, ["valid_nll", "test_nll_pooled"]] = np.nan
    part = best_of_k.figure(replace(fd, trials=trials))
    assert whole is not None
    assert part is not None
    assert numbers.with_outcome(trials)["none"].iloc[0] == pytest.approx(1 / 16)
    sentence = "Subsets in which no trial has a test NLL are left out."
    assert [sentence in one.caption for one in (whole, part)] == [False, True]


def test_a_plan_without_an_outcome_is_left_out(fd: Evidence) -> None:
    waiting = fd.trials.assign(state="waiting", test_nll_pooled=np.nan)
    figure = best_of_k.figure(fd, None, replace(halved(fd), trials=waiting))
    assert figure is not None
    labels = [line.get_label() for line in drawn(figure.draw).axes[1].lines]
    assert labels == ["FD-RNN, no halving", "paper, FD"]
    assert "worker hours; those of" not in figure.caption


def test_a_plain_study_stands_beside_the_plain_number_that_the_paper_cites(plain: Evidence) -> None:
    figure = best_of_k.figure(plain)
    assert figure is not None
    lines = {line.get_label(): line for line in drawn(figure.draw).axes[0].lines}
    assert lines["plain, cited by the paper"].get_ydata() == [8.58, 8.58]
    assert "paper, FD" not in lines
    assert "the 8.58 that the paper cites" in figure.caption


def test_a_nade_stands_beside_the_cited_one(fd: Evidence) -> None:
    study = replace(fd.study, definition=find("jsb-nade"))
    figure = best_of_k.figure(replace(fd, study=study))
    assert figure is not None
    lines = {line.get_label(): line for line in drawn(figure.draw).axes[0].lines}
    assert lines["RNN-NADE, cited by the paper"].get_ydata() == [5.19, 5.19]
    assert "above the 5.19 that the paper cites" in figure.caption


def test_the_answer_says_from_which_draw_on_and_that_quick_trials_finish_first(
    fd: Evidence,
) -> None:
    trials = fd.trials.assign(test_nll_pooled=fd.trials["valid_nll"].rank() / 10 + 7.5)
    trials.loc[trials["config_index"] == 0, "state"] = "running"
    figure = best_of_k.figure(replace(fd, trials=trials))
    assert figure is not None
    table = numbers.best_of_k(trials)
    k = numbers.draws_to_reach(table, 8.01)
    assert k is not None
    draws = "draw" if k == 1 else "draws"
    assert f"from {k} {draws} on the expected test NLL is at most the paper's" in figure.caption
    assert "Of 8 trials 7 have finished, quick ones first" in figure.caption


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("failed", ""),
        ("running", "Of 8 trials 7 have finished or were pruned, quick ones first"),
    ],
)
def test_a_curve_changes_while_trials_are_to_come(fd: Evidence, rest: str, expected: str) -> None:
    trials = fd.trials.copy()
    trials.loc[trials["config_index"] == 0, ["state", "test_nll_pooled"]] = ["pruned", np.nan]
    trials.loc[trials["config_index"] == 1, "state"] = rest
    figure = best_of_k.figure(replace(fd, trials=trials))
    assert figure is not None
    assert expected in figure.caption
    assert ("quick ones first" in figure.caption) == bool(expected)
