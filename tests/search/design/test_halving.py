"""The rule of successive halving, and its replay on curves."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fdrnn.search import DefinitionError, StudyDefinition
from fdrnn.search.design.halving import Halving, lowest, replay

STUDY = {
    "data": "jsb", "variant": "plain", "space": "table2-plain", "n_trials": 4, "seed": 0,
    "training": {"max_epochs": 400},
}  # fmt: skip


def definition(**changes: Any) -> StudyDefinition:
    return StudyDefinition.from_mapping(STUDY | changes, "mine")


@pytest.mark.parametrize(
    ("mapping", "rungs"),
    [
        ({"first": 25}, (25, 50, 100, 200)),
        ({"first": 25, "keep": 0.25}, (25, 100)),
        ({"first": 3, "keep": 0.4}, (3, 7, 18, 46, 117, 292)),
        ({"first": 399}, (399,)),
        ({"rungs": [10, 300], "keep": 0.1}, (10, 300)),
    ],
)
def test_rungs_grow_by_the_share_that_continues(
    mapping: dict[str, Any], rungs: tuple[int, ...]
) -> None:
    halving = definition(halving=mapping).halving
    assert halving is not None
    assert halving.rungs == rungs
    assert definition(halving=halving.to_mapping()).halving == halving


@pytest.mark.parametrize(
    ("halving", "message"),
    [
        ({"first": 25, "keep": 1.0}, r"halving.keep must be in \(0, 1\), got 1.0"),
        ({"first": 25, "keep": 0.0}, r"halving.keep must be in \(0, 1\), got 0.0"),
        ({"first": 25, "keep": 1}, r"halving.keep must be in \(0, 1\), got 1"),
        ({"first": 25, "keep": math.nan}, r"halving.keep must be in \(0, 1\), got nan"),
        ({"first": 1, "keep": 0.9999999}, "halving.keep must be at most 0.99 beside first, .* got"),
        ({"first": 1, "keep": 0.99}, "halving.rungs must be 1 to 100 epochs, got 237"),
        ({"first": 400}, r"halving.first must be at least 1 and below max_epochs \(400\), got 400"),
        ({"first": 0}, "halving.first must be at least 1"),
        ({"first": 2.5}, "halving.first must be at least 1 .* got 2.5"),
        ({"rungs": [25, 400]}, r"halving.rungs must be below max_epochs \(400\), got 400"),
        ({"rungs": [25, 25]}, r"halving.rungs must be ascending epochs from 1, got \[25, 25\]"),
        ({"rungs": [0, 25]}, "halving.rungs must be ascending epochs from 1"),
        ({"rungs": []}, "halving.rungs must be 1 to 100 epochs, got 0"),
        ({"rungs": 25}, "halving.rungs must be a list of epochs, got 25"),
        ({"rungs": [1], "first": 1}, "halving must have one of the keys first and rungs"),
        ({"keep": 0.5}, "halving must have one of the keys first and rungs"),
        ({"frist": 25}, r"unknown key halving.frist; did you mean first\?"),
        (3, "halving must be a table, got 3"),
    ],
)
def test_a_mistake_is_one_line(halving: object, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as raised:
        definition(halving=halving)
    assert "\n" not in str(raised.value)


def test_fewer_epochs_than_the_last_rung_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"halving.first must be"):
        definition(halving={"first": 25}, training={"max_epochs": 20})


@pytest.mark.parametrize("repeats", [-1, 1001])
def test_repeats_have_a_range(repeats: int) -> None:
    with pytest.raises(DefinitionError, match=f"repeats must be in 0 .. 1000, got {repeats}"):
        definition(repeats=repeats)


def test_the_best_share_continues_and_ties_go_to_the_lower_index() -> None:
    halving = Halving((1,), keep=0.5)
    assert halving.survivors({0: 3.0, 1: 2.0, 2: 2.0, 3: 1.0, 4: 9.0}) == [1, 2, 3]
    assert halving.survivors({4: math.nan, 2: math.inf, 7: 5.0}) == [2, 7]
    assert halving.survivors({4: 1.0}) == [4]
    # A tenth of ten is one, whatever 0.1 is in binary.
    assert Halving((1,), keep=0.1).n_kept(10) == 1


def test_a_replay_counts_epochs_and_keeps_what_ended_early() -> None:
    curves = {
        0: [5.0, 4.0, 3.0, 2.0],
        1: [4.0, 4.0, 4.0, 4.0],
        2: [3.0],
        3: [9.0, 0.1, 0.1, 0.1],
    }
    done = replay(Halving((1, 2), keep=0.5), curves)
    # After epoch 1 trials 1 and 2 are the best; trial 2 has ended, and wins the second rung.
    assert done.n_epochs == {0: 1, 1: 2, 2: 1, 3: 1}
    assert done.continued == (2,)


def test_expected_epochs() -> None:
    halving = Halving((2, 4), keep=0.5)
    assert halving.expected_epochs(0, 8) == 2 + 0.5 * 2 + 0.25 * 4
    assert halving.expected_epochs(1, 8) == 4 + 0.5 * 4


def test_the_lowest_of_a_curve() -> None:
    assert lowest([math.nan, 3.0, 2.0]) == 2.0
    assert lowest([]) == lowest([math.nan]) == math.inf


def test_rungs_below_a_number_of_epochs() -> None:
    halving = Halving((25, 50, 100), 0.25)
    assert halving.below(101) == halving
    assert halving.below(100) == Halving((25, 50), 0.25)
    assert halving.below(25) is None


def test_what_extends_a_study() -> None:
    stored = definition(halving={"first": 25, "keep": 0.5}, repeats=2)
    assert (
        definition(
            halving={
                "first": 25,
                "keep": 0.6,
            }
        ).differences(stored)
        != []
    )
    wider = definition(halving={"rungs": [25, 50, 100, 200], "keep": 0.6})
    longer = definition(halving={"first": 25}, training={"max_epochs": 1000, "patience": 40})
    without = definition()
    for wanted in (wider, longer, without, definition(halving={"first": 25})):
        assert wanted.differences(stored) == []
        extended = stored.extended_by(wanted)
        assert (extended.halving, extended.repeats) == (wanted.halving, 2)
    assert stored.extended_by(longer).training == longer.training
    # Running trials that have passed every rung would pause at this one.
    further = definition(halving={"rungs": [25, 50, 100, 200, 210], "keep": 0.5})
    assert len(further.differences(stored)) == 1
    narrower = definition(halving={"rungs": [25, 50, 100, 200], "keep": 0.4})
    (line,) = narrower.differences(stored)
    assert line.startswith("halving: here {'rungs': [25, 50, 100, 200], 'keep': 0.4}, in the store")
    assert stored.differences(without) != []
    assert stored.differences(longer) != []
