from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fdrnn.datasets import Dataset, write_npz
from fdrnn.datasets.errors import UnknownNameError
from fdrnn.model import DecompositionError, TrainingSettings
from fdrnn.search import (
    SPACES,
    NoModelError,
    PortableStudy,
    Store,
    StudyConflictError,
    StudyDefinition,
    analyze,
    create_study,
    open_store,
)
from fdrnn.search.work.claiming import claim, this_worker
from fdrnn.search.work.lease import Lease
from fdrnn.search.work.training import make_trainer


def noise(seed: int) -> Dataset:
    frames = np.random.default_rng(seed).integers(0, 2, (6, 9, 3), dtype=np.uint8)
    return Dataset(
        name="noise",
        title="Noise",
        train=tuple(frames[:4]),
        valid=tuple(frames[4:5]),
        test=tuple(frames[5:]),
    )


DATA = noise(0)


@pytest.fixture
def store(initialized_file: Path, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(shutil.copy(initialized_file, tmp_path / "store.sqlite3")))
    yield opened
    opened.close()


def made(store: Store, tmp_path: Path, variant: str = "fast_dropout", space: str = "table2") -> int:
    path = tmp_path / "noise.npz"
    write_npz(path, DATA)
    definition = StudyDefinition(
        name="mine",
        data=str(path),
        variant=variant,
        space=SPACES[space],
        n_trials=2,
        seed=1,
        training=TrainingSettings(max_epochs=2, chunk_length=9),
    )
    return create_study(store, definition, DATA.description).study_id


def claimed(store: Store, study_id: int) -> Lease:
    lease = claim(store.database, study_id, this_worker(), 60.0)
    assert lease is not None
    return lease


def test_a_trial_under_way_and_finished(store: Store, tmp_path: Path) -> None:
    lease = claimed(store, made(store, tmp_path))
    trainer = make_trainer(DATA, store.study("mine").definition, lease.hyperparameters, lease.seed)
    lease.write([trainer.run_epoch(lambda: False)], trainer.state())
    under_way = analyze(store.study("mine"), 0, None)
    assert (under_way.config_index, under_way.epoch) == (0, 1)
    lease.write([trainer.run_epoch(lambda: False)])
    result = trainer.result()
    lease.finish(result, "machine")
    finished = analyze(store.study("mine"), None, None)
    assert (finished.config_index, finished.epoch) == (0, result.best_epoch)
    for found in (under_way, finished):
        assert all(layer.residual < 1e-12 for layer in found.layers)
    weights = finished.layers[1].weights
    np.testing.assert_array_equal(weights, result.parameters["W_rec"].astype(float))
    assert (weights != under_way.layers[1].weights).any()


def test_what_cannot_be_analyzed(store: Store, tmp_path: Path) -> None:
    study_id = made(store, tmp_path)
    with pytest.raises(UnknownNameError, match="study 'other'"):
        analyze(store.study("other"), 0, None)
    with pytest.raises(UnknownNameError, match="unknown trial '7'"):
        analyze(store.study("mine"), 7, None)
    with pytest.raises(NoModelError, match=r"no finished trial yet; name one .* with --trial"):
        analyze(store.study("mine"), None, None)
    with pytest.raises(NoModelError, match="trial 1 of study 'mine' is waiting and has no param"):
        analyze(store.study("mine"), 1, None)
    lease = claimed(store, study_id)
    trainer = make_trainer(DATA, store.study("mine").definition, lease.hyperparameters, lease.seed)
    lease.write([trainer.run_epoch(lambda: False)], trainer.state())
    claimed(store, study_id).fail("oops")
    with pytest.raises(NoModelError, match=r"is failed and .* it ended without a result; name"):
        analyze(store.study("mine"), 1, None)
    write_npz(tmp_path / "noise.npz", noise(5))
    with pytest.raises(StudyConflictError, match="not the one that study 'mine' was created for"):
        analyze(store.study("mine"), 0, None)


def test_a_study_imported_without_weights(store: Store, tmp_path: Path) -> None:
    lease = claimed(store, made(store, tmp_path))
    trainer = make_trainer(DATA, store.study("mine").definition, lease.hyperparameters, lease.seed)
    lease.write([trainer.run_epoch(lambda: False)])
    lease.finish(trainer.result(), "machine")
    imported = open_store(str(tmp_path / "imported.sqlite3"), create=True)
    PortableStudy.from_study(store.study("mine")).write(tmp_path / "mine.fdrnn.zip")
    PortableStudy.read(tmp_path / "mine.fdrnn.zip").insert(imported)
    with pytest.raises(
        NoModelError, match=r"finished and .* imported without weights; .* --storage"
    ):
        analyze(imported.study("mine"), None, None)


def test_a_variant_without_variances(store: Store, tmp_path: Path) -> None:
    made(store, tmp_path, "plain", "table2-plain")
    with pytest.raises(DecompositionError, match=r"passes variances on.*got 'plain'"):
        analyze(store.study("mine"), 0, None)
