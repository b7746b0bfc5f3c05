"""A store as fdrnn made it at an earlier schema version, brought up to date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import pandas as pd
import pytest
import sqlalchemy as sa

from fdrnn.search import (
    SPACES,
    Store,
    StoreError,
    create_study,
    draw,
    migrate,
    open_store,
    run_worker,
)
from fdrnn.search.mirror.optuna_tables import Mirror, open_mirror, upgrade_mirror_tables
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database, now_s
from fdrnn.search.work.claiming import WorkerIdentity, claim

N_EPOCHS = 4
LIVE_S = 600.0
HERE = Path(__file__).parent


@pytest.fixture(params=[1, 2, 3])
def version(request: pytest.FixtureRequest) -> int:
    """Each earlier schema version, whose DDL is beside this file."""
    return int(request.param)


@pytest.fixture
def database(url: str, fake: ModuleType, version: int) -> Iterator[Database]:
    """A store of that version with a finished, a running and a waiting trial.

    The running one has three epochs, a checkpoint after two of them, and a lease.
    """
    database = Database(url)
    upgrade_mirror_tables(database)
    definition = fake.definition(n_trials=3, n_epochs=N_EPOCHS)
    mapping = definition.to_mapping()
    if version == 1:
        del mapping["training"]["record"]
    if version < 3:
        mapping["space"] = definition.space.name
    drawn = draw(definition.space, definition.seed, range(3))
    statements = (HERE / f"schema_{version}_{database.engine.dialect.name}.sql").read_text()

    with database.write() as connection:
        for statement in statements.split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"INSERT INTO fdrnn_schema (version) VALUES ({version})")

        def insert(table: str, **values: Any) -> None:
            places = ", ".join(f":{name}" for name in values)
            statement = f"INSERT INTO fdrnn_{table} ({', '.join(values)}) VALUES ({places})"
            connection.execute(sa.text(statement), values)

        insert(
            "studies",
            name="noise",
            definition=json.dumps(mapping),
            data=json.dumps(asdict(fake.DATA)),
            created_at=1.7e9,
            code_version="0.1.0",
        )
        study_id = connection.scalar(sa.text("SELECT study_id FROM fdrnn_studies"))
        ends = fake.result(drawn[0].seed, N_EPOCHS)
        kept = ("diverged", "n_epochs", "best_epoch", "valid_nll")
        result = {name: getattr(ends, name) for name in kept}
        result |= {"valid_nll_counted": ends.valid_nll_counted, "valid_nll_masked": None}
        held = {"worker": "ada-1", "host": "ada", "pid": 1, "lease_renewed": 1.7e9}
        states: list[dict[str, Any]] = [
            {"state": "finished", "attempt": 2, "finished_at": 1.7e9, **result},
            {"state": "running", "attempt": 1, "lease_expires": 1.7e9, **held},
            {"state": "waiting", "attempt": 0},
        ]
        if version >= 2:
            states[1] |= {"stalls": 2, "trouble": "ada-1: no space left on device"}
        for trial, state in zip(drawn, states, strict=True):
            insert(
                "trials",
                study_id=study_id,
                config_index=trial.index,
                seed=trial.seed,
                hyperparameters=json.dumps(trial.hyperparameters),
                **state,
            )
        ids = list(connection.scalars(sa.text("SELECT trial_id FROM fdrnn_trials ORDER BY seed")))
        by_seed = dict(zip(sorted(trial.seed for trial in drawn), ids, strict=True))
        finished, running = (by_seed[trial.seed] for trial in drawn[:2])
        for trial_id, seed, n_epochs in (
            (finished, drawn[0].seed, N_EPOCHS),
            (running, drawn[1].seed, 3),
        ):
            for epoch in range(1, n_epochs + 1):
                row = vars(fake.record(seed, epoch)).copy()
                measured = row.pop("measurements")
                insert("epochs", trial_id=trial_id, **row)
                for name, value in measured.items() if version >= 2 else ():
                    insert("measurements", trial_id=trial_id, epoch=epoch, name=name, value=value)
        state_at_2 = json.dumps([drawn[1].seed, 2, 1.0]).encode()
        insert("checkpoints", trial_id=running, epoch=2, written_at=1.7e9, state=state_at_2)
    yield database
    database.engine.dispose()


def set_lease(database: Database, expires_in_s: float) -> None:
    with database.write() as connection:
        connection.execute(
            sa.text("UPDATE fdrnn_trials SET lease_expires = :at WHERE state = 'running'"),
            {"at": connection.scalar(sa.select(now_s())) + expires_in_s},
        )


def layout(database: Database) -> dict[str, Any]:
    """The tables as the database describes them, columns by name."""
    described: dict[str, Any] = {}
    with database.read() as connection:
        inspector = sa.inspect(connection)
        for name in tables.metadata.tables:
            described[name] = (
                {
                    column["name"]: (str(column["type"]), column["nullable"], column["default"])
                    for column in inspector.get_columns(name)
                },
                inspector.get_pk_constraint(name)["constrained_columns"],
                [
                    (key["constrained_columns"], key["referred_table"], key["options"])
                    for key in inspector.get_foreign_keys(name)
                ],
                [key["column_names"] for key in inspector.get_unique_constraints(name)],
                {
                    rule["name"]: " ".join(rule["sqltext"].split())
                    for rule in inspector.get_check_constraints(name)
                },
            )
    return described


def column_names(database: Database) -> dict[str, list[str]]:
    """The columns of our tables."""
    with database.read() as connection:
        inspector = sa.inspect(connection)
        return {
            name: [column["name"] for column in inspector.get_columns(name)]
            for name in inspector.get_table_names()
            if name.startswith("fdrnn_")
        }


def test_the_tables_become_those_of_a_new_store(database: Database, url: str) -> None:
    migrate(url)
    migrated = layout(database)
    with database.write() as connection:
        tables.metadata.drop_all(connection)
    open_store(url, create=True)
    assert migrated == layout(database)


def test_a_study_goes_on_after_its_migration(
    database: Database, url: str, fake: ModuleType, version: int
) -> None:
    with pytest.raises(StoreError, match=rf"has schema version {version}, .*`fdrnn store migrate`"):
        open_store(url)
    done = migrate(url)
    assert (done.before, done.after) == (version, tables.SCHEMA_VERSION)
    assert len(done.changes) == {1: 7, 2: 4, 3: 2}[version]
    store = open_store(url)
    assert store.study("noise").definition == fake.definition(n_trials=3, n_epochs=N_EPOCHS)
    with store.database.read() as connection:
        stored = connection.scalar(sa.select(tables.studies.c.definition))
    assert stored["space"] == SPACES["table2"].to_mapping()
    drawn = draw(SPACES["table2"], fake.definition().seed, range(3))
    assert [store.study("noise").trial(k).hyperparameters for k in range(3)] == [
        configuration.hyperparameters for configuration in drawn
    ]
    before = store.study("noise").trials()
    assert before["state"].tolist() == ["finished", "running", "waiting"]
    assert before["n_epochs"].tolist() == [4, 3, 0]
    assert before["valid_nll"][0] == fake.result(before["seed"][0], N_EPOCHS).valid_nll
    troubled = store.study("noise").progress().troubled_trials
    assert [trial.stalls for trial in troubled] == ([1] if version >= 2 else [])
    run_worker(url, "noise", settings=fake.settings(lease_s=0.5))
    after = store.study("noise").trials()
    assert after["state"].tolist() == ["finished"] * 3
    pd.testing.assert_series_equal(after.loc[0], before.loc[0])
    # Version 1 stored no measurements.
    columns = store.study("noise").curves().columns[: None if version >= 2 else -1]
    expected = pd.DataFrame(
        {"config_index": row.config_index, **fake.curve_row(row.seed, epoch)}
        for row in after.itertuples()
        for epoch in range(1, N_EPOCHS + 1)
    )[columns]
    pd.testing.assert_frame_equal(
        store.study("noise").curves()[columns], expected, check_exact=True
    )
    lease = claim(store.database, store.study("noise").study_id, WorkerIdentity("b", "b", 1), 60.0)
    assert lease is None


def test_a_second_migration_finds_nothing_to_do(database: Database, url: str) -> None:
    assert migrate(url).changes
    assert migrate(url).changes == ()


def test_arrays_get_their_digests_and_cascades_lose_no_row(database: Database, url: str) -> None:
    with database.write() as connection:
        finished = connection.scalar(
            sa.text("SELECT trial_id FROM fdrnn_trials WHERE state = 'finished'")
        )
        connection.execute(
            sa.text(
                "INSERT INTO fdrnn_parameters (trial_id, name, dtype, shape, data) "
                "VALUES (:trial_id, 'W', '<f4', '[2]', :data)"
            ),
            {"trial_id": finished, "data": b"12345678"},
        )
    migrate(url)
    store = open_store(url)
    assert store.study("noise").parameters(0)["W"].tobytes() == b"12345678"
    assert len(store.study("noise").curves()) == N_EPOCHS + 3
    with pytest.raises(sa.exc.IntegrityError), store.database.write() as connection:
        connection.exec_driver_sql("INSERT INTO fdrnn_epochs (trial_id, epoch) VALUES (99, 1)")


def test_a_store_with_damaged_rows_is_left_as_it_was(
    database: Database, url: str, version: int
) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE fdrnn_trials SET n_epochs = NULL")
    with pytest.raises(StoreError, match=r"1 rows of fdrnn_trials are damaged, .*; export the s"):
        migrate(url)
    with database.read() as connection:
        assert connection.scalar(sa.select(tables.schema.c.version)) == version


def test_a_store_in_use_is_left_as_it_was(database: Database, url: str, version: int) -> None:
    set_lease(database, LIVE_S)
    before = column_names(database)
    with pytest.raises(StoreError, match="is in use by ada-1; stop these workers"):
        migrate(url)
    assert column_names(database) == before
    with database.read() as connection:
        assert connection.scalar(sa.select(tables.schema.c.version)) == version
    set_lease(database, -1.0)
    assert migrate(url).before == version


def test_tables_of_an_earlier_optuna_are_upgraded(store: Store, url: str) -> None:
    # The last revision of its tables added an index.
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'v3.0.0.d'")
    assert migrate(url).changes == ("Optuna's tables: upgraded to the installed Optuna's",)
    with store.database.read() as connection:
        indices = {index["name"] for index in sa.inspect(connection).get_indexes("trials")}
    assert "trials_study_id_key" in indices
    assert migrate(url).changes == ()


@pytest.mark.parametrize("by_command", [True, False])
def test_lost_tables_of_optuna_are_created_again(
    store: Store, url: str, fake: ModuleType, by_command: bool
) -> None:
    study = create_study(store, fake.definition("seen"), fake.DATA)
    with store.database.write() as connection:
        lost = sa.MetaData()
        lost.reflect(connection, only=lambda name, _: not name.startswith("fdrnn_"))
        lost.drop_all(connection)
    with pytest.raises(StoreError, match="Optuna's tables: they are missing; `fdrnn store migr"):
        open_mirror(store.database)
    if by_command:
        done = ("Optuna's tables: created, because they were missing",)
        assert migrate(url).changes == done
    Mirror(study).sync()
    shown = optuna.load_study(study_name="seen", storage=url)
    assert len(shown.trials) == study.definition.n_trials
    assert migrate(url).changes == ()


def test_what_cannot_be_migrated(url: str, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite3"
    with pytest.raises(
        StoreError, match=r"there is no store .*none.sqlite3, so there is nothing to migrate"
    ):
        migrate(str(path))
    assert not path.exists()
    with store.database.write() as connection:
        connection.execute(tables.schema.update().values(version=tables.SCHEMA_VERSION + 1))
    with pytest.raises(StoreError, match="a newer fdrnn created it"):
        migrate(url)
