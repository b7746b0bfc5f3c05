"""Studies renamed and deleted, in our tables and Optuna's."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import ModuleType
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from filled_study import everything, fill

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.search import (
    DefinitionError,
    ForeignStudyError,
    Store,
    StudyConflictError,
    create_study,
)
from fdrnn.search.design.halving import Halving
from fdrnn.search.mirror.notes import update_note
from fdrnn.search.mirror.optuna_tables import Mirror
from fdrnn.search.store.tables import studies
from fdrnn.search.work import decisions
from fdrnn.search.work.administration import delete_studies, rename_studies
from fdrnn.search.work.claiming import WorkerIdentity, claim, expire, this_worker


def rows(store: Store) -> dict[str, int]:
    """The number of rows of every table, ours and Optuna's."""
    metadata = sa.MetaData()
    with store.database.read() as connection:
        metadata.reflect(connection)
        return {
            name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
        }


def test_a_deleted_study_leaves_no_row(store: Store, url: str, fake: ModuleType) -> None:
    create_study(store, fake.definition("bystander", n_trials=2), fake.DATA)
    before, bystander = rows(store), everything(store, "bystander")
    fill(store, fake)
    expire(store.database, "ada-1")
    study = store.study("noise")
    Mirror(study).sync()
    update_note(study, "a note\n", {"figure": "{}"})
    filled = rows(store)
    assert filled["fdrnn_samples"] > before["fdrnn_samples"]
    assert filled["trial_intermediate_values"] > before["trial_intermediate_values"]
    delete_studies(store, ["noise"])
    assert rows(store) == before
    assert everything(store, "bystander") == bystander
    # The name is free again, in both.
    create_study(store, fake.definition(n_trials=1), fake.DATA)
    assert len(optuna.load_study(study_name="noise", storage=url).trials) == 1


def test_a_renamed_study_is_the_same_study(store: Store, url: str, fake: ModuleType) -> None:
    fill(store, fake)
    expire(store.database, "ada-1")
    before = everything(store, "noise")
    shown = optuna.load_study(study_name="noise", storage=url).trials
    rename_studies(store, [("noise", "silence")])
    assert store.study_names() == ["silence", "bystander"]
    renamed = store.study("silence")
    assert renamed.definition.name == "silence"
    after = everything(store, "silence")
    assert after["study"][0] == before["study"][0] | {"name": "silence"}
    assert {**after, "study": None} == {**before, "study": None}
    assert optuna.load_study(study_name="silence", storage=url).trials == shown
    with pytest.raises(KeyError):
        optuna.load_study(study_name="noise", storage=url)


@pytest.mark.parametrize("change", ["delete", "rename"])
def test_a_study_in_training_is_left_alone(store: Store, fake: ModuleType, change: str) -> None:
    study = create_study(store, fake.definition(n_trials=2), fake.DATA)
    create_study(store, fake.definition("other", n_trials=1), fake.DATA)
    assert claim(store.database, study.study_id, this_worker(), 60.0) is not None
    before = everything(store, "noise"), everything(store, "other")

    def apply() -> None:
        if change == "delete":
            delete_studies(store, ["other", "noise"])
        else:
            rename_studies(store, [("other", "another"), ("noise", "silence")])

    with pytest.raises(StudyConflictError, match=f"trained by {this_worker().name}; stop"):
        apply()
    assert (everything(store, "noise"), everything(store, "other")) == before
    expire(store.database, this_worker().name)
    apply()
    assert "noise" not in store.study_names()


def test_names_that_cannot_be_given(store: Store, url: str, fake: ModuleType) -> None:
    for name in ("noise", "other"):
        create_study(store, fake.definition(name, n_trials=1), fake.DATA)
    optuna.create_study(study_name="theirs", storage=url)
    for name in ("other", "theirs"):
        with pytest.raises(StudyConflictError, match=f"already has a study {name}"):
            rename_studies(store, [("noise", name)])
    with pytest.raises(DefinitionError, match="name must be 1 to 100 letters"):
        rename_studies(store, [("noise", "a b")])
    with pytest.raises(UnknownNameError, match="unknown study 'nois'; did you mean 'noise'"):
        rename_studies(store, [("nois", "silence")])
    assert store.study_names() == ["noise", "other"]


def test_a_study_whose_plug_in_is_missing_is_renamed_and_deleted(
    store: Store, fake: ModuleType
) -> None:
    create_study(store, fake.definition(n_trials=1), fake.DATA)
    gone = {"variant": "gone", "plugins": {"variant": "lost 3.0"}}
    definition = fake.definition(n_trials=1).to_mapping() | gone
    with store.database.write() as connection:
        connection.execute(studies.update().values(definition=definition))
    rename_studies(store, [("noise", "silence")])
    with pytest.raises(ForeignStudyError, match="which is not installed"):
        store.study("silence")
    delete_studies(store, ["silence"])
    assert store.study_names() == []


def test_a_comparison_s_studies_of_missing_plug_ins_are_of_it(
    store: Store, fake: ModuleType
) -> None:
    for variant in ("other", "gone", "fast_dropout"):
        create_study(store, fake.definition(f"bench.{variant}", n_trials=1), fake.DATA)
    definition = fake.definition("bench.gone", n_trials=1).to_mapping() | {"variant": "gone"}
    with store.database.write() as connection:
        of_gone = studies.update().where(studies.c.name == "bench.gone")
        connection.execute(of_gone.values(definition=definition))
    assert store.named(["bench"]) == ["bench.fast_dropout", "bench.gone"]


def test_a_rename_waits_for_a_decision(
    store: Store, fake: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    halved = replace(fake.definition(n_trials=3), halving=Halving((1,), 0.5))
    study = create_study(store, halved, fake.DATA)
    for lease in [claim(store.database, study.study_id, this_worker(), 60.0) for _ in range(3)]:
        assert lease
        lease.write([fake.record(lease.seed, 1)], b"1")
        lease.pause()
    read, deciding = decisions._curves, threading.Event()

    def slowly(*arguments: Any) -> Any:
        deciding.set()
        time.sleep(0.5)
        return read(*arguments)

    monkeypatch.setattr(decisions, "_curves", slowly)
    bob, leases = WorkerIdentity("bob-2", "bob", 2), []

    def claim_too() -> None:
        leases.append(claim(store.database, study.study_id, bob, 0.001))

    other = threading.Thread(target=claim_too)
    other.start()
    assert deciding.wait(60.0)
    rename_studies(store, [("noise", "other")])
    other.join()
    (lease,) = leases
    assert lease is not None
    assert store.study_names() == ["other"]
    states = store.study("other").trials()["state"].tolist()
    assert sorted(states) == ["pruned", "running", "waiting"]
