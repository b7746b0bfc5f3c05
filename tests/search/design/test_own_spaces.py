"""Spaces of a user's own: read from a study file, checked, drawn, stored."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import chi2_contingency, kstest

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.model import FastDropoutHyperparameters, TrainingSettings
from fdrnn.model.outputs.nade import NadeHyperparameters
from fdrnn.search import SPACES, DefinitionError, StudyDefinition, draw
from fdrnn.search.design.distributions import Choices, FloatRange, IntRange
from fdrnn.search.design.space import Condition, Parameter, Space

OWN = """
data = "jsb"
variant = "fast_dropout"
n_trials = 4
seed = 7

[space]
extends = "table2-wide"
n_hidden = { int = [64, 512], log = true, step = 8 }
step_rate = { float = [1e-4, 1e-2], log = true }
dropout_hidden_to_hidden = { float = [0.0, 0.95] }
decay = [0.8, 0.9, 0.95]
momentum = 0.99
dropout_hidden_to_output = { choices = [0, 0.2], when = { fast_dropout_final_layer = true } }
max_incoming = [15, "none"]
batch_size = [9, 27, 54]
init_scale = ["variance", "std"]
clip_norm = 200
"""


def study(**space: Any) -> StudyDefinition:
    mapping = tomllib.loads(OWN)
    mapping["space"] |= space
    return StudyDefinition.from_mapping(mapping, "mine")


def bare(space: Any, variant: str = "fast_dropout", **training: Any) -> StudyDefinition:
    mapping = tomllib.loads(OWN) | {"space": space, "variant": variant, "training": training}
    return StudyDefinition.from_mapping(mapping, "mine")


def test_a_study_file_has_a_space_of_its_own() -> None:
    space = study().space
    assert space.name == "mine"
    assert space["n_hidden"].distribution == IntRange(64, 512, log=True, step=8)
    assert space["step_rate"].distribution == FloatRange(1e-4, 1e-2, log=True)
    assert space["momentum"].distribution == Choices((0.99,))
    assert space["max_incoming"].distribution == Choices((15, None))
    assert space["sigma2_in"] == SPACES["table2-wide"]["sigma2_in"]
    expected = Condition("fast_dropout_final_layer", True)
    assert space["dropout_hidden_to_output"].when == expected
    # Those of the extended space keep their places; others follow in the file's order.
    assert space.names[:12] == SPACES["table2-wide"].names
    assert space.names[12:] == ("batch_size", "init_scale", "clip_norm")
    assert study(name="broad").space.name == "broad"


def test_a_list_joins_the_space_of_a_variant_and_that_of_an_output() -> None:
    joined = tomllib.loads(OWN) | {"output": "nade", "training": {"padding": "masked"}}
    joined["space"] = {"extends": ["table2-wide", SPACES["nade"]], "sigma2_nade": 1}
    definition = StudyDefinition.from_mapping(joined, "mine")
    assert definition.space.names == SPACES["table2-wide"].names + SPACES["nade"].names
    stored = StudyDefinition.from_mapping(json.loads(json.dumps(definition.to_mapping())))
    assert stored == definition
    (drawn,) = draw(definition.space, 7, range(1))
    hyperparameters, of_output, settings = definition.split(drawn.hyperparameters)
    assert type(hyperparameters) is FastDropoutHyperparameters
    assert of_output == NadeHyperparameters(
        n_nade=drawn.hyperparameters["n_nade"], sigma2_nade=1.0, column_order="ascending"
    )
    assert settings == definition.training
    assert type(of_output.sigma2_nade) is float


def test_integers_are_floats_where_the_hyperparameter_is_one() -> None:
    space = study(clip_norm=[100, 200.0]).space
    values = (
        space["clip_norm"].distribution.extremes
        + space["dropout_hidden_to_output"].distribution.extremes
    )
    assert [type(value) for value in values] == [float] * 4


def test_a_parameter_keeps_the_condition_of_the_one_it_replaces() -> None:
    space = study(dropout_hidden_to_output=[0.1, 0.3]).space
    assert space["dropout_hidden_to_output"].when == Condition("fast_dropout_final_layer", True)


def test_the_round_trip_through_json_loses_nothing() -> None:
    definition = study()
    stored = json.loads(json.dumps(definition.to_mapping()))
    restored = StudyDefinition.from_mapping(stored)
    assert restored == definition
    for one, other in zip(restored.space.parameters, definition.space.parameters, strict=True):
        types = [list(map(type, p.distribution.extremes)) for p in (one, other)]
        assert types[0] == types[1]


@pytest.mark.parametrize("name", SPACES)
def test_a_builtin_space_is_stored_whole(name: str) -> None:
    data = json.loads(json.dumps(SPACES[name].to_mapping()))
    assert Space.from_mapping(data) == SPACES[name]
    assert "extends" not in data


def test_a_configuration_is_split_into_hyperparameters_and_settings() -> None:
    definition = study()
    (drawn,) = draw(definition.space, definition.seed, [3])
    hyperparameters, _, settings = definition.split(drawn.hyperparameters)
    assert hyperparameters.n_hidden == drawn.hyperparameters["n_hidden"]
    searched = {"batch_size", "init_scale", "clip_norm"}
    expected = {name: drawn.hyperparameters[name] for name in searched}
    assert settings == replace(definition.training, **expected)
    assert definition.training == TrainingSettings()


def test_draws_are_of_the_distributions_independent_and_conditional() -> None:
    definition = study()
    many = [one.hyperparameters for one in draw(definition.space, 11, range(2000))]
    for values in many:
        assert ("dropout_hidden_to_output" in values) == values["fast_dropout_final_layer"]
        definition.split(values)
    rates = [values["dropout_hidden_to_hidden"] / 0.95 for values in many]  # type: ignore[operator]
    assert kstest(rates, "uniform").pvalue > 1e-3
    median = sorted(rates)[1000]
    table = Counter(
        (rate < median, values["batch_size"]) for rate, values in zip(rates, many, strict=True)
    )
    columns = [[table[low, size] for size in (9, 27, 54)] for low in (True, False)]
    assert chi2_contingency(columns).pvalue > 1e-3


def test_studies_stay_paired_where_name_and_distribution_agree() -> None:
    own = draw(study().space, 7, range(50))
    table2 = draw(SPACES["table2-wide"], 7, range(50))
    alike = [p.name for p in study().space.parameters if p in SPACES["table2-wide"].parameters]
    assert "sigma2_in" in alike
    for one, other in zip(own, table2, strict=True):
        assert one.seed == other.seed
        assert all(one.hyperparameters[n] == other.hyperparameters[n] for n in alike)


def test_values_depend_neither_on_the_place_nor_on_the_others() -> None:
    fixed = {one.name: one.to_data() for one in SPACES["table2-plain"].parameters}
    space = bare({**fixed, "n_hidden": {"int": [10, 90]}}, "plain").space
    turned = Space("turned", space.parameters[::-1])
    for one, other in zip(draw(space, 3, range(20)), draw(turned, 3, range(20)), strict=True):
        assert one.hyperparameters == other.hyperparameters


def test_differences_of_two_spaces() -> None:
    here = study()
    assert here.differences(study(name="other")) == []
    assert here.differences(study(momentum=0.9)) == ["space.momentum: here 0.99, in the store 0.9"]
    assert here.differences(bare("table2")) == ["space: here 'mine', in the store 'table2'"]


def test_a_space_that_makes_no_sense_is_refused() -> None:
    once = Parameter("decay", Choices((0.8, 0.9)))
    with pytest.raises(DefinitionError, match=r"space.decay is defined twice"):
        Space("odd", (once, once))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"n_hidden": {"int": [512, 64]}}, r"space.n_hidden: low must be below high, got \[512"),
        ({"step_rate": {"float": [0, 1], "log": True}}, "space.step_rate: low must be positive"),
        ({"n_hidden": {"int": [64, 512], "step": 10}}, "space.n_hidden: step must divide"),
        ({"decay": [0.8, 0.8]}, "space.decay: choices must be distinct, got 0.8 twice"),
        ({"decay": {"float": [0.5, 1.0]}}, r"space.decay must be in \[0, 1\), got 1.0"),
        ({"momentum": [0.9, 1.5]}, r"space.momentum must be in \[0, 1\), got 1.5"),
        ({"n_hidden": 0}, "space.n_hidden must be at least 1, got 0"),
        ({"n_hidden": 0.5}, "space.n_hidden must be an integer, got 0.5"),
        ({"n_hidden": {"float": [1, 2]}}, "space.n_hidden must be an integer, got a range of fl"),
        ({"step_rate": {"int": [1, 2]}}, "space.step_rate must be a number, got a range of int"),
        ({"fast_dropout_final_layer": 1}, "space.fast_dropout_final_layer must be true or false"),
        ({"decay": "high"}, "space.decay must be a number, got 'high'"),
        ({"decay": "none"}, "space.decay must be a number, got None"),
        ({"batch_size": [9, 0]}, "space.batch_size must be at least 1, got 0"),
        ({"init_scale": ["variance", "sd"]}, "space.init_scale must be variance or std, got 'sd'"),
        ({"max_epochs": [10, 20]}, "space.max_epochs: it decides what is compared"),
        ({"padding": "masked"}, r"space.padding: it decides .* be drawn; set it in \[training\]"),
        ({"max_incoming": "None"}, "space.max_incoming must be an integer or \"none\", got 'None'"),
        ({"step_rte": 0.1}, "'mine' draws step_rte; did you mean step_rate by 'step_rte'"),
        ({"bach_size": 9}, "did you mean batch_size by 'bach_size'"),
        ({"decay": {"choices": [0.8], "when": {"bach": 1}}}, "space.decay: when must name a para"),
        (
            {"batch_size": {"choices": [8], "when": {"decai": 0.8}}},
            r"when must name a parameter before it, got 'decai'; did you mean decay\?",
        ),
        (
            {"n_hidden": {"choices": [8], "when": {"decay": 0.8}}},
            "space.n_hidden: when must name a parameter before it, got 'decay'",
        ),
        ({"decay": {"choices": [0.8], "when": {}}}, "when must name one parameter and its value"),
        ({"decay": {"choices": [0.8], "when": {"momentum": []}}}, "when.momentum must be a single"),
        ({"decay": {"choices": [0.8], "when": {"momentum": "a"}}}, "space.decay.when must be a nu"),
        (
            {"decay": {"choices": [0.8], "when": {"n_hidden": 64}}},
            "space.decay must not have a condition: variant 'fast_dropout' needs it in every",
        ),
        (
            {"dropout_hidden_to_output": {"choices": [0.1], "when": {"n_hidden": 64}}},
            "space.dropout_hidden_to_output must be a dropout rate",
        ),
        ({"extends": 3}, "space.extends must be a text, got 3"),
        ({"name": ""}, "space.name must be a text, got ''"),
    ],
)
def test_a_mistake_is_one_line_with_key_value_and_rule(space: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as raised:
        study(**space)
    assert "\n" not in str(raised.value)


def test_other_mistakes() -> None:
    with pytest.raises(UnknownNameError, match="unknown space 'tabel2'; did you mean 'table2'"):
        study(extends="tabel2")
    with pytest.raises(DefinitionError, match="space must be a space's name or a table, got 3"):
        bare(3)
    with pytest.raises(DefinitionError, match=r"'mine' lacks decay, .*step_rate"):
        bare({"n_hidden": 5}, "plain")
    with pytest.raises(DefinitionError, match=r"'plain' .*'mine' draws dropout_hidden_to_hidden"):
        bare({"extends": "table2"}, "plain")
