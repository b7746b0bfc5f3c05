"""The ranking of hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
import pytest
from drawn_figure import drawn
from optuna.importance import PedAnovaImportanceEvaluator

from fdrnn.reports.figures import importances
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.importance import importance, n_repetitions, n_shuffles, shares
from fdrnn.search import SPACES, draw
from fdrnn.search.design.space import Space


def made_up(
    evidence: Evidence, trials: int | Sequence[int], parameter: str | None, seed: int = 0
) -> Evidence:
    """A study whose validation NLL follows from one hyperparameter, or from none."""
    space = SPACES["table2-wide"]
    random = np.random.default_rng(seed)
    rows = []
    for one in draw(space, 5, range(trials) if isinstance(trials, int) else trials):
        values = {name: one.hyperparameters.get(name) for name in space.names}
        order = 0 if parameter is None else 10 * list(choices(parameter)).index(values[parameter])
        rows.append(values | {"config_index": one.index, "valid_nll": 5 + order + random.random()})
    table = pd.DataFrame(rows).assign(state="finished", diverged=False)
    return replace(evidence, trials=table)


def choices(parameter: str) -> tuple[object, ...]:
    return SPACES["table2-wide"][parameter].distribution.extremes


@pytest.mark.parametrize("parameter", ["n_hidden", "step_rate", "fast_dropout_final_layer"])
def test_the_parameter_that_decides_comes_first_and_above_chance(
    fd: Evidence, parameter: str
) -> None:
    table = importance(made_up(fd, 128, parameter))
    assert table is not None
    assert set(table["parameter"]) == set(SPACES["table2-wide"].names)
    first = table.iloc[0]
    assert first["parameter"] == parameter
    assert first["importance"] > first["chance"]
    assert table["importance"].sum() == pytest.approx(1.0)
    assert (table["low"] <= table["high"]).all()


def test_where_nothing_decides_a_parameter_is_named_in_few_studies(fd: Evidence) -> None:
    table = importance(made_up(fd, 32, None))
    assert table is not None
    # The chance level depends on the draws, which are the same in all of these.
    chance = dict(zip(table["parameter"], table["chance"], strict=True))
    highest = [
        max(share / chance[name] for name, share in shares(made_up(fd, 32, None, seed)).items())
        for seed in range(1, 41)
    ]
    assert sum(one > 1 for one in highest) <= 4
    # A level that is far from ever passed says nothing either.
    assert max(highest) > 0.8


def test_a_trial_without_a_finite_nll_is_the_worst(fd: Evidence) -> None:
    study = made_up(fd, 64, "n_hidden")
    worst = study.trials.assign(
        valid_nll=study.trials["valid_nll"].where(study.trials["n_hidden"] != 600, np.inf)
    )
    one, other = importance(study), importance(replace(study, trials=worst))
    assert one is not None
    assert other is not None
    # The best quarter is the same, and only the order matters.
    pd.testing.assert_series_equal(one["importance"], other["importance"])


@pytest.mark.parametrize("n_with", [0, 1, 2])
def test_a_parameter_that_few_or_no_trials_have(fd: Evidence, n_with: int) -> None:
    """Resampling leaves it out of some samples."""
    draws = list(draw(SPACES["table2-wide"], 5, range(64)))
    having = [one.index for one in draws if one.hyperparameters["fast_dropout_final_layer"]]
    others = [one.index for one in draws if one.index not in having]
    table = importance(made_up(fd, sorted(having[:n_with] + others[: 8 - n_with]), "n_hidden"))
    assert table is not None
    assert table["importance"].sum() == pytest.approx(1.0)
    row = table.set_index("parameter").loc["dropout_hidden_to_output"]
    assert np.isfinite(row.to_numpy(float)).all()
    if n_with == 0:
        assert row["importance"] == 0


def test_too_few_trials_have_no_ranking(fd: Evidence) -> None:
    assert importance(made_up(fd, 7, "n_hidden")) is None


def test_fewer_repetitions_for_many_trials() -> None:
    assert [n_repetitions(n) for n in (8, 32, 64, 128, 1000)] == [50, 50, 50, 25, 10]
    assert [n_shuffles(n) for n in (8, 32, 64, 128, 1000)] == [200, 200, 200, 100, 40]


def test_the_figure_shows_bars_intervals_and_chance(fd: Evidence) -> None:
    table = importance(fd)
    figure = importances.figure(fd)
    assert table is not None
    assert figure is not None
    axes = drawn(figure.draw).axes[0]
    bars = [bar.get_width() for bar in axes.patches]
    np.testing.assert_array_equal(bars, table["importance"])
    assert "bootstrap" in figure.caption
    assert "8 finished trials" in figure.caption


def test_the_chance_level_is_a_share(fd: Evidence) -> None:
    """Of two hyperparameters and few trials it would be above 1, which no share passes."""
    fixed = {name: SPACES["table3-jsb"][name].distribution.extremes[0] for name in FIXED}
    space = Space.from_mapping({"extends": "table2-wide", **fixed}, "fast_dropout")
    definition = replace(fd.definition, space=space)
    random = np.random.default_rng(0)
    rows = [
        {name: one.hyperparameters.get(name) for name in space.names}
        | {"config_index": one.index, "valid_nll": random.random()}
        for one in draw(space, 5, range(8))
    ]
    table = pd.DataFrame(rows).assign(state="finished", diverged=False)
    made = replace(fd, study=replace(fd.study, definition=definition), trials=table)
    found = importance(made)
    figure = importances.figure(made)
    assert found is not None
    assert figure is not None
    assert found["chance"].max() == 1
    assert figure.caption.endswith("No bar passes a tick at 1.")


def test_a_level_below_1_needs_no_words(fd: Evidence) -> None:
    figure = importances.figure(made_up(fd, 32, None))
    assert figure is not None
    assert figure.caption.endswith("A bar that does not pass its tick may be luck.")


FIXED = [name for name in SPACES["table2-wide"].names if name not in {"decay", "step_rate"}]

OWN = Space.from_mapping(
    {
        "extends": "table2-wide",
        "step_rate": {"float": [1e-4, 1e-2], "log": True},
        "dropout_input": {"float": [0.0, 0.9]},
        "n_hidden": {"int": [64, 512], "log": True, "step": 8},
        "momentum": {"float": [0.5, 0.9], "step": 0.05},
        "decay": 0.9,
        "batch_size": {"int": [8, 40], "step": 4},
    },
    "fast_dropout",
)


@pytest.mark.parametrize("space", [SPACES["table2-wide"], OWN], ids=["choices", "ranges"])
@pytest.mark.parametrize("n_trials", [9, 40])
def test_the_shares_are_optuna_s(fd: Evidence, space: Space, n_trials: int) -> None:
    study = optuna.create_study()
    rows = []
    for one in draw(space, 3, range(n_trials)):
        values = dict(one.hyperparameters)
        nll = 5.0 + math.log(float(values["n_hidden"])) + ((7 * one.index) % n_trials) / n_trials  # type: ignore[arg-type]
        distributions = {name: space[name].distribution.optuna() for name in values}
        study.add_trial(optuna.create_trial(params=values, distributions=distributions, value=nll))
        rows.append({name: values.get(name) for name in space.names} | {"valid_nll": nll})
    evaluator = PedAnovaImportanceEvaluator(target_quantile=0.25)
    expected = evaluator.evaluate(study)
    definition = replace(fd.definition, space=space)
    table = pd.DataFrame(rows).assign(
        config_index=range(n_trials), state="finished", diverged=False
    )
    made = replace(fd, study=replace(fd.study, definition=definition), trials=table)
    total = sum(expected.values())
    found = shares(made)
    assert set(expected) <= set(found)
    for name, share in found.items():
        assert share == pytest.approx(expected.get(name, 0.0) / total, rel=1e-9), name
