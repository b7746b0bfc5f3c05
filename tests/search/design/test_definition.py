from __future__ import annotations

import dataclasses
import json
import tomllib
from typing import Any

import pytest

from fdrnn.datasets.errors import FdrnnError, UnknownNameError
from fdrnn.model import TrainingSettings
from fdrnn.search import SPACES, DefinitionError, StudyDefinition

TOML = """
data = "jsb"
variant = "fast_dropout"
space = "table2"
n_trials = 32
seed = 2013

[training]
batch_size = 27
clip_norm = 200
padding = "masked"
"""


def mapping(**changes: Any) -> dict[str, Any]:
    return tomllib.loads(TOML) | changes


def test_a_definition_is_read_from_toml() -> None:
    definition = StudyDefinition.from_mapping(tomllib.loads(TOML), "jsb")
    assert definition == StudyDefinition(
        name="jsb",
        data="jsb",
        variant="fast_dropout",
        space=SPACES["table2"],
        n_trials=32,
        seed=2013,
        training=TrainingSettings(batch_size=27, clip_norm=200.0, padding="masked"),
    )
    assert isinstance(definition.training.clip_norm, float)
    assert StudyDefinition.from_mapping(mapping(name="mine"), "jsb").name == "mine"


def test_training_may_be_left_out() -> None:
    without = mapping()
    del without["training"]
    assert StudyDefinition.from_mapping(without, "jsb").training == TrainingSettings()


def test_the_round_trip_through_json_loses_nothing() -> None:
    training = {"record": ["test_nll"], "clip_norm": 0.1}
    definition = StudyDefinition.from_mapping(mapping(seed=2**63 - 1, training=training), "jsb")
    stored = json.loads(json.dumps(definition.to_mapping()))
    assert StudyDefinition.from_mapping(stored) == definition


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k" * 10**6: 1}, r"unknown key k{58}\.\.\.k{58} \(known"),
        ({"sead": 1}, r"unknown key sead; did you mean seed\? \(known: name, data, .*repeats\)"),
        (
            {"training": {"batchsize": 1}},
            r"unknown key training.batchsize; did you mean",
        ),
        ({"n_trials": 0}, "n_trials must be in 1 .. 1000000, got 0"),
        ({"n_trials": 2**63}, "n_trials must be in 1 .. 1000000, got 9223372036854775808"),
        ({"n_trials": True}, "n_trials must be an integer, got True"),
        ({"n_trials": 1.5}, "n_trials must be an integer, got 1.5"),
        ({"seed": -1}, r"seed must be in 0 .. 9223372036854775807, got -1"),
        ({"seed": "one"}, "seed must be an integer, got 'one'"),
        ({"data": 3}, "data must be a text, got 3"),
        ({"data": ""}, "data must name a data set or a file, got ''"),
        ({"name": "a b"}, "name must be 1 to 100 letters, .*, got 'a b'"),
        ({"name": "../jsb"}, "name must be .*, got '../jsb'"),
        ({"training": 3}, "training must be a table, got 3"),
        ({"training": {"batch_size": 0}}, "training.batch_size must be at least 1, got 0"),
        (
            {"training": {"batch_size": 10**31}},
            "training.batch_size must be at most 1000000, got 10",
        ),
        ({"max_epochs": 3}, r"unknown key max_epochs; did you mean training.max_epochs\?"),
        ({"training": {"batch_size": 1.0}}, "training.batch_size must be an integer, got 1.0"),
        ({"training": {"clip_norm": 10**400}}, "training.clip_norm is too large for a number"),
        ({"training": {"clip_norm": True}}, "training.clip_norm must be a number, got True"),
        ({"training": {"clip_norm": float("nan")}}, "clip_norm must be positive and finite"),
        ({"training": {"clip_norm": 1e39}}, r"clip_norm must be .*at most 1e\+38, got 1e\+39"),
        (
            {"training": {"padding": "none"}},
            r"training.padding must be counted or masked, got 'none'",
        ),
        ({"training": {"record": "test_nll"}}, r"record must be a list of texts, got 'test_nll'"),
        ({"training": {"record": ["tset"]}}, r"record must be distinct names of .*got \['tset'\]"),
        ({"space": "table2-plain"}, r"space must .* 'fast_dropout' \('table2' or 'table2-wide' "),
        (
            {"variant": "plain"},
            r"'plain' \('table2-plain' does\), got 'table2': 'table2' draws dropout_hidden_to_hidd",
        ),
        (
            {"variant": "weight_decay"},
            r"'weight_decay' \('weight-decay' does\), got 'table2': 'table2' draws dropout_.*"
            r"; 'table2' lacks weight_decay",
        ),
        (
            {"variant": "lstm", "space": "table2-plain"},
            r"'lstm' \('lstm' does\), got 'table2-plain': 'table2-plain' draws .*max_incoming",
        ),
        (
            {"variant": "weight_noise", "space": "table2"},
            r"'weight_noise' \('weight-noise' does\), got 'table2': .*lacks sigma2_noise",
        ),
        (
            {
                "variant": "plain",
                "space": "table2-plain",
                "training": {"record": ["decomposition"]},
            },
            r"training.record has 'decomposition': variant must .*fast_dropout.*, got 'plain'",
        ),
        ({"space": "table2-plain"}, r"got 'table2-plain': 'table2-plain' lacks dropout_hidden_to"),
        (
            {"output": "nade", "training": {"padding": "masked"}},
            r"'fast_dropout' and output 'nade' \(extends = \['table2', 'nade'\] or .* does\)"
            r", got 'table2': 'table2' lacks column_order, n_nade, sigma2_nade",
        ),
        (
            {"space": {"extends": ["table2", "nade"]}},
            r"variant 'fast_dropout' \('table2' or .*'jsb' draws column_order, n_nade, sigma2_nade",
        ),
        (
            {
                "output": "nade",
                "training": {"padding": "masked"},
                "space": {"extends": ["table2", "nade"], "column_order": "up"},
            },
            r"space.column_order must be ascending or descending or shuffled, got 'up'",
        ),
        ({"data": "caf\udce9.npz"}, r"^data must be a path in UTF-8, got 'caf\\udce9.npz'; rename"),
    ],
)
def test_a_broken_rule_is_named_with_key_and_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        StudyDefinition.from_mapping(mapping(**changes), "jsb")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, FdrnnError)


@pytest.mark.parametrize("key", ["data", "variant", "space", "n_trials", "seed"])
def test_a_missing_key_is_named(key: str) -> None:
    incomplete = mapping()
    del incomplete[key]
    with pytest.raises(DefinitionError, match=f"{key} is missing"):
        StudyDefinition.from_mapping(incomplete, "jsb")


@pytest.mark.parametrize("table", ["space", "training", "halving"])
@pytest.mark.parametrize("key", ["data", "seed"])
def test_a_key_below_a_table_is_to_be_moved(table: str, key: str) -> None:
    moved = mapping(space={"extends": "table2"}, training={}, halving={"first": 2})
    moved[table][key] = moved.pop(key)
    message = rf"^{key} is in \[{table}\]; move it above the first table"
    with pytest.raises(DefinitionError, match=message):
        StudyDefinition.from_mapping(moved, "jsb")


@pytest.mark.parametrize("key", ["output", "repeats", "name"])
def test_an_optional_key_below_a_table_is_to_be_moved(key: str) -> None:
    moved = mapping(training={key: "x"})
    with pytest.raises(DefinitionError, match=rf"^unknown key training.{key}; move {key} above"):
        StudyDefinition.from_mapping(moved, "jsb")


@pytest.mark.parametrize("table", ["space", "halving"])
@pytest.mark.parametrize("key", ["output", "repeats", "seed"])
def test_an_optional_or_second_key_below_a_table_is_to_be_moved(table: str, key: str) -> None:
    moved = mapping(space={"extends": "table2"}, halving={"first": 2})
    moved[table][key] = 3
    with pytest.raises(
        DefinitionError, match=rf"^{key} is in \[{table}\]; move it above the first"
    ):
        StudyDefinition.from_mapping(moved, "jsb")


def test_the_nearest_variant_and_space_are_suggested() -> None:
    with pytest.raises(UnknownNameError, match="unknown variant 'plane'; did you mean 'plain'"):
        StudyDefinition.from_mapping(mapping(variant="plane"), "jsb")
    with pytest.raises(UnknownNameError, match="unknown space 'tabel2'; did you mean 'table2'"):
        StudyDefinition.from_mapping(mapping(space="tabel2"), "jsb")


def test_differences_name_every_key_but_the_number_of_trials() -> None:
    here = StudyDefinition.from_mapping(mapping(), "jsb")
    assert here.differences(here) == []
    assert here.differences(dataclasses.replace(here, n_trials=64, name="other")) == []
    stored = dataclasses.replace(here, seed=1, training=TrainingSettings(padding="masked"))
    assert here.differences(stored) == [
        "seed: here 2013, in the store 1",
        "training.clip_norm: here 200.0, in the store 225.0",
    ]
