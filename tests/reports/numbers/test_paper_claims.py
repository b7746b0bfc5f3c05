"""Statements on the paper's claims, from made-up curves whose verdicts are plain to see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_evidence import with_reads

from fdrnn.model import TrainingSettings
from fdrnn.reports.document import markdown
from fdrnn.reports.numbers import paper_claims as claims
from fdrnn.reports.numbers.comparison import Comparison
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.statements import Statement
from fdrnn.reports.tables.claims import table as claims_table
from fdrnn.search import StudyDefinition
from fdrnn.search.design.space import SPACES, fitting_spaces

N = 4
EPOCHS = 5

Columns = dict[str, Any]


@pytest.fixture
def make(fd: Evidence) -> Any:
    """Make a comparison: by variant, columns of the curves, a list of values for each trial."""

    def member(variant: str, columns: Columns, diverged: tuple[int, ...], record: Any) -> Evidence:
        definition = StudyDefinition(
            name=f"c.{variant}",
            data="jsb",
            variant=variant,
            space=SPACES[fitting_spaces(variant)[0]],
            n_trials=N,
            seed=1,
            training=TrainingSettings(record=record),
        )
        trials = pd.DataFrame(
            {
                "config_index": range(N),
                "state": "finished",
                "diverged": [k in diverged for k in range(N)],
                "weight_decay": 0.005,
            }
        )
        rows = [
            {
                "config_index": k,
                "epoch": epoch + 1,
                "train_nll": 9.0 - epoch,
                "spectral_radius": 2.0,
                "spectral_radius_squared": 1.0,
                **{name: values[k][epoch] for name, values in columns.items()},
            }
            for k in range(N)
            for epoch in range(EPOCHS)
        ]
        study = replace(fd.study, definition=definition)
        return with_reads(Evidence(study, trials), curves=pd.DataFrame(rows))

    def made(
        columns: dict[str, Columns], diverged: tuple[int, ...] = (), record: Any = ()
    ) -> Comparison:
        return Comparison(
            "c", {v: member(v, values, diverged, record) for v, values in columns.items()}
        )

    return made


def constant(*values: float) -> list[list[float]]:
    return [[value] * EPOCHS for value in values]


def judged(comparison: Comparison, start: str) -> Statement:
    (found,) = [one for one in claims.statements(comparison) if one.claim.startswith(start)]
    return found


@pytest.mark.parametrize(
    ("holds", "of", "verdict"),
    [
        (4, 4, "holds in all 4 draws"),
        (3, 4, "holds in 3 of 4 draws"),
        (0, 4, "contradicted in all 4 draws"),
        (1, 1, "holds in the one draw"),
        (2, 2, "holds in both draws"),
    ],
)
def test_verdicts_follow_from_the_counts(holds: int, of: int, verdict: str) -> None:
    assert Statement(claim="", holds=holds, judged=of).verdict == verdict


def test_spectral_radii_are_compared_draw_by_draw(make: Any) -> None:
    columns = {
        "fast_dropout": {"spectral_radius": constant(5, 5, 5, 1)},
        "plain": {"spectral_radius": constant(4, 6, 2, 3)},
        "weight_decay": {"spectral_radius": constant(1, 1, 1, 1)},
    }
    exceeds = judged(make(columns), "Fast dropout's spectral radius")
    assert exceeds.verdict == "holds in 2 of 4 draws"
    assert "FD-RNN: median 5.00 (1.00 to 5.00); plain RNN: 3.50 (2.00 to 6.00)" in exceeds.evidence
    assert judged(make(columns), "Weight decay keeps").verdict == "holds in all 4 draws"
    less = judged(make(columns, diverged=(1,)), "Fast dropout's spectral radius")
    assert less.verdict == "holds in 2 of 3 draws"
    assert "1 of 4 draws are left out" in less.evidence


def test_a_pull_is_positive_after_more_than_half_of_the_epochs(make: Any) -> None:
    pull = [[1, 1, 1, -1, -1], [1, 1, -1, -1, -1], [-1] * 5, [1e-9] * 5]
    shares = constant(0.5, 0.5, 0.5, 0.5)
    columns = {
        "fast_dropout": {"pull_W_rec": pull, "pulled_share_W_rec": shares},
        "weight_decay": {},
    }
    found = judged(make(columns), "No pull to zero: fast dropout's term")
    assert (found.holds, found.judged) == (2, 4)
    assert "Positive after 50% (0% to 100%) of the epochs" in found.evidence
    assert "2 lambda of the weight decay in this comparison: 0.01 (0.01 to 0.01)" in found.evidence


def test_norms_are_compared_with_the_plain_networks(make: Any) -> None:
    columns = {
        "fast_dropout": {"recurrent_norm": constant(3, 3, 3, 3)},
        "plain": {"recurrent_norm": constant(2, 2, 2, 4)},
        "weight_decay": {"recurrent_norm": constant(1, 1, 3, 1)},
    }
    found = judged(make(columns), "No pull to zero: fast dropout does not")
    assert (found.holds, found.judged) == (3, 4)
    assert "Weight decay makes it smaller in 3 of 4 draws." in found.evidence


def test_the_term_vanishes_where_it_falls_with_the_loss_gradient(make: Any) -> None:
    falling, rising = [5.0, 4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0]
    columns = {
        f"{part}_norm_{matrix}": [one if part.startswith("loss") else other for one, other in both]
        for part in ("loss_gradient", "regularizer_gradient")
        for matrix in ("W_in", "W_rec")
        for both in [[(falling, falling), (falling, rising), (rising, rising), (rising, falling)]]
    }
    found = judged(make({"fast_dropout": columns}), "Fast dropout's term vanishes")
    assert (found.holds, found.judged) == (2, 4)
    # Of two matrices with norms 5 and 5.
    assert f"({np.sqrt(2):.2g} to {5 * np.sqrt(2):.2g}) where the loss's" in found.evidence


@pytest.mark.parametrize("n_epochs", [1, EPOCHS])
def test_a_term_that_never_changes_has_no_verdict(make: Any, n_epochs: int) -> None:
    """As after a single epoch, or where all rates are 0."""
    columns = {
        f"{part}_norm_{matrix}": constant(*[0.0 if part.startswith("reg") else 1.0] * N)
        for part in ("loss_gradient", "regularizer_gradient")
        for matrix in ("W_in", "W_rec")
    }
    compared = make({"fast_dropout": columns})
    member = compared.members["fast_dropout"]
    curves = member.curves[member.curves["epoch"] <= n_epochs]
    short = replace(compared, members={"fast_dropout": with_reads(member, curves=curves)})
    found = judged(short, "Fast dropout's term vanishes")
    assert found.verdict == "cannot be judged"
    assert "two epochs" in found.missing


def test_the_noise_term_is_judged_by_what_was_measured_last(make: Any) -> None:
    nan = np.nan
    columns = {
        # After epochs 1, 2 and 4; trial 3 has no noise. 0.02 is not rejected among 3 matrices.
        "noise_p_value_W_in": [[0.001, 0.9, nan, 0.02, nan]] * 3 + [[nan] * 5],
        "noise_p_value_W_rec": [[0.9, 0.9, nan, p, nan] for p in (0.9, 0.9, 0.01)] + [[nan] * 5],
        "noise_p_value_W_out": [[0.9, 0.9, nan, 0.9, nan]] * 3 + [[nan] * 5],
    }
    for matrix, slope in (("W_in", 0.1), ("W_rec", 0.9), ("W_out", 0.2)):
        columns[f"noise_mean_by_error_{matrix}"] = [[1.0] * 5] * 4
        columns[f"noise_scale_slope_{matrix}"] = [[9, 9, 9, slope, nan]] * 3 + [[nan] * 5]
    compared = make({"fast_dropout_sampled": columns})
    mean = judged(compared, "The sampling regulariser's gradient has zero mean")
    assert (mean.holds, mean.judged) == (2, 3)
    scale = judged(compared, "The scale of the sampling")
    assert (scale.holds, scale.judged) == (0, 3)
    assert "W_rec 0.9 (0.9 to 0.9)" in scale.evidence


def test_the_squared_radius_is_judged_in_every_trial_of_every_variant(make: Any) -> None:
    columns = {
        "plain": {"spectral_radius_squared": [[4, 4, 4, 4, 4.4], *constant(4, 4, 1)]},
        "lstm": {},
    }
    found = judged(make(columns), "rho of the elementwise square")
    assert found.verdict == "holds in 7 of 8 trials"
    assert "after 1 of 40 epochs; largest ratio 1.1 (c.plain, trial 0)" in found.evidence
    assert "left out" not in found.evidence


def test_the_squared_radius_counts_the_trials_that_diverged(make: Any) -> None:
    found = judged(make({"plain": {}, "lstm": {}}, diverged=(0,)), "rho of the elementwise square")
    assert found.verdict == "holds in all 6 trials"
    assert "2 of 8 trials are left out: diverged, or not finished." in found.evidence


def test_what_is_missing_is_said(make: Any) -> None:
    found = claims.statements(make({"plain": {}, "weight_decay": {}}))
    by_claim = {one.claim: one for one in found if one.missing}
    assert {one.verdict for one in by_claim.values()} == {"cannot be judged"}
    texts = " ".join(one.missing for one in by_claim.values())
    assert "The comparison has no study of fast_dropout." in texts
    assert "The comparison has no study of fast_dropout_sampled." in texts
    found = claims.statements(make({"fast_dropout": {}, "plain": {}}))
    texts = " ".join(one.missing for one in found)
    assert 'c.fast_dropout does not record "decomposition".' in texts
    assert 'c.fast_dropout does not record "recurrent_norm".' in texts
    diverged = claims.statements(make({"fast_dropout": {}, "plain": {}}, diverged=(0, 1, 2, 3)))
    assert "No trial of c.fast_dropout has finished undiverged." in diverged[0].missing


def test_the_table_has_a_verdict_a_row_and_the_evidence_below(make: Any) -> None:
    table = claims_table(make({"fast_dropout": {}, "plain": {}}))
    assert len(table.rows) == len(table.notes) == len(table.data)
    text = markdown.table(table)
    assert "contradicted in all 4 draws" in text
    assert "1. Rule: the spectral radius" in text
    assert not table.data["evidence"].str.contains("nan").any()
