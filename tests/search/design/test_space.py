from __future__ import annotations

import dataclasses

import pytest

from fdrnn.model import FastDropoutHyperparameters, Hyperparameters
from fdrnn.search import SPACES, TABLE_3, draw
from fdrnn.search.design.space import Condition

# Table 2, written down once more from the paper.
TABLE_2 = {
    "n_hidden": [200, 400, 600],
    "dropout_input": [0.0, 0.1, 0.2],
    "dropout_hidden_to_hidden": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
    "fast_dropout_final_layer": [True, False],
    "dropout_hidden_to_output": [0.0, 0.2, 0.5],
    "step_rate": [1e-2, 5e-3, 1e-3, 5e-4, 1e-4, 1e-5],
    "momentum": [0.0, 0.9, 0.95, 0.99, 0.995],
    "decay": [0.8, 0.9],
    "sigma2_rec_out": [1e-1, 1e-2, 1e-3, 1e-4],
    "sigma2_in": [1e-1, 1e-2, 1e-3, 1e-4],
    "spectral_radius": [1.0, 1.05, 1.1, 1.2],
    "max_incoming": [15, 25, 35, 50, None],
}


def choices(space: str) -> dict[str, list[object]]:
    return {
        parameter.name: list(parameter.distribution.values)
        for parameter in SPACES[space].parameters
    }


def test_table2_is_the_papers() -> None:
    assert choices("table2") == TABLE_2
    conditions = {p.name: p.when for p in SPACES["table2"].parameters if p.when}
    assert conditions == {"dropout_hidden_to_output": Condition("fast_dropout_final_layer", True)}


def test_wide_differs_in_hidden_to_hidden_dropout_alone() -> None:
    rates = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert choices("table2-wide") == TABLE_2 | {"dropout_hidden_to_hidden": rates}


def test_plain_leaves_out_the_four_dropout_parameters() -> None:
    dropout = {name for name in TABLE_2 if "dropout" in name}
    assert len(dropout) == 4
    kept = {name: values for name, values in TABLE_2.items() if name not in dropout}
    assert choices("table2-plain") == kept


@pytest.mark.parametrize(
    ("space", "dropout"),
    [
        ("weight-decay", []),
        ("nonrecurrent-dropout", ["dropout_input", "dropout_hidden_to_output"]),
        ("dropout", ["dropout_input", "dropout_hidden_to_hidden", "dropout_hidden_to_output"]),
    ],
)
def test_other_spaces_are_plain_and_what_they_name(space: str, dropout: list[str]) -> None:
    more = {name: TABLE_2[name] for name in dropout}
    if space == "weight-decay":
        more = {"weight_decay": [1e-2, 1e-3, 1e-4, 1e-5]}
    assert choices(space) == choices("table2-plain") | more
    assert all(parameter.when is None for parameter in SPACES[space].parameters)


def test_spaces_of_lstm_and_weight_noise() -> None:
    single = ("spectral_radius", "max_incoming")
    of_lstm = {name: values for name, values in TABLE_2.items() if name not in single}
    of_lstm |= {"n_hidden": [100, 200, 300], "sigma2_rec_out": [1e-2, 1e-3, 1e-4]}
    assert choices("lstm-fast-dropout") == of_lstm
    rates = choices("table2-wide")["dropout_hidden_to_hidden"]
    wide = {"n_hidden": [200, 400, 600], "dropout_hidden_to_hidden": rates}
    assert choices("lstm-wide") == of_lstm | wide
    plain = {name: values for name, values in of_lstm.items() if "dropout" not in name}
    assert choices("lstm") == plain
    noise = {"sigma2_noise": [1e-3, 1e-4, 1e-5, 1e-6]}
    assert choices("weight-noise") == choices("table2-plain") | noise


def test_spaces_of_several_layers() -> None:
    layers: dict[str, list[object]] = {"n_layers": [2, 3]}
    assert choices("deep-plain") == choices("table2-plain") | layers
    assert choices("deep-lp") == choices("deep-plain") | {"n_pooled": [2, 4]}
    between = {"dropout_between_layers": TABLE_2["dropout_hidden_to_hidden"]}
    assert choices("deep-wide") == choices("table2-wide") | layers | between


@pytest.mark.parametrize("space", SPACES)
def test_spaces_share_the_draws_of_parameters_they_have_in_common(space: str) -> None:
    here, there = draw(SPACES[space], 2013, range(4)), draw(SPACES["table2"], 2013, range(4))
    alike = {name for name, values in choices(space).items() if values == TABLE_2.get(name)}
    for mine, reference in zip(here, there, strict=True):
        assert mine.seed == reference.seed
        for name in alike & mine.hyperparameters.keys() & reference.hyperparameters.keys():
            assert mine.hyperparameters[name] == reference.hyperparameters[name]


@pytest.mark.parametrize(
    ("space", "hyperparameters"),
    [
        ("table2", FastDropoutHyperparameters),
        ("table2-wide", FastDropoutHyperparameters),
        ("table2-plain", Hyperparameters),
    ],
)
def test_parameters_are_the_fields_of_the_hyperparameters(
    space: str, hyperparameters: type[Hyperparameters]
) -> None:
    assert set(SPACES[space].names) == {f.name for f in dataclasses.fields(hyperparameters)}


@pytest.mark.parametrize("data", TABLE_3)
def test_a_column_of_table_3_is_drawn_as_it_stands(data: str) -> None:
    for configuration in draw(SPACES[f"table3-{data}"], 5, range(2)):
        assert FastDropoutHyperparameters(**configuration.hyperparameters) == TABLE_3[data]


def test_table_3_mixed_draws_every_value_of_the_columns_and_no_other() -> None:
    drawn = [one.hyperparameters for one in draw(SPACES["table3-mixed"], 5, range(200))]
    for name in SPACES["table2"].names:
        columns = {getattr(column, name) for column in TABLE_3.values()}
        if name == "dropout_hidden_to_output":
            columns.discard(None)
        assert {values[name] for values in drawn if name in values} == columns
