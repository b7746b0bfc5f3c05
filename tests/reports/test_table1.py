"""Rows of Table 1 from hand-made trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import pandas as pd
import pytest

from fdrnn.datasets import DataDescription
from fdrnn.reports import table1
from fdrnn.search import StoredStudy, StudyDefinition

WAITING: dict[str, object] = {"state": "waiting"}
FAILED: dict[str, object] = {"state": "failed"}


def finished(
    valid: float, pooled: float, by_sequence: float, *, epoch: int = 5, diverged: bool = False
) -> dict[str, object]:
    return {
        "state": "finished",
        "diverged": diverged,
        "best_epoch": epoch,
        "valid_nll": valid,
        "test_nll_pooled": pooled,
        "test_nll_sequence_mean": by_sequence,
    }


def frame(*trials: Mapping[str, object]) -> pd.DataFrame:
    columns = [
        "config_index",
        "state",
        "diverged",
        "best_epoch",
        "valid_nll",
        "test_nll_pooled",
        "test_nll_sequence_mean",
    ]
    rows = [{"config_index": index} | dict(trial) for index, trial in enumerate(trials)]
    return pd.DataFrame(rows, columns=columns).astype(
        {"diverged": "boolean", "best_epoch": "Int64"}
    )


def definition(data: str = "jsb", variant: str = "fast_dropout", name: str = "") -> StudyDefinition:
    return StudyDefinition(
        name=name or "study",
        data=data,
        variant=variant,
        space="table2-plain" if variant == "plain" else "table2",
        n_trials=4,
        seed=7,
    )


TITLES = {"jsb": "JSB Chorales", "nottingham": "Nottingham", "bach": "Bach chorales (music21)"}
NOTES = {"bach": "not the JSB Chorales benchmark"}


def stored(study: StudyDefinition) -> StoredStudy:
    return StoredStudy(
        study_id=1,
        definition=study,
        data=DataDescription(
            title=TITLES.get(study.data, study.data),
            note=NOTES.get(study.data, ""),
            n_features=88,
            lowest_midi_note=21,
            fingerprint="0" * 64,
        ),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        code_version="0.1.0",
    )


def row(*trials: Mapping[str, object], data: str = "jsb") -> table1.Row:
    return table1.row(stored(definition(data)), frame(*trials))


def test_the_validation_nll_selects_whatever_the_test_nll_says() -> None:
    result = row(
        finished(8.4, 8.0, 7.9),
        finished(8.2, 8.9, 8.8, epoch=17),
        finished(8.3, 8.1, 8.2),
    )
    assert result.selected_trial == 1
    assert result.best_epoch == 17
    assert result.valid_nll == 8.2
    assert result.test_nll_pooled == 8.9
    assert result.test_nll_sequence_mean == 8.8


def test_the_paper_s_numbers_stand_beside_a_benchmark() -> None:
    result = row(finished(8.2, 8.1, 8.0))
    # Table 1 of the paper, row JSBChorales.
    assert (result.paper_fd, result.cited_plain) == (8.01, 8.58)
    assert (result.cited_rnn_nade, result.cited_deep_rnn) == (5.19, 7.92)
    assert result.title == "JSB Chorales"
    assert result.note == ""


@pytest.mark.parametrize(
    ("data", "expected"),
    [("bach", "not the JSB Chorales benchmark"), ("rolls/JSB_Chorales.mat", "own data")],
)
def test_other_data_get_no_paper_numbers_and_a_note(data: str, expected: str) -> None:
    result = row(finished(8.2, 8.1, 8.0), data=data)
    published = (result.paper_fd, result.cited_plain, result.cited_rnn_nade, result.cited_deep_rnn)
    assert published == (None, None, None, None)
    assert expected in result.note


def test_counts_and_a_provisional_row() -> None:
    result = row(
        finished(8.2, 8.1, 8.0),
        finished(8.9, 8.1, 8.0, diverged=True),
        FAILED,
        WAITING,
        {"state": "running"},
    )
    assert result.trials_planned == 5
    assert result.trials_finished == 2
    assert result.trials_diverged == 1
    assert result.trials_failed == 1
    assert "2 of 5 trials have finished" in result.note
    assert "1 failed" in result.note


def test_a_diverged_trial_with_the_best_validation_nll_is_eligible() -> None:
    result = row(finished(8.2, 8.1, 8.0), finished(8.1, 8.3, 8.4, diverged=True))
    assert result.selected_trial == 1


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ([WAITING, WAITING], "no trial has finished yet"),
        (
            [finished(math.inf, math.nan, math.nan, epoch=0, diverged=True)],
            "every finished trial diverged",
        ),
    ],
)
def test_no_selectable_trial_gives_a_marked_row(
    trials: list[dict[str, object]], expected: str
) -> None:
    result = row(*trials)
    assert result.selected_trial is None
    assert result.valid_nll is None
    assert result.test_nll_pooled is None
    assert expected in result.note
    assert result.paper_fd == 8.01


def test_a_test_split_without_a_predicted_step_has_no_nll() -> None:
    result = row(finished(8.2, math.nan, math.nan), data="short.npz")
    assert result.selected_trial == 0
    assert result.valid_nll == 8.2
    assert result.test_nll_pooled is None
    assert result.test_nll_sequence_mean is None


def test_reading_order_is_the_paper_s_then_others_with_fd_before_plain() -> None:
    rows = [
        table1.row(stored(definition(data, variant, name)), frame(WAITING))
        for data, variant, name in (
            ("bach", "fast_dropout", "bach"),
            ("jsb", "plain", "jsb-plain"),
            ("jsb", "fast_dropout", "jsb-short"),
            ("jsb", "fast_dropout", "jsb"),
            ("piano", "plain", "piano-plain"),
        )
    ]
    names = [row.study for row in table1.in_reading_order(rows)]
    assert names == ["piano-plain", "jsb", "jsb-short", "jsb-plain", "bach"]
