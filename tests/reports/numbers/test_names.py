"""Names and values of hyperparameters as the reports print them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fdrnn.reports.numbers.names import (
    chosen,
    having,
    in_order,
    is_range,
    label,
    part_index,
    parts,
    range_text,
    value_text,
)
from fdrnn.search import SPACES, Choices, FloatRange, IntRange, Parameter, Space, draw

PARAMETERS = {
    (space, parameter.name): parameter.distribution.extremes
    for space, one in SPACES.items()
    for parameter in one.parameters
}


@pytest.mark.parametrize(("space", "name"), PARAMETERS)
def test_every_choice_is_printed_as_itself(space: str, name: str) -> None:
    choices = PARAMETERS[space, name]
    printed = [value_text(name, choice) for choice in choices]
    assert len(set(printed)) == len(choices)
    for text, choice in zip(printed, choices, strict=True):
        if not isinstance(choice, bool) and choice is not None and text not in {"yes", "no"}:
            assert (text if isinstance(choice, str) else float(text)) == choice


def test_a_parameter_may_have_no_limit_as_its_condition() -> None:
    condition = {"choices": [1, 2], "when": {"max_incoming": None}}
    space = Space.from_mapping({"name": "own", "extends": "table2-plain", "own": condition})
    drawn = [one.hyperparameters for one in draw(space, 1, range(20))]
    limits = pd.Series([one["max_incoming"] for one in drawn], dtype="float64")
    trials = pd.DataFrame({"max_incoming": limits})
    expected = [k for k, values in enumerate(drawn) if "own" in values]
    assert 0 < len(expected) < 20
    assert having(trials, space["own"]).index.tolist() == expected
    assert having(trials[:0], space["own"]).columns.tolist() == ["max_incoming"]


RANGES = [
    Parameter("step_rate", FloatRange(1e-4, 1e-2, log=True)),
    Parameter("dropout_input", FloatRange(0.0, 0.95)),
    Parameter("dropout_input", FloatRange(0.0, 0.95, step=0.05)),
    Parameter("n_hidden", IntRange(64, 512, log=True, step=8)),
    Parameter("n_hidden", IntRange(1, 1000)),
]


@pytest.mark.parametrize("parameter", RANGES, ids=lambda one: str(one.distribution))
def test_a_range_has_parts_that_are_about_as_likely(parameter: Parameter) -> None:
    found = parts(parameter)
    space = Space("own", (parameter,))
    drawn = [one.hyperparameters[parameter.name] for one in draw(space, 5, range(400))]
    indices = [part_index(parameter, value) for value in drawn]
    assert len(found) == 4
    assert is_range(parameter)
    for index, part in enumerate(found):
        assert 60 <= indices.count(index) <= 140
        values = [value for value, at in zip(drawn, indices, strict=True) if at == index]
        assert part.low is not None
        assert part.high is not None
        assert all(part.low - 1e-9 <= value <= part.high + 1e-9 for value in values)


def test_a_short_range_and_choices_have_their_values() -> None:
    short = Parameter("n_hidden", IntRange(16, 64, step=8))
    assert [part.text for part in parts(short)] == ["16", "24", "32", "40", "48", "56", "64"]
    assert not is_range(short)
    assert [part_index(short, value) for value in (16, 40.0, 64)] == [0, 3, 6]
    scale = Parameter("init_scale", Choices(("variance", "std")))
    assert [part.text for part in parts(scale)] == ["std", "variance"]
    assert part_index(scale, "std") == 0
    limit = Parameter("max_incoming", Choices((None, 50, 15)))
    assert [part.text for part in parts(limit)] == ["15", "50", "no limit"]
    assert [part_index(limit, value) for value in (float("nan"), 50.0, 15)] == [2, 1, 0]


def test_ranges_and_names_are_printed() -> None:
    assert range_text(RANGES[0]) == "0.0001 to 0.01, logarithmic"
    assert range_text(RANGES[3]) == "64 to 512, logarithmic, step 8"
    assert range_text(Parameter("decay", Choices((0.9,)))) == ""
    assert value_text("step_rate", 0.0004115963241404068) == "0.0004116"
    # A frame of trials has NumPy's.
    assert [value_text("own", np.bool_(value)) for value in (True, False)] == ["yes", "no"]
    assert label("batch_size") == "chunks per minibatch"
    assert label("a_plugins_own") == "a plugins own"
    assert in_order(["own", "decay", "n_hidden"]) == ["n_hidden", "decay", "own"]


def test_a_value_of_a_column_with_missing_ones_is_the_choice() -> None:
    own = Parameter("own", Choices((True, False)))
    assert [chosen(own, value) for value in (1.0, 0.0, True)] == [True, False, True]
    assert value_text("own", chosen(own, 1.0)) == "yes"
    limit = Parameter("max_incoming", Choices((15, None)))
    assert [chosen(limit, value) for value in (15.0, float("nan"))] == [15, None]
    mixed = Parameter("own", Choices((0, "off")))
    assert [chosen(mixed, value) for value in (0, "off")] == [0, "off"]
    assert chosen(RANGES[0], 1e-3) == 1e-3
