"""Outputs and kinds of data in definitions, stores and samples."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from scipy.stats import norm

from fdrnn.datasets import DataDescription, Dataset, load
from fdrnn.datasets.errors import FdrnnError, UnknownNameError
from fdrnn.model import OutputMismatchError, TrainingSettings
from fdrnn.search import (
    SPACES,
    DefinitionError,
    StudyConflictError,
    StudyDefinition,
    Training,
    WorkerSettings,
    create_study,
    evaluate,
    make_samples,
    open_store,
    run_worker,
    stored_model,
)
from fdrnn.search.store import tables
from fdrnn.search.store.samples import SAMPLE_ARRAYS

MASKED = TrainingSettings(padding="masked", max_epochs=2, batch_size=50)
DEFINITION = StudyDefinition(
    name="mine", data="waves", variant="fast_dropout", space=SPACES["table2"], n_trials=1, seed=0
)
OF_WAVES = dataclasses.replace(DEFINITION, output="gaussian", training=MASKED)


def test_a_definition_without_the_key_is_bernoulli_and_stored_as_before_there_were_outputs() -> (
    None
):
    mapping = DEFINITION.to_mapping()
    assert sorted(mapping) == ["data", "n_trials", "name", "seed", "space", "training", "variant"]
    assert StudyDefinition.from_mapping(mapping) == DEFINITION
    assert DEFINITION.output == "bernoulli"


def test_another_output_goes_through_the_store_and_makes_another_study() -> None:
    stored = StudyDefinition.from_mapping(json.loads(json.dumps(OF_WAVES.to_mapping())))
    assert stored == OF_WAVES
    other = dataclasses.replace(OF_WAVES, output="bernoulli")
    told = ["output: here 'bernoulli', in the store 'gaussian'"]
    assert other.differences(OF_WAVES) == told


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"output": "gausian"}, UnknownNameError, "did you mean 'gaussian'"),
        (
            {"output": "softmax_sampled"},
            DefinitionError,
            r"training\.padding must be 'masked' for output 'softmax_sampled'",
        ),
    ],
)
def test_a_definition_that_breaks_a_rule(
    changes: dict[str, Any], error: type[FdrnnError], message: str
) -> None:
    with pytest.raises(error, match=message):
        StudyDefinition.from_mapping(DEFINITION.to_mapping() | changes)


def test_a_study_whose_output_does_not_fit_its_data_is_not_made(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}", create=True)
    with pytest.raises(
        OutputMismatchError, match="output must fit the data: 'bernoulli' predicts binary"
    ):
        create_study(store, DEFINITION, load("waves").description)
    assert store.study_names() == []


def few_waves(name: str, folder: Path | None) -> Dataset:
    whole = load("waves")
    few = {split: whole.split(split)[:6] for split in ("train", "valid", "test")}
    return dataclasses.replace(whole, **few)


def test_a_study_of_real_values_from_definition_to_sample(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    store, data = open_store(url, create=True), few_waves("waves", None)
    create_study(store, OF_WAVES, data.description)
    row = store.study("mine")
    assert (row.definition, row.data.kind) == (OF_WAVES, "real")
    run_worker(url, "mine", settings=WorkerSettings(training=Training(load_dataset=few_waves)))
    (state,) = store.study("mine").trials()["state"]
    assert state == "finished"
    made = make_samples(stored_model(store.study("mine")), data, n_steps=20, n_given=5)
    store.study("mine").keep_samples(made)
    kept = store.study("mine").samples(0)
    assert kept is not None
    for name in SAMPLE_ARRAYS:
        np.testing.assert_array_equal(getattr(kept, name), getattr(made, name))
    np.testing.assert_array_equal(made.sample[:5], data.test[0][:5])
    # Predictions and draws are in the units of the file, whose second column is about 20.
    assert abs(made.predictions[:, 1].mean() - 20) < 5
    assert abs(made.sample[5:, 1].mean() - 20) < 15

    # Scored on its own data, the model has its test NLL; scaled data have another.
    stored = store.study("mine").test_sequences(0)["nll_sum"].tolist()
    model = stored_model(store.study("mine"))
    # The predicted Gaussians have the test NLL, in the units of the file.
    whole = make_samples(model, data, n_steps=len(data.test[0]))
    found = -norm.logpdf(whole.excerpt[1:], whole.predictions, whole.deviations).sum()
    assert found == pytest.approx(stored[0], rel=1e-4)
    sums, _ = evaluate(model, data, own=data)
    assert sums.tolist() == stored
    scaled = dataclasses.replace(data, test=tuple(2 * sequence for sequence in data.test))
    assert evaluate(model, scaled, own=data)[0].tolist() != stored
    with pytest.raises(ValueError, match="real values need the study's own data"):
        evaluate(model, data)
    with pytest.raises(StudyConflictError, match="is not the one"):
        evaluate(model, data, own=scaled)


def chords(name: str, folder: Path | None) -> Dataset:
    rng = np.random.default_rng(0)
    sequences = [(rng.random((20, 5)) < 0.4).astype(np.uint8) for _ in range(9)]
    return Dataset(
        name="chords", title="Chords",
        train=tuple(sequences[:5]), valid=tuple(sequences[5:7]), test=tuple(sequences[7:]),
    )  # fmt: skip


def test_a_study_of_nade_from_definition_to_sample(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    store, data = open_store(url, create=True), chords("chords", None)
    mapping = DEFINITION.to_mapping() | {
        "data": "chords",
        "variant": "plain",
        "output": "nade",
        "space": {"extends": ["table2-plain", "nade"], "column_order": "shuffled"},
        "training": {"padding": "masked", "max_epochs": 2},
    }
    create_study(store, StudyDefinition.from_mapping(mapping), data.description)
    run_worker(url, "mine", settings=WorkerSettings(training=Training(load_dataset=chords)))
    study = store.study("mine")
    model = stored_model(study)
    sums, _ = evaluate(model, data)
    assert sums.tolist() == study.test_sequences(0)["nll_sum"].tolist()
    made = make_samples(model, data, n_steps=20, n_given=5)
    sequence = data.test[0]
    nll = -np.log(np.where(sequence[1:] == 1, made.predictions, 1 - made.predictions)).sum()
    assert nll == pytest.approx(sums[0], rel=1e-5)
    assert made.sample.shape == (20, 5)
    assert set(np.unique(made.sample)) <= {0, 1}
    assert model.parameters["V_nade"].shape == (5, model.hyperparameters["n_nade"])
    assert sorted(model.parameters["order_nade"]) == list(range(5))


def test_a_description_of_data_stored_before_there_were_kinds(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}", create=True)
    roll = (np.eye(5, dtype=np.uint8),)
    data = Dataset(name="x", title="X", train=roll, valid=roll, test=roll)
    create_study(store, DEFINITION, data.description)
    with store.database.read() as connection:
        stored = connection.execute(sa.select(tables.studies.c.data)).scalar_one()
    assert stored.pop("baseline_nll") == data.baseline_nll
    assert sorted(stored) == ["fingerprint", "lowest_midi_note", "n_features", "note", "title"]
    assert DataDescription(**stored) == replace(data.description, baseline_nll=None)
