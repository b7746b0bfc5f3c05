from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from fractions import Fraction

import optuna
import pytest
from scipy.stats import chi2_contingency, chisquare

from fdrnn.search import SPACES, draw
from fdrnn.search.design.sampler import ConfigurationSampler, training_seed

N = 3000


@pytest.fixture(scope="module")
def many() -> list[dict[str, object]]:
    return [one.hyperparameters for one in draw(SPACES["table2"], 2013, range(N))]


@pytest.mark.parametrize("parameter", SPACES["table2"].parameters, ids=lambda p: p.name)
def test_each_parameter_is_uniform_over_its_values(
    parameter: object, many: list[dict[str, object]]
) -> None:
    name, choices = parameter.name, parameter.distribution.values  # type: ignore[attr-defined]
    counts = Counter(values[name] for values in many if name in values)
    assert set(counts) == set(choices)
    assert chisquare([counts[choice] for choice in choices]).pvalue > 1e-3


def test_parameters_are_independent_of_each_other(many: list[dict[str, object]]) -> None:
    names = [name for name in SPACES["table2"].names if name != "dropout_hidden_to_output"]
    for one, other in itertools.combinations(names, 2):
        counts = Counter((values[one], values[other]) for values in many)
        rows, columns = {key[0] for key in counts}, {key[1] for key in counts}
        table = [[counts[row, column] for column in columns] for row in rows]
        # 55 pairs: a true 1e-5 would be a chance of 0.0006 that any falls below it.
        assert chi2_contingency(table).pvalue > 1e-5, (one, other)


def test_hidden_to_output_dropout_is_drawn_exactly_with_fast_dropout_in_the_final_layer(
    many: list[dict[str, object]],
) -> None:
    for values in many:
        drawn = "dropout_hidden_to_output" in values
        assert drawn == values["fast_dropout_final_layer"]


def test_a_draw_is_the_documented_function_of_seed_index_and_name() -> None:
    for configuration in draw(SPACES["table2"], 5, range(20)):
        for name, value in configuration.hyperparameters.items():
            digest = hashlib.sha256(f"5/{configuration.index}/{name}".encode()).hexdigest()
            fraction = Fraction(int(digest, 16), 2**256)
            choices = SPACES["table2"][name].distribution.values
            assert value == choices[int(fraction * len(choices))]


def test_draws_depend_neither_on_their_number_nor_on_their_order() -> None:
    space = SPACES["table2"]
    all_at_once = draw(space, 3, range(12))
    assert draw(space, 3, range(5)) == all_at_once[:5]
    assert draw(space, 3, [11, 4, 7]) == [all_at_once[k] for k in (11, 4, 7)]
    assert draw(space, 3, []) == []
    assert draw(space, 4, range(12)) != all_at_once


def test_studies_of_one_seed_share_their_common_draws() -> None:
    paper, wide, plain = (
        draw(SPACES[name], 1, range(200)) for name in ("table2", "table2-wide", "table2-plain")
    )
    for one, other, third in zip(paper, wide, plain, strict=True):
        assert one.seed == other.seed == third.seed
        for name, value in third.hyperparameters.items():
            assert one.hyperparameters[name] == value
        for name, value in other.hyperparameters.items():
            if name != "dropout_hidden_to_hidden":
                assert one.hyperparameters[name] == value
    assert {o.hyperparameters["dropout_hidden_to_hidden"] for o in wide} >= {0.6, 0.7, 0.8, 0.9}


def test_training_seeds_differ_and_depend_on_seed_and_index_alone() -> None:
    seeds = [training_seed(1, k) for k in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds[:3] == [one.seed for one in draw(SPACES["table2"], 1, range(3))]
    assert training_seed(2, 0) != seeds[0]


def test_the_sampler_draws_the_parameters_of_its_space_in_any_optuna_study() -> None:
    study = optuna.create_study(sampler=ConfigurationSampler(SPACES["table2"], 9))
    trial = study.ask()
    expected = draw(SPACES["table2"], 9, range(1))[0].hyperparameters["n_hidden"]
    assert trial.suggest_categorical("n_hidden", (200, 400, 600)) == expected
    with pytest.raises(KeyError, match="strange"):
        trial.suggest_float("strange", 0.0, 1.0)
