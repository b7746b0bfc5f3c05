"""Figures of the gradient's two parts, from made-up records on real curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn_figure import drawn
from made_evidence import with_reads

from fdrnn.reports.figures import decomposition
from fdrnn.reports.numbers.decomposition import rank_correlation, total_norms
from fdrnn.reports.numbers.evidence import Evidence


@pytest.fixture
def recorded(fd_curves: pd.DataFrame) -> pd.DataFrame:
    """Curves as of a study that records the decomposition, all numbers apart."""
    rng = np.random.default_rng(0)
    table = fd_curves.copy()
    for matrix in ("W_in", "W_rec", "W_out"):
        for name in ("loss_gradient_norm", "regularizer_gradient_norm", "regularizer_ratio"):
            table[f"{name}_{matrix}"] = 0.1 + rng.random(len(table))
        table[f"pulled_share_{matrix}"] = rng.random(len(table))
    for units in ("hidden", "output"):
        shares = rng.dirichlet((1, 1, 1), len(table)).T
        for sign, share in zip(("negative", "zero", "positive"), shares, strict=True):
            table[f"delta_{sign}_{units}"] = share
    return table


def test_a_study_without_records_has_no_such_figure(fd: Evidence) -> None:
    assert decomposition.figures(fd) == []


def test_the_parts_over_training_are_the_selected_trial_s(
    fd: Evidence, recorded: pd.DataFrame
) -> None:
    parts, _ = decomposition.figures(with_reads(fd, curves=recorded))
    own = recorded[recorded["config_index"] == fd.selected]
    ratio, pulled, hidden, output = drawn(parts.draw).axes
    for axes, column in ((ratio, "regularizer_ratio"), (pulled, "pulled_share")):
        for line, matrix in zip(axes.get_lines(), ("W_in", "W_rec", "W_out"), strict=False):
            np.testing.assert_array_equal(line.get_ydata(), own[f"{column}_{matrix}"])
    for axes, units in ((hidden, "hidden"), (output, "output")):
        negative = axes.collections[0].get_paths()[0].vertices[:, 1].max()
        assert negative == own[f"delta_negative_{units}"].max()
    first, last = (own["regularizer_ratio_W_rec"].iloc[k] for k in (0, -1))
    assert f"W_rec {first:.3g} after the first epoch, {last:.3g} after the last" in parts.caption


def test_an_ordinary_final_layer_is_left_out(fd: Evidence, recorded: pd.DataFrame) -> None:
    without = recorded.assign(
        regularizer_ratio_W_out=np.nan,
        regularizer_gradient_norm_W_out=np.nan,
        loss_gradient_norm_W_out=np.nan,
        delta_negative_output=np.nan,
    )
    parts, vanishing = decomposition.figures(with_reads(fd, curves=without))
    assert "W_out" not in parts.caption
    assert len(drawn(parts.draw).axes) == 3
    norms = total_norms(without)
    expected = np.hypot(
        without["regularizer_gradient_norm_W_in"], without["regularizer_gradient_norm_W_rec"]
    )
    np.testing.assert_allclose(norms["regularizer"], expected[norms.index])
    assert drawn(vanishing.draw).axes


def test_a_figure_of_which_nothing_is_known_of_the_selected_trial_is_left_out(
    fd: Evidence, recorded: pd.DataFrame
) -> None:
    own = recorded["config_index"] == fd.selected
    unknown = recorded.copy()
    unknown.loc[own, recorded.columns.str.startswith("loss_gradient_norm")] = np.inf
    (parts,) = decomposition.figures(with_reads(fd, curves=unknown))
    assert parts.name.endswith("-decomposition")
    unknown.loc[own, recorded.columns.str.startswith("delta_negative")] = np.nan
    assert decomposition.figures(with_reads(fd, curves=unknown)) == []


def test_norms_are_against_each_other_and_the_loss(fd: Evidence, recorded: pd.DataFrame) -> None:
    recorded.loc[recorded.index[3], "regularizer_gradient_norm_W_rec"] = np.inf
    _, vanishing = decomposition.figures(with_reads(fd, curves=recorded))
    gradient, nll = drawn(vanishing.draw).axes
    own = recorded[recorded["config_index"] == fd.selected]
    own = own[np.isfinite(own["regularizer_gradient_norm_W_rec"])]
    squares = sum(own[f"loss_gradient_norm_{matrix}"] ** 2 for matrix in ("W_in", "W_rec", "W_out"))
    selected = {line.get_label(): line for line in gradient.get_lines()}["selected"]
    np.testing.assert_allclose(selected.get_xdata(), np.sqrt(squares))
    selected = {line.get_label(): line for line in nll.get_lines()}["selected"]
    np.testing.assert_array_equal(selected.get_xdata(), own["train_nll"])


def test_rank_correlation_by_its_definition() -> None:
    norms = pd.DataFrame({"loss_gradient": [1, 2, 4, 8, 9.0], "regularizer": [2, 1, 30, 4, 50.0]})
    # 1 - 6 sum d^2 / n (n^2 - 1), for ranks without ties.
    difference = np.array([1 - 2, 2 - 1, 3 - 4, 4 - 3, 0])
    assert rank_correlation(norms) == pytest.approx(1 - 6 * (difference**2).sum() / (5 * 24))
    assert np.isnan(rank_correlation(norms.assign(regularizer=1.0)))
