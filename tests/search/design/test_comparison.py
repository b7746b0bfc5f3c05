"""Comparisons: a study of each variant by one definition, and one name for them in a store."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.model import VARIANTS
from fdrnn.search import (
    DefinitionError,
    EventKind,
    Store,
    StudyDefinition,
    WorkerEvent,
    create_study,
    draw,
    run_worker,
)
from fdrnn.search.design.comparison import compared_studies, comparison_of

MAPPING: dict[str, Any] = {
    "data": "noise",
    "variants": ["weight_decay", "plain", "fast_dropout_sampled"],
    "n_trials": 3,
    "seed": 7,
    "training": {"max_epochs": 2, "record": ["noise", "test_nll", "decomposition"]},
}


def test_studies_differ_in_variant_space_and_what_they_can_record_alone() -> None:
    plain, sampled, decay = compared_studies(MAPPING, "mine")
    assert [study.name for study in (plain, sampled, decay)] == [
        "mine.plain",
        "mine.fast_dropout_sampled",
        "mine.weight_decay",
    ]
    assert [study.space.name for study in (plain, sampled, decay)] == [
        "table2-plain",
        "table2",
        "weight-decay",
    ]
    assert plain.training.record == decay.training.record == ("test_nll",)
    assert sampled.training.record == ("noise", "test_nll", "decomposition")
    assert [comparison_of(study) for study in (plain, sampled, decay)] == ["mine"] * 3


def test_a_variant_may_have_a_dot_in_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    dotted = replace(VARIANTS["plain"], name="my.plain")
    monkeypatch.setitem(VARIANTS.own, "my.plain", dotted)  # type: ignore[arg-type]
    studies = compared_studies({**MAPPING, "variants": ["plain", "my.plain"]}, "mine")
    assert [comparison_of(study) for study in studies] == ["mine", "mine"]
    assert [comparison_of(replace(study, name="plain")) for study in studies] == [None, None]


def test_all_variants_have_a_usual_space_and_share_their_draws() -> None:
    studies = compared_studies({**MAPPING, "variants": "all"}, "mine")
    assert [study.variant for study in studies] == list(VARIANTS)
    drawn = [draw(study.space, study.seed, range(3)) for study in studies]
    for k in range(3):
        assert len({one[k].seed for one in drawn}) == 1
        assert len({one[k].hyperparameters["step_rate"] for one in drawn}) == 1


def test_a_named_space_is_of_the_variants_that_it_fits() -> None:
    studies = compared_studies({**MAPPING, "space": "table2-wide"}, "mine")
    assert [study.space.name for study in studies] == [
        "table2-plain",
        "table2-wide",
        "weight-decay",
    ]
    assert max(studies[1].space["dropout_hidden_to_hidden"].distribution.extremes) == 0.9
    named = [study.space.name for study in compared_studies({**MAPPING, "space": "table2"}, "mine")]
    assert named == [study.space.name for study in compared_studies(MAPPING, "mine")]
    with pytest.raises(UnknownNameError, match="did you mean 'table2-wide'"):
        compared_studies({**MAPPING, "space": "table2-wied"}, "mine")


def test_an_output_s_own_space_is_joined_to_every_variant_s() -> None:
    training = {"max_epochs": 2, "padding": "masked"}
    studies = compared_studies(
        {**MAPPING, "variants": "all", "output": "nade", "training": training}, "mine"
    )
    plain = next(study for study in studies if study.variant == "plain")
    assert plain.space.name == "table2-plain+nade"
    assert len({tuple(study.space.names[-3:]) for study in studies}) == 1
    with pytest.raises(UnknownNameError, match="did you mean 'nade'"):
        compared_studies({**MAPPING, "output": "nada"}, "mine")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"variants": []}, r"variants must be 'all' or a list of variants, got \[\]"),
        ({"variants": "plain"}, r"variants must be .*got 'plain'"),
        ({"variants": ["plain", "plain"]}, r"each variant once"),
        ({"variant": "plain"}, r"variant must not be set together with variants"),
        ({"space": "lstm"}, r"space must have exactly the hyperparameters of .*got 'lstm'"),
        ({"space": {"n_hidden": 8}}, r"space of a comparison must be a name, got \{'n_hidden'"),
        ({"n_trails": 3}, r"unknown key n_trails; did you mean n_trials"),
        ({"training": {"record": ["tset"]}}, r"record must be distinct names of .*tset"),
        ({"training": {"record": "noise"}}, r"record must be a list of texts, got 'noise'"),
        ({"training": {"record": [["noise"]]}}, r"record must be a list of texts, got \[\['noise"),
        ({"name": 3}, r"name must be a text, got 3"),
        ({"output": ["nade"]}, r"output must be a text, got \['nade'\]"),
        ({"name": "x" * 95}, r"name must be 1 to 100 letters"),
    ],
)
def test_a_broken_rule_is_named(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(DefinitionError, match=expected):
        compared_studies({**MAPPING, **change}, "mine")


def test_an_unknown_variant_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'plain'"):
        compared_studies({**MAPPING, "variants": ["plian"]}, "mine")


def test_a_study_with_a_dot_is_of_a_comparison_only_with_its_variant_behind_it() -> None:
    (study,) = compared_studies({**MAPPING, "variants": ["plain"], "name": "v1.2"})
    assert comparison_of(study) == "v1.2"
    plain = {"data": "noise", "variant": "plain", "space": "table2-plain", "n_trials": 1, "seed": 0}
    for name in ("v1.2", "plain", "jsb-plain", "v1.fast_dropout"):
        assert comparison_of(StudyDefinition.from_mapping(plain, name)) is None


def test_a_workers_trials_are_of_all_studies_in_their_order(store: Store, fake: ModuleType) -> None:
    studies = compared_studies(MAPPING, "mine")
    for study in reversed(studies):
        create_study(store, study, fake.DATA)
    names = [study.name for study in store.studies(["mine"])]
    assert names == [study.name for study in studies]
    assert [study.name for study in store.studies(["mine.plain"])] == ["mine.plain"]
    events: list[WorkerEvent] = []
    url = store.database.url
    run_worker(url, names, on_event=events.append, settings=fake.settings())
    assert [
        (event.study, event.config_index) for event in events if event.kind is EventKind.FINISHED
    ] == [(name, index) for name in names for index in range(3)]
    for name in names:
        table = store.study(name).trials()
        assert table["state"].tolist() == ["finished"] * 3
        assert table["n_epochs"].tolist() == [2] * 3


def test_a_name_without_study_or_comparison_is_unknown(store: Store, fake: ModuleType) -> None:
    create_study(store, fake.definition(), fake.DATA)
    with pytest.raises(UnknownNameError, match="did you mean 'noise'"):
        store.studies(["nosie"])
