"""Statements on the paper's claims, from made-up curves whose verdicts are plain to see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
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
from fdrnn.reports.numbers.statements import LeftOut, Statement
from fdrnn.reports.tables.claims import table as claims_table
from fdrnn.search import StudyDefinition
from fdrnn.search.design.space import SPACES, fitting_spaces

N = 4
EPOCHS = 5

Columns = dict[str, Any]
Indices = tuple[int, ...] | Mapping[str, tuple[int, ...]]
"""Of trials: those of every variant, or by variant."""
Lost = tuple[tuple[int, ...], tuple[int, ...]]
"""Trials of a variant that diverged, and that run."""


@pytest.fixture
def make(fd: Evidence) -> Any:
    """Make a comparison: by variant, columns of the curves, a list of values for each trial."""

    def member(variant: str, columns: Columns, lost: Lost, record: Any) -> Evidence:
        diverged, running = lost
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
                "state": ["running" if k in running else "finished" for k in range(N)],
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
        return with_reads(replace(fd, study=study, trials=trials), curves=pd.DataFrame(rows))

    def made(
        columns: dict[str, Columns],
        diverged: Indices = (),
        running: Indices = (),
        record: Any = (),
    ) -> Comparison:
        return Comparison(
            "c",
            {
                v: member(v, values, (of(diverged, v), of(running, v)), record)
                for v, values in columns.items()
            },
        )

    return made


def of(trials: Indices, variant: str) -> tuple[int, ...]:
    return trials.get(variant, ()) if isinstance(trials, Mapping) else trials


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


def test_a_verdict_without_some_draws_is_of_no_all() -> None:
    some = Statement(claim="", holds=2, judged=2, left_out=LeftOut(diverged=2))
    assert some.verdict == "holds in 2 of 2 draws"
    assert replace(some, holds=0).verdict == "contradicted in 2 of 2 draws"


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


RADII: dict[str, Columns] = {
    "fast_dropout": {"spectral_radius": constant(5, 5, 5, 5)},
    "plain": {"spectral_radius": constant(4, 4, 4, 4)},
    "weight_decay": {"spectral_radius": constant(1, 1, 1, 1)},
}


def test_a_count_has_the_p_value_of_its_outcomes(make: Any) -> None:
    signs = list(product([-1, 1], repeat=N))
    for n_below in range(N + 1):
        columns = {
            **RADII,
            "plain": {"spectral_radius": constant(*[9] * n_below, *[4] * (N - n_below))},
        }
        found = judged(make(columns), "Fast dropout's spectral radius")
        as_far = sum(abs(sum(one)) >= abs(N - 2 * n_below) for one in signs)
        assert found.holds == N - n_below
        assert found.p_value == as_far / len(signs)
        assert found.largest_p_value == found.p_value


def test_draws_left_out_are_counted_by_reason_and_variant(make: Any) -> None:
    """Draw 1 lacks both trials; what weight decay lacks is nothing to this claim."""
    diverged = {"plain": (3,), "fast_dropout": (1,), "weight_decay": (2,)}
    compared = make(RADII, diverged=diverged, running={"fast_dropout": (0,), "plain": (1,)})
    found = judged(compared, "Fast dropout's spectral radius")
    assert (found.holds, found.judged) == (1, 1)
    assert found.left_out == LeftOut(diverged=2, not_finished=1)
    assert found.evidence.endswith(
        " Left out of the count: 3 of 4 draws. Diverged: 1 of FD-RNN; 1 of plain RNN. "
        "Not finished: 1 of FD-RNN; 1 of plain RNN."
    )


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
    assert "Weight decay makes it smaller in 3 of the 4 draws" in found.evidence


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
    assert mean.left_out == LeftOut(not_measured=1)
    # One of three draws at least fails, each with a probability of 0.05; of four, with one more.
    assert mean.p_value == pytest.approx(1 - 0.95**3)
    assert mean.largest_p_value == pytest.approx(1 - 0.95**4)
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
    assert found.left_out == LeftOut()
    assert found.p_value is None
    assert "one counterexample refutes it" in found.evidence


def test_the_squared_radius_counts_the_trials_that_diverged(make: Any) -> None:
    compared = make({"plain": {}, "lstm": {}}, diverged=(0,), running={"lstm": (1,)})
    found = judged(compared, "rho of the elementwise square")
    assert found.verdict == "holds in 5 of 5 trials"
    assert found.left_out == LeftOut(diverged=2, not_finished=1)
    assert found.evidence.endswith(
        " Left out of the count: 3 of 8 trials. Diverged: 1 of plain RNN; 1 of LSTM. "
        "Not finished: 1 of LSTM."
    )


def test_the_squared_radius_leaves_out_no_trial_that_there_is_not(make: Any) -> None:
    compared = make({"plain": {}, "lstm": {}}, running={"lstm": (0,)})
    lstm = compared.members["lstm"]
    fewer = with_reads(lstm, trials=lstm.trials[:2])
    vars(fewer)["curves"] = lstm.curves[lstm.curves["config_index"] < 2]
    found = judged(Comparison("c", {**compared.members, "lstm": fewer}), "rho of the elementwise")
    assert (found.judged, found.left_out) == (5, LeftOut(not_finished=1))
    assert found.evidence.endswith("Left out of the count: 1 of 6 trials. Not finished: 1 of LSTM.")


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
    assert len(table.rows) == len(table.data)
    text = markdown.table(table)
    assert "contradicted in all 4 draws" in text
    assert "1. Rule: the spectral radius" in text
    assert not table.data["evidence"].str.contains("nan").any()


def test_the_table_says_beside_a_count_how_sure_it_is(make: Any) -> None:
    diverged = {"weight_decay": (0, 1), "plain": (3,)}
    table = claims_table(make(RADII, diverged=diverged, running={"plain": (2,)}))
    rows = {row[0][3:]: row[1:] for row in table.rows}
    exceeds = rows["Fast dropout's spectral radius exceeds the plain RNN's"]
    assert exceeds == ("holds in 2 of 2 draws", "2 of 4: 1 diverged, 1 not finished", "0.5", "1")
    assert rows["rho of the elementwise square of W_rec stays below rho squared"][2:] == ("-", "-")
    assert rows["The sampling regulariser's gradient has zero mean"] == (
        *("cannot be judged", "-", "-", "-"),
    )
    rules = " ".join(table.notes[:3])
    assert "exact two-sided sign test" in rules
    assert "With fewer than 6 draws no count is significant" in rules
    assert "with 2, p is at least 0.5" in rules
    data = table.data.set_index("claim").loc[
        "Fast dropout's spectral radius exceeds the plain RNN's"
    ]
    assert data["left_out"] == data["diverged"] + data["not_finished"] == 2


def test_the_table_explains_no_column_of_dashes(make: Any) -> None:
    complete = claims_table(make(RADII)).notes
    assert not [note for note in complete if note.startswith("Left out")]
    untested = claims_table(make({"lstm": {}, "lstm_fast_dropout": {}})).notes
    assert [note[:2] for note in untested] == [f"{k}." for k in range(1, 9)]
