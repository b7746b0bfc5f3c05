from __future__ import annotations

import errno
import multiprocessing
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import ModuleType

import optuna
import pytest
import sqlalchemy as sa

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.search import ForeignStudyError, Store, StoreError, create_study, open_store, run_workers
from fdrnn.search.errors import StoreUnavailableError
from fdrnn.search.store.tables import SCHEMA_VERSION, schema, studies


def test_an_absent_store_is_not_made_by_looking(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with pytest.raises(StoreError, match=r"there is no store .*store.sqlite3; `fdrnn run STUDY`"):
        open_store(str(path))
    assert not path.exists()


def test_a_database_without_our_tables_holds_no_store(url: str) -> None:
    optuna.create_study(storage=url, study_name="somebody's")
    with pytest.raises(StoreError, match=r"database .* is not a store; `fdrnn run STUDY`"):
        open_store(url)
    assert open_store(url, create=True).study_names() == []


def test_another_programs_sqlite_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE trials (verdict TEXT)")
    content = path.read_bytes()
    with pytest.raises(StoreError, match=r"theirs.db is not a store .*'trials'; name another file"):
        open_store(str(path), create=True)
    assert path.read_bytes() == content


def test_an_initialized_store_is_opened_again(store: Store, url: str) -> None:
    assert open_store(url).study_names() == []
    assert open_store(url, create=True).study_names() == []


def test_a_store_of_a_newer_fdrnn_is_refused(store: Store, url: str) -> None:
    with store.database.write() as connection:
        connection.execute(sa.update(schema).values(version=SCHEMA_VERSION + 1))
    with pytest.raises(StoreError, match=r"has schema version \d+, .*; a newer fdrnn created it"):
        open_store(url)


def test_a_store_of_an_earlier_fdrnn_is_refused_with_the_command_that_migrates(
    store: Store, url: str
) -> None:
    with store.database.write() as connection:
        connection.execute(sa.update(schema).values(version=SCHEMA_VERSION - 1))
    for create in (False, True):
        with pytest.raises(StoreError, match=r"has schema version \d+, .*`fdrnn store migrate`"):
            open_store(url, create=create)


def test_a_study_that_this_fdrnn_does_not_know_is_one_line_and_no_hindrance_to_others(
    store: Store, fake: ModuleType
) -> None:
    for name in ("later", "ours"):
        create_study(store, fake.definition(name), fake.DATA)
    theirs = {"output": "bernoulli", "plugins": {"output": "theirs 2.0"}}
    changes = {"variant": "fast_dropuot"} | theirs
    definition = fake.definition("later").to_mapping() | changes
    with store.database.write() as connection:
        connection.execute(
            studies.update().where(studies.c.name == "later").values(definition=definition)
        )
    with pytest.raises(
        ForeignStudyError,
        match=r"'later' .* by fdrnn \S+ and theirs 2.0, not by .*'fast_dropuot'.*; install that",
    ) as caught:
        store.study("later")
    assert "\n" not in str(caught.value)
    assert store.study("ours").definition == fake.definition("ours")


def test_a_study_whose_plug_ins_are_no_table_is_one_line(store: Store, fake: ModuleType) -> None:
    create_study(store, fake.definition(), fake.DATA)
    definition = fake.definition().to_mapping() | {"plugins": ["lost 3.0"]}
    with store.database.write() as connection:
        connection.execute(studies.update().values(definition=definition))
    with pytest.raises(ForeignStudyError, match="plugins must be a table"):
        store.study("noise")


def test_a_study_whose_plug_in_is_not_installed_names_it_alone(
    store: Store, fake: ModuleType
) -> None:
    create_study(store, fake.definition(), fake.DATA)
    gone = {"variant": "gone", "plugins": {"variant": "lost 3.0"}}
    with store.database.write() as connection:
        definition = fake.definition().to_mapping() | gone
        connection.execute(studies.update().values(definition=definition))
    with pytest.raises(ForeignStudyError) as caught:
        store.study("noise")
    assert "package lost 3.0, which is not installed here; install it" in str(caught.value)
    assert "created by" not in str(caught.value)


def test_a_lost_file_system_is_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(path: Path) -> bool:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(Path, "exists", lost)
    with pytest.raises(StoreUnavailableError, match="cannot be accessed: Stale file handle"):
        open_store(str(tmp_path / "store.sqlite3"))


def test_studies_are_listed_and_found_by_name(store: Store, fake: ModuleType) -> None:
    for name in ("zebra", "ant"):
        create_study(store, fake.definition(name), fake.DATA)
    assert store.study_names() == ["zebra", "ant"]
    assert store.study("ant").definition == fake.definition("ant")
    assert store.study("ant").data == fake.DATA
    assert store.find("bee") is None
    with pytest.raises(UnknownNameError, match="unknown study 'ante'; did you mean 'ant'"):
        store.study("ante")


def test_a_comparison_is_told_from_an_unknown_study(store: Store, fake: ModuleType) -> None:
    create_study(store, fake.definition("pair.plain"), fake.DATA)
    message = (
        r"unknown study 'pair'.*pair\.plain.*; a comparison of this name is in store .*: name one"
    )
    with pytest.raises(UnknownNameError, match=message):
        store.study("pair")


def _start(url: str, fake: ModuleType, ready: Barrier) -> None:
    ready.wait()
    create_study(open_store(url, create=True), fake.definition(), fake.DATA)


@pytest.mark.parametrize("_round", range(3))
def test_many_starters_on_an_empty_store(url: str, fake: ModuleType, _round: int) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(8)
    starters = [context.Process(target=_start, args=(url, fake, ready)) for _ in range(8)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert [starter.exitcode for starter in starters] == [0] * 8
    assert open_store(url).study("noise").trials()["config_index"].tolist() == list(range(6))
    mirrored = optuna.load_study(study_name="noise", storage=url).trials
    assert [trial.user_attrs["config_index"] for trial in mirrored] == list(range(6))


def test_an_index_beyond_64_bits_is_one_line(store: Store, fake: ModuleType) -> None:
    study = create_study(store, fake.definition(n_trials=2), fake.DATA)
    with pytest.raises(StoreError, match=r"too large|out of range") as caught:
        study.trial(10**20)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["{}", '{"n_hidden": "x"}', '{"n_hidden": 1e400}'])
def test_hyperparameters_that_are_none_of_the_space_are_one_line(
    store: Store, fake: ModuleType, damage: Callable[[str], None], value: str
) -> None:
    create_study(store, fake.definition(n_trials=2), fake.DATA)
    damage(f"UPDATE fdrnn_trials SET hyperparameters = '{value}'")
    with pytest.raises(StoreError, match="a row is damaged: ") as caught:
        store.study("noise").trials()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("trials", "state", "garbage", "a row is damaged: LookupError: 'garbage'"),
        ("trials", "hyperparameters", "[1]", "a row is damaged: .* object is expected"),
        ("trials", "hyperparameters", "{bad", "a row is damaged: JSONDecodeError"),
        ("trials", "hyperparameters", "[" * 5000, "a row is damaged: RecursionError"),
        ("trials", "valid_nll", "late", "a row is damaged: ValueError: could not convert .*late"),
        ("studies", "definition", "[1]", "a row is damaged: .* object is expected"),
        ("studies", "created_at", "1e300", "a row is damaged: ValueError: a time in seconds since"),
        ("studies", "data", "{}", "'noise' in store .* is damaged: its data"),
    ],
)
def test_damaged_rows_are_one_line(
    store: Store,
    fake: ModuleType,
    damage: Callable[[str], None],
    table: str,
    column: str,
    value: str,
    message: str,
) -> None:
    if value in ("{bad", "late", "[" * 5000) and store.database.file is None:
        pytest.skip("PostgreSQL refuses it")
    create_study(store, fake.definition(n_trials=2), fake.DATA)
    damage(f"UPDATE fdrnn_{table} SET {column} = '{value}'")
    for read in (
        lambda: store.study("noise").trials(),
        lambda: store.study("noise").progress(),
        lambda: run_workers(store.database.url, "noise", 1, settings=fake.settings()),
    ):
        with pytest.raises(StoreError, match=message) as caught:
            read()
        assert "\n" not in str(caught.value)
