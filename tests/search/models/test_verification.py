from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.search import NoModelError, create_study, open_store, run_worker
from fdrnn.search.models.verification import Verification, verify
from fdrnn.search.store import tables
from fdrnn.search.store.study import Study


@pytest.fixture
def study(tmp_path: Path, fake: ModuleType) -> Study:
    url = str(tmp_path / "store.sqlite3")
    store = open_store(url, create=True)
    create_study(store, fake.definition(n_trials=2), fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    return store.study("noise")


def check(
    study: Study, fake: ModuleType, index: int = 1, most_epochs: int | None = None
) -> Verification:
    training = fake.settings().training
    return verify(study, fake.dataset(), index, training, most_epochs=most_epochs)


def change(study: Study, table: sa.Table, column: str, value: float, **where: int) -> None:
    trial = sa.select(tables.trials.c.trial_id).where(tables.trials.c.config_index == 1)
    conditions = [table.c[name] == key for name, key in where.items()]
    with study.database.write() as connection:
        connection.execute(
            sa.update(table).where(table.c.trial_id.in_(trial), *conditions).values({column: value})
        )


def test_the_same_numbers(study: Study, fake: ModuleType) -> None:
    for index in range(2):
        found = check(study, fake, index)
        assert (found.config_index, found.n_epochs, found.has_result) == (index, 4, True)
        assert found.difference is None


def test_first_epoch_and_quantity_that_differ(study: Study, fake: ModuleType) -> None:
    seed = study.trial(1).seed
    right = fake.record(seed, 3).valid_nll_masked
    wrong = float.fromhex("0x1.0p-52") + right
    change(study, tables.epochs, "valid_nll_masked", wrong, epoch=3)
    change(study, tables.epochs, "train_nll", 7.0, epoch=4)
    found = check(study, fake)
    assert (found.n_epochs, found.has_result) == (3, False)
    assert found.difference is not None
    assert (found.difference.epoch, found.difference.quantity) == (3, "valid_nll_masked")
    assert (found.difference.stored, found.difference.found) == (wrong, right)
    assert check(study, fake, 0).difference is None


def test_spectral_radii_may_differ_a_little(study: Study, fake: ModuleType) -> None:
    radius = fake.record(study.trial(1).seed, 2).spectral_radius
    change(study, tables.epochs, "spectral_radius", radius * (1 + 1e-6), epoch=2)
    assert check(study, fake).difference is None
    change(study, tables.epochs, "spectral_radius", radius * (1 + 1e-3), epoch=2)
    difference = check(study, fake).difference
    assert difference is not None
    assert (difference.epoch, difference.quantity) == (2, "spectral_radius")


def test_a_result_that_differs(study: Study, fake: ModuleType) -> None:
    change(study, tables.test_sequences, "nll_sum", 9.0, sequence_index=1)
    difference = check(study, fake).difference
    assert difference is not None
    assert difference.epoch is None
    assert difference.quantity == "test NLL of sequence 1"
    assert difference.stored == 9.0


def test_first_epochs_alone(study: Study, fake: ModuleType) -> None:
    change(study, tables.epochs, "train_nll", 7.0, epoch=3)
    first = check(study, fake, most_epochs=2)
    assert (first.n_epochs, first.has_result, first.difference) == (2, False, None)
    difference = check(study, fake, most_epochs=3).difference
    assert difference is not None
    assert (difference.epoch, difference.quantity) == (3, "train_nll")
    change(
        study, tables.epochs, "train_nll", fake.record(study.trial(1).seed, 3).train_nll, epoch=3
    )
    whole = check(study, fake, most_epochs=4)
    assert (whole.n_epochs, whole.has_result, whole.difference) == (4, True, None)


def test_a_trial_without_epochs(study: Study, fake: ModuleType) -> None:
    with study.database.write() as connection:
        connection.execute(sa.delete(tables.epochs))
    with pytest.raises(NoModelError, match="trial 1 of study 'noise' is finished and has no epoch"):
        check(study, fake)
    with pytest.raises(UnknownNameError):
        check(study, fake, 9)
