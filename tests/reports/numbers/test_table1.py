"""Rows of Table 1 from hand-made trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

import pandas as pd
import pytest
from made_evidence import NO_SEQUENCES, made, with_reads

from fdrnn.datasets import DataDescription
from fdrnn.model import TrainingSettings
from fdrnn.reports.numbers import table1
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.search import SPACES, Study, StudyDefinition
from fdrnn.search.store.database import Database

WAITING: dict[str, object] = {"state": "waiting"}
FAILED: dict[str, object] = {"state": "failed"}


def finished(
    valid: float,
    pooled: float,
    by_sequence: float,
    *,
    epoch: int = 5,
    diverged: bool = False,
    masked: float | None = None,
    n_epochs: int = 35,
) -> dict[str, object]:
    return {
        "state": "finished",
        "diverged": diverged,
        "n_epochs": n_epochs,
        "best_epoch": epoch,
        "valid_nll": valid,
        "valid_nll_counted": valid,
        "valid_nll_masked": valid + 3 if masked is None else masked,
        "test_nll_pooled": pooled,
        "test_nll_sequence_mean": by_sequence,
    }


def frame(*trials: Mapping[str, object]) -> pd.DataFrame:
    columns = [
        "config_index",
        "state",
        "diverged",
        "n_epochs",
        "best_epoch",
        "valid_nll",
        "valid_nll_counted",
        "valid_nll_masked",
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
        space=SPACES["table2-plain" if variant == "plain" else "table2"],
        n_trials=4,
        seed=7,
    )


TITLES = {"jsb": "JSB Chorales", "nottingham": "Nottingham", "bach": "Bach chorales (music21)"}
NOTES = {"bach": "not the JSB Chorales benchmark"}


def evidence(
    study: StudyDefinition,
    *trials: Mapping[str, object],
    sequences: pd.DataFrame = NO_SEQUENCES,
    data: Mapping[str, object] = MappingProxyType({}),
) -> Evidence:
    description = {
        "title": TITLES.get(study.data, study.data),
        "note": NOTES.get(study.data, ""),
        "n_features": 88,
        "lowest_midi_note": 21,
        "fingerprint": f"{study.data:0<64}",
    }
    stored = Study(
        database=Database("unused.sqlite3"),
        study_id=1,
        definition=study,
        data=DataDescription(**{**description, **data}),  # type: ignore[arg-type]
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        code_version="0.1.0",
    )
    return with_reads(made(stored, frame(*trials)), sequences=sequences)


def row(
    *trials: Mapping[str, object], data: str = "jsb", sequences: pd.DataFrame = NO_SEQUENCES
) -> table1.Row:
    return table1.row(evidence(definition(data), *trials, sequences=sequences))


def waiting(study: StudyDefinition, n_trials: int = 1, **data: object) -> Evidence:
    return evidence(study, *[WAITING] * n_trials, data=data)


def by_name(*studies: Evidence) -> dict[str, table1.Row]:
    return {row.study: row for row in table1.table1(studies)}


def test_the_validation_nll_selects_whatever_the_test_nll_says() -> None:
    result = row(
        finished(8.4, 8.0, 7.9),
        finished(8.2, 8.9, 8.8, epoch=17),
        finished(8.3, 8.1, 8.2),
    )
    assert result.selected_trial == 1
    assert result.best_epoch == 17
    assert result.valid_nll == 8.2
    assert result.test_nll_pooled.value == 8.9
    assert result.test_nll_sequence_mean.value == 8.8


def test_the_paper_s_numbers_stand_beside_a_benchmark() -> None:
    result = row(finished(8.2, 8.1, 8.0))
    # Table 1 of the paper, row JSBChorales.
    assert (result.paper_fd, result.cited_plain) == (8.01, 8.58)
    assert (result.cited_rnn_nade, result.cited_deep_rnn) == (5.19, 7.92)
    assert result.title == "JSB Chorales"
    assert result.note == ""


@pytest.mark.parametrize(
    ("data", "expected"),
    [("bach", "not the JSB Chorales benchmark"), ("rolls/JSB_Chorales.mat", "")],
)
def test_other_data_get_no_paper_numbers_and_a_note(data: str, expected: str) -> None:
    result = row(finished(8.2, 8.1, 8.0), data=data)
    published = (result.paper_fd, result.cited_plain, result.cited_rnn_nade, result.cited_deep_rnn)
    assert published == (None, None, None, None)
    assert result.note == expected


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


def test_few_draws_and_a_trial_that_ended_at_its_limit_are_cautioned() -> None:
    best = finished(8.2, 8.1, 8.0, epoch=280, n_epochs=300)
    assert row(best).caution == "1 draw; at limit"
    stopped = finished(8.2, 8.1, 8.0, epoch=270, n_epochs=300)
    assert row(stopped, WAITING).caution == "2 draws; 1 of 2 ended"
    many = [finished(8.2 + index, 8.1, 8.0) for index in range(32)]
    assert row(*many).caution == ""


def test_failed_trials_have_ended() -> None:
    many = [finished(8.2 + index, 8.1, 8.0) for index in range(31)]
    assert row(*many, FAILED).caution == "1 failed"
    assert row(*many, FAILED, WAITING).caution == "32 of 33 ended; 1 failed"
    pruned = {"state": "pruned", "n_epochs": 2, "best_epoch": 1, "valid_nll": 9.0}
    note = row(*many, pruned, FAILED).note
    assert note.endswith("provisional: 32 of 33 trials have finished or were pruned")


def test_repeats_without_a_test_nll_are_counted_apart() -> None:
    diverged = finished(math.inf, math.nan, math.nan, epoch=0, diverged=True)
    study = evidence(replace(definition(), repeats=3), finished(8.0, 8.0, 8.0))

    def repeated(*repeats: dict[str, object]) -> table1.Row:
        return table1.row(with_reads(study, all_repeats=frame(*repeats).assign(repeat_of=0)))

    some = repeated(finished(8.2, 8.1, 8.0), finished(8.3, 8.3, 8.2), diverged)
    assert (some.repeats, some.repeats_without_nll) == (3, 1)
    assert some.repeats_mean == pytest.approx(8.2)
    assert some.repeats_deviation == pytest.approx(math.sqrt(0.02))
    assert table1.frame([some])["repeats_without_nll"].tolist() == [1]
    one = repeated(finished(8.2, 8.1, 8.0), diverged)
    assert (one.repeats_mean, one.repeats_deviation) == (8.1, None)
    none = repeated(diverged)
    assert (none.repeats, none.repeats_mean, none.repeats_deviation) == (1, None, None)
    assert "repeats_without_nll" not in table1.frame([repeated(finished(8.2, 8.1, 8.0))])


def test_padding_rules_that_select_different_trials_are_told() -> None:
    agreed = row(finished(2.1, 8.1, 8.0, masked=7.0), finished(2.2, 8.2, 8.0, masked=7.1))
    assert agreed.selections == ""
    reversed_ = row(finished(2.1, 8.1, 8.0, masked=7.2), finished(2.2, 8.2, 8.0, masked=7.1))
    assert reversed_.caution == "2 draws; padding decides"
    assert reversed_.selections == (
        "padding counted selects trial 0 (validation NLL 2.100 counted, 7.200 masked; test NLL "
        "8.10); padding masked selects trial 1 (validation NLL 2.200 counted, 7.100 masked; test "
        "NLL 8.20)"
    )
    unknown = row(finished(2.1, 8.1, 8.0, masked=float("nan")), finished(2.2, 8.2, 8.0))
    assert unknown.selections == ""


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
    assert result.test_nll_pooled.value is None
    assert expected in result.note
    assert result.paper_fd == 8.01


def test_a_test_split_without_a_predicted_step_has_no_nll() -> None:
    result = row(finished(8.2, math.nan, math.nan), data="short.npz")
    assert result.selected_trial == 0
    assert result.valid_nll == 8.2
    assert result.test_nll_pooled.value is None
    assert result.test_nll_sequence_mean.value is None


def test_reading_order_is_the_paper_s_then_others_with_fd_before_plain() -> None:
    names = by_name(
        *(
            waiting(definition(data, variant, name))
            for data, variant, name in (
                ("bach", "fast_dropout", "bach"),
                ("jsb", "plain", "jsb-plain"),
                ("jsb", "fast_dropout", "jsb-short"),
                ("jsb", "fast_dropout", "jsb"),
                ("piano", "plain", "piano-plain"),
            )
        )
    )
    assert list(names) == ["piano-plain", "jsb", "jsb-short", "jsb-plain", "bach"]


def test_the_plain_counterpart_has_the_same_data_seed_and_training() -> None:
    fd, plain = definition(name="fd"), definition(variant="plain", name="plain")
    other_training = TrainingSettings(batch_size=9)
    strangers = (
        replace(plain, name="other-data", data="bach"),
        replace(plain, name="other-seed", seed=8),
        replace(plain, name="other-training", training=other_training),
        replace(plain, name="other-padding", training=TrainingSettings(padding="masked")),
    )
    assert by_name(*map(waiting, (fd, *strangers)))["fd"].plain_study is None
    together = by_name(*map(waiting, (fd, plain, *strangers)))
    assert together["fd"].plain_study == "plain"
    assert together["plain"].plain_study is None


@pytest.mark.parametrize(
    ("variant", "space", "plain", "of_plain"),
    [
        ("stacked_fast_dropout", "deep-wide", "stacked", "deep-plain"),
        ("lstm_fast_dropout", "lstm-fast-dropout", "lstm", "lstm"),
    ],
)
def test_the_same_network_without_dropout_comes_before_the_plain_rnn(
    variant: str, space: str, plain: str, of_plain: str
) -> None:
    fd = waiting(replace(definition(name="fd"), variant=variant, space=SPACES[space]))
    same = waiting(replace(definition(name="same"), variant=plain, space=SPACES[of_plain]))
    rnn = waiting(definition(variant="plain", name="an-rnn"))
    rows = by_name(fd, rnn, same)
    assert rows["fd"].plain_study == "same"
    assert rows["same"].plain_study is None
    assert by_name(fd, rnn)["fd"].plain_study == "an-rnn"
    one_layer = waiting(definition(name="one-layer"))
    assert by_name(one_layer, same)["one-layer"].plain_study is None


def test_of_several_plain_counterparts_the_one_with_as_many_trials_of_table_2() -> None:
    plain_study = definition(variant="plain", name="jsb-plain")
    jsb = waiting(definition(name="jsb"), 32)
    plain = waiting(plain_study, 32)
    quick = waiting(replace(plain_study, name="a-quick"), 2)
    own_space = replace(plain_study.space, name="own")
    elsewhere = replace(plain_study, name="b-other", space=own_space)
    other_space = waiting(elsewhere, 32)
    rows = by_name(jsb, quick, other_space, plain)
    assert list(rows) == ["jsb", "a-quick", "b-other", "jsb-plain"]
    assert rows["jsb"].plain_study == "jsb-plain"
    assert by_name(jsb, quick)["jsb"].plain_study == "a-quick"
    assert by_name(jsb, quick, other_space)["jsb"].plain_study == "b-other"


def test_the_counterpart_is_of_the_same_data_whatever_their_path() -> None:
    fd, plain = definition(name="fd"), definition(variant="plain", name="plain")
    elsewhere = replace(plain, data="/elsewhere/jsb.npz")
    same, edited = (
        waiting(elsewhere, fingerprint=fingerprint) for fingerprint in (f"{'jsb':0<64}", "1" * 64)
    )
    assert by_name(waiting(fd), same)["fd"].plain_study == "plain"
    assert by_name(waiting(fd), edited)["fd"].plain_study is None


def test_recording_the_test_nll_makes_no_other_training() -> None:
    recording = replace(
        definition(variant="plain", name="plain"), training=TrainingSettings(record=("test_nll",))
    )
    rows = by_name(waiting(definition(name="fd")), waiting(recording))
    assert rows["fd"].plain_study == "plain"


def test_the_intervals_are_of_the_selected_trial_s_sequences() -> None:
    sequences = pd.DataFrame({"nll_sum": [80.0, 90.0, 70.0], "n_steps": [10, 10, 10]})
    result = row(finished(8.2, 8.0, 8.0), sequences=sequences)
    pooled = result.test_nll_pooled
    assert pooled.low is not None
    assert pooled.high is not None
    assert 7.0 <= pooled.low < 8.0 < pooled.high <= 9.0
    # Sequences of one length: both averages are the same.
    assert result.test_nll_sequence_mean.low == pytest.approx(pooled.low)
    assert (result.test_sequences, result.test_steps) == (3, 30)


def test_of_the_trials_that_were_not_pruned_the_diverged_ones_are_told() -> None:
    pruned = finished(8.4, math.nan, math.nan) | {"state": "pruned"}
    trials = [finished(8.2, 8.0, 8.0), finished(9.9, 10.0, 10.0, diverged=True), pruned]
    assert "3 drawn, 2 finished (1 diverged), 1 pruned by halving" in row(*trials).note
    assert "2 drawn, 1 finished, 1 pruned by halving" in row(trials[0], pruned).note


def test_the_difference_from_plain_is_that_on_the_same_sequences() -> None:
    def scored(study: StudyDefinition, sums: list[float]) -> Evidence:
        sequences = pd.DataFrame({"nll_sum": sums, "n_steps": [10, 20, 5]})
        return evidence(study, finished(8.0, 8.0, 8.0), sequences=sequences)

    plain = scored(definition(variant="plain", name="plain"), [80.0, 162.0, 36.0])
    minus = by_name(scored(definition(), [70.0, 150.0, 30.0]), plain)["study"].minus_plain
    assert minus.value == pytest.approx(-(10 + 12 + 6) / 35)
    assert minus.low is not None
    assert minus.high is not None
    # The sequences' own differences are -1, -0.6 and -1.2 a step, whatever their NLL.
    assert -1.2 <= minus.low < minus.value < minus.high <= -0.6
    unlike = by_name(scored(definition(), [70.0, 150.0, math.inf]), plain)["study"]
    assert unlike.minus_plain.value is None


def test_settings_that_differ_from_the_usual_are_named() -> None:
    def training(settings: TrainingSettings) -> str:
        return table1.row(waiting(replace(definition(), training=settings))).training

    assert training(TrainingSettings()) == "batch 27; patience 30; at most 300 epochs"
    other = training(TrainingSettings(batch_size=9, init_scale="std", parameter_average=0.98))
    assert other.startswith("batch 9; ")
    assert "standard deviation" in other
    assert "0.98" in other


def test_the_columns_of_the_frame() -> None:
    table = table1.frame([row(WAITING), row(finished(8.2, 8.0, 7.9))])
    assert table["test_nll_pooled"].tolist()[1] == 8.0
    first = list(table.columns).index("test_nll_sequence_mean")
    assert list(table.columns[first : first + 3]) == [
        "test_nll_sequence_mean",
        "test_nll_sequence_mean_low",
        "test_nll_sequence_mean_high",
    ]
    assert table["selected_trial"].isna().tolist() == [True, False]
