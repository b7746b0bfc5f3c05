"""The interactive part's data: trials, their values, and the settings of studies."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.exploration import exploration
from fdrnn.search import Choices, Condition, Parameter, Space, StudyDefinition
from fdrnn.search.design.halving import Halving


def drawing(fd: Evidence, setting: str, distribution: Any, values: list[Any]) -> Evidence:
    """Return a study that also draws a training setting."""
    space = Space.from_mapping({"extends": "table2-wide", setting: distribution}, "fast_dropout")
    definition = replace(fd.definition, name="drawing", space=space)
    trials = fd.trials.assign(**{setting: values})
    return replace(fd, study=replace(fd.study, definition=definition), trials=trials)


def test_a_setting_that_another_study_draws_has_the_study_s_own_value(
    fd: Evidence, plain: Evidence
) -> None:
    drawn = drawing(fd, "batch_size", [9, 54], [9, 54] * 4)
    found = exploration([drawn, plain])
    (parameter,) = (one for one in found["parameters"] if one["name"] == "batch_size")
    assert parameter["choices"] == ["9", "27", "54"]
    one, other = found["studies"]
    assert [trial["values"]["batch_size"] for trial in one["trials"]] == ["9", "54"] * 4
    assert {trial["values"]["batch_size"] for trial in other["trials"]} == {"27"}
    for study in (one, other):
        assert "batch size" not in dict(study["settings"])
    (alone,) = exploration([plain])["studies"]
    assert dict(alone["settings"])["batch size"] == "27"
    assert "batch_size" not in alone["trials"][0]["values"]


@pytest.mark.parametrize(
    ("setting", "range_", "is_log"),
    [("max_incoming_in_out", [1, 8], False), ("batch_size", [8, 64], True)],
)
def test_an_axis_with_a_setting_of_zero_is_not_logarithmic(
    fd: Evidence, plain: Evidence, setting: str, range_: list[int], is_log: bool
) -> None:
    drawn = drawing(fd, setting, {"int": range_, "log": True}, [8] * 8)
    for studies, expected in (([drawn], True), ([drawn, plain], is_log)):
        found = exploration(studies)
        (parameter,) = (one for one in found["parameters"] if one["name"] == setting)
        assert parameter["log"] is expected


def test_a_choice_of_zero_in_another_study_is_not_on_a_logarithmic_axis(fd: Evidence) -> None:
    drawn = drawing(fd, "momentum", {"float": [0.1, 0.9], "log": True}, [0.5] * 8)
    other = drawing(fd, "momentum", [0.0, 0.9], [0.0, 0.9] * 4)
    for studies, expected in (([drawn], True), ([drawn, other], False)):
        (parameter,) = (
            one for one in exploration(studies)["parameters"] if one["name"] == "momentum"
        )
        assert parameter["log"] is expected


def conditional(fd: Evidence, name: str, choices: tuple[Any, ...], values: list[Any]) -> Evidence:
    """Return a study with a parameter that only half of its trials have."""
    final = Parameter("fast_dropout_final_layer", Choices((True, False)))
    own = Parameter(name, Choices(choices), Condition(final.name, True))
    definition = copy(fd.definition)
    # As a plug-in's variant has it, which the definition would look for.
    vars(definition)["space"] = Space("own", (final, own))
    trials = fd.trials.assign(**{final.name: [True, False] * 4, name: values})
    return replace(fd, study=replace(fd.study, definition=definition), trials=trials)


def test_a_conditional_choice_is_printed_as_itself(fd: Evidence) -> None:
    study = conditional(fd, "own", (True, False), [1.0, np.nan, 0.0, np.nan] * 2)
    found = exploration([study])
    (parameter,) = (one for one in found["parameters"] if one["name"] == "own")
    assert parameter["choices"] == ["no", "yes"]
    values = [trial["values"].get("own") for trial in found["studies"][0]["trials"]]
    assert values == ["yes", None, "no", None] * 2


@pytest.mark.parametrize("has_it", [True, False])
def test_a_conditional_no_limit_is_a_hyperparameter(fd: Evidence, has_it: bool) -> None:
    study = conditional(fd, "max_incoming", (15, None), [np.nan] * 8)
    trials = study.trials.assign(fast_dropout_final_layer=has_it)
    expected = {"max_incoming": None} if has_it else {}
    assert replace(study, trials=trials).hyperparameters == {
        "fast_dropout_final_layer": has_it,
        **expected,
    }


def settings(fd: Evidence, definition: StudyDefinition) -> dict[str, str]:
    found = exploration([replace(fd, study=replace(fd.study, definition=definition))])
    return dict(found["studies"][0]["settings"])


def test_settings_are_all_that_two_studies_may_differ_in(fd: Evidence) -> None:
    training = replace(fd.definition.training, record=("test_nll", "recurrent_norm"))
    changed = replace(
        fd.definition, training=training, n_trials=9, repeats=3, halving=Halving((2, 4), 0.25)
    )
    plain = replace(fd.definition, training=replace(training, record=()))
    one, other = (settings(fd, definition) for definition in (changed, plain))
    for name, *expected in (
        ("n trials", "9", "8"),
        ("repeats", "3", "0"),
        ("halving", "keeps 0.25 after epochs 2, 4", "none"),
        ("record", "test_nll, recurrent_norm", "none"),
        ("seed", "2013", "2013"),
    ):
        assert [one[name], other[name]] == expected, name
