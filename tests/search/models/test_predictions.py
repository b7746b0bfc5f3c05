"""Samples of a trial that was really trained, by way of the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from fdrnn.datasets import Dataset, write_npz
from fdrnn.datasets.errors import DataError, UnknownNameError
from fdrnn.model import TrainingSettings
from fdrnn.search import (
    SPACES,
    NoModelError,
    Samples,
    Store,
    StudyConflictError,
    StudyDefinition,
    create_study,
    evaluate,
    make_samples,
    open_store,
    run_worker,
    stored_model,
)
from fdrnn.search.store import tables
from fdrnn.search.work.claiming import claim, this_worker


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    random = np.random.default_rng(0)
    train, valid, test = (
        tuple((random.random((length, 5)) < 0.3).astype(np.uint8) for length in (30, 12, 21))
        for _ in range(3)
    )
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    made = Dataset(
        name=str(path), title="Noise", train=train, valid=valid, test=test, step_quarters=0.25
    )
    write_npz(path, made)
    return made


@pytest.fixture(scope="module", params=["fast_dropout", "plain"])
def trained(
    request: pytest.FixtureRequest, noise: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """A store with a study of two trained trials; no test changes but its samples."""
    variant = request.param
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.sqlite3'}"
    store = open_store(url, create=True)
    definition = StudyDefinition(
        name="noise",
        data=noise.name,
        variant=variant,
        space=SPACES["table2-plain" if variant == "plain" else "table2"],
        n_trials=2,
        seed=1,
        training=TrainingSettings(batch_size=2, chunk_length=10, max_epochs=2),
    )
    create_study(store, definition, noise.description)
    run_worker(url, "noise")
    yield store
    store.close()


def assert_equal(one: Samples | None, other: Samples) -> None:
    assert one is not None
    assert one.config_index == other.config_index
    assert one.origin == other.origin
    for name in ("excerpt", "predictions", "sample"):
        first, second = getattr(one, name), getattr(other, name)
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("config_index", [0, 1])
def test_the_predictions_have_the_test_nll_of_the_store(
    trained: Store, noise: Dataset, config_index: int
) -> None:
    scored = trained.study("noise").test_sequences().query("config_index == @config_index")
    model = stored_model(trained.study("noise"), config_index)
    for sequence, expected in enumerate(scored["nll_sum"]):
        made = make_samples(model, noise, sequence=sequence)
        np.testing.assert_array_equal(made.excerpt, noise.test[sequence])
        probability = np.where(made.excerpt[1:], made.predictions, 1 - made.predictions)
        assert -np.log(probability).sum() == pytest.approx(expected, rel=1e-6)


def test_an_evaluation_on_the_studys_data_has_the_stored_bits(
    trained: Store, noise: Dataset
) -> None:
    stored = trained.study("noise").test_sequences(1)
    sums, steps = evaluate(stored_model(trained.study("noise"), 1), noise)
    assert sums.tolist() == stored["nll_sum"].tolist()
    assert steps.tolist() == stored["n_steps"].tolist()
    other, _ = evaluate(stored_model(trained.study("noise"), 1), noise, "valid")
    assert other.tolist() != sums.tolist()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"kind": "categorical"}, "kind must be .*, binary, got categorical"),
        ({"width": 4}, "n_features must be .*, 5, got 4"),
    ],
)
def test_data_of_other_columns_are_not_scored(
    trained: Store, noise: Dataset, changes: dict[str, Any], rule: str
) -> None:
    kind, width = changes.get("kind", noise.kind), changes.get("width", 5)
    frames = (np.eye(width, dtype=np.uint8),)
    other = replace(noise, train=frames, valid=frames, test=frames, kind=kind)
    with pytest.raises(DataError, match=rule):
        evaluate(stored_model(trained.study("noise")), other)


def test_what_is_kept_is_what_was_made_and_replaces_the_last(
    trained: Store, noise: Dataset
) -> None:
    best = trained.study("noise").selected
    assert best is not None
    model = stored_model(trained.study("noise"))
    assert model.config_index == best
    first = make_samples(model, noise, sequence=1, n_steps=10, n_given=3, seed=4)
    trained.study("noise").keep_samples(first)
    kept = trained.study("noise").samples(best)
    assert_equal(kept, first)
    assert (first.excerpt.shape, first.predictions.shape) == ((10, 5), (9, 5))
    assert (first.origin.sequence_length, first.origin.n_given) == (12, 3)
    assert first.origin.step_quarters == 0.25
    np.testing.assert_array_equal(first.sample[:3], first.excerpt[:3])

    second = make_samples(model, noise, sequence=2, n_steps=40, seed=5)
    trained.study("noise").keep_samples(second)
    assert_equal(trained.study("noise").samples(best), second)
    # The sequence is shorter than what is drawn.
    assert (len(second.excerpt), len(second.sample)) == (21, 40)
    assert_equal(make_samples(model, noise, sequence=2, n_steps=40, seed=5), second)
    assert trained.study("noise").samples(1 - best) is None


def test_more_given_frames_than_there_are(trained: Store, noise: Dataset) -> None:
    model = stored_model(trained.study("noise"))
    for n_steps, n_given in ((4, 4), (64, 0), (64, len(noise.test[0]) + 1)):
        with pytest.raises(ValueError, match="n_given must be at least 1, less than n_steps"):
            make_samples(model, noise, n_steps=n_steps, n_given=n_given)


def test_data_that_are_not_the_studys(trained: Store, noise: Dataset) -> None:
    other = replace(noise, test=noise.valid)
    with pytest.raises(StudyConflictError, match="not the one that study 'noise' was created for"):
        make_samples(stored_model(trained.study("noise")), other)


def test_trials_without_a_model(store: Store, fake: ModuleType) -> None:
    study_id = create_study(store, fake.definition(n_trials=4), fake.DATA).study_id
    with pytest.raises(NoModelError, match="no trial of study 'noise' has finished"):
        stored_model(store.study("noise"))
    with pytest.raises(NoModelError, match="trial 1 of study 'noise' is waiting"):
        stored_model(store.study("noise"), 1)
    for outside in (4, -1):
        with pytest.raises(UnknownNameError, match=f"trial '{outside}'; .* trials 0 to 3"):
            stored_model(store.study("noise"), outside)

    lease = claim(store.database, study_id, this_worker(), 60.0)
    assert lease is not None
    with pytest.raises(NoModelError, match="trial 0 of study 'noise' is running"):
        stored_model(store.study("noise"), 0)
    nowhere = replace(fake.result(1, 2), diverged=True, best_epoch=0, parameters={})
    lease.finish(replace(nowhere, valid_nll=float("inf")), "some CPU")
    with pytest.raises(NoModelError, match="diverged before it had a finite validation NLL"):
        stored_model(store.study("noise"), 0)

    lease = claim(store.database, study_id, this_worker(), 60.0)
    assert lease is not None
    lease.finish(fake.result(1, 2), "some CPU")
    assert set(stored_model(store.study("noise")).parameters) == {"W_rec", "b_h"}
    with store.database.write() as connection:
        connection.execute(sa.delete(tables.parameters))
    assert store.study("noise").parameters(1) == {}
    with pytest.raises(NoModelError, match="imported without weights"):
        stored_model(store.study("noise"))


def test_only_a_finished_trial_keeps_samples(
    trained: Store, noise: Dataset, store: Store, fake: ModuleType
) -> None:
    made = make_samples(stored_model(trained.study("noise"), 0), noise)
    create_study(store, fake.definition(n_trials=1), fake.DATA)
    with pytest.raises(NoModelError, match="trial 0 of study 'noise' has not finished"):
        store.study("noise").keep_samples(made)
    assert store.study("noise").samples(0) is None
