"""Bringing a store of an earlier fdrnn to the tables that this one knows.

A step leads from one schema version to the next and is never edited again: it describes the
tables as they were then, not as `fdrnn.search.store.tables` has them now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from fdrnn.search.errors import StoreError
from fdrnn.search.mirror.optuna_tables import mend_mirror_tables
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database, now_s
from fdrnn.search.store.store import no_store, require_not_newer, schema_version
from fdrnn.search.store.tables import TrialState


@dataclass(frozen=True)
class Migration:
    """What a migration did.

    Attributes
    ----------
    store
        The store, as it may be shown.
    before, after
        Its schema versions.
    changes
        What was changed, a line each; empty if the store was up to date.
    """

    store: str
    before: int
    after: int
    changes: tuple[str, ...]


def migrate(storage: str) -> Migration:
    """Bring a store up to date; one that is up to date is left alone.

    Its own tables change in one transaction, Optuna's after it, in that of Optuna.

    Parameters
    ----------
    storage
        A SQLAlchemy URL of SQLite or PostgreSQL, or the path of a SQLite file.

    Returns
    -------
    Migration
        What was done.

    Raises
    ------
    StoreError
        If it is no store, of a newer fdrnn, or its own tables are to be changed and in use: a
        worker holds a trial under a lease that has not expired. The store is then as it was.
    """
    database = Database(storage)
    try:
        version = schema_version(database)
        if version is None:
            raise StoreError(
                f"{no_store(database)}, so there is nothing to migrate; --storage or "
                "FDRNN_STORAGE names another"
            )
        require_not_newer(database, version)
        with database.exclusive():
            changes = _migrate(database)
            changes += mend_mirror_tables(database)
        return Migration(database.shown, version, tables.SCHEMA_VERSION, tuple(changes))
    finally:
        database.engine.dispose()


def _migrate(database: Database) -> list[str]:
    changes: list[str] = []
    with database.write() as connection:
        operations = Operations(MigrationContext.configure(connection))
        # Read again, because another process may have migrated it in between.
        for version in range(_version(connection), tables.SCHEMA_VERSION):
            changes += _STEPS[version](operations)
        if changes:
            # Only now, when the altered tables are locked, can no worker claim in between.
            _require_no_leases(database, connection)
            connection.execute(tables.schema.update().values(version=tables.SCHEMA_VERSION))
    return changes


def _version(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(tables.schema.c.version)).scalar_one())


def _require_no_leases(database: Database, connection: sa.Connection) -> None:
    trials = tables.trials.c
    alive = sa.select(trials.worker).where(
        trials.state == TrialState.RUNNING, trials.lease_expires > now_s()
    )
    workers = sorted(set(connection.scalars(alive)))
    if workers:
        raise StoreError(
            f"store {database.shown} is in use by {', '.join(workers)}; stop these workers, or "
            "wait until the leases of dead ones expire, then migrate"
        )


def _trial_key() -> sa.Column[int]:
    trial = sa.ForeignKey("fdrnn_trials.trial_id", ondelete="CASCADE")
    return sa.Column("trial_id", sa.Integer, trial, primary_key=True, autoincrement=False)


def _from_1_to_2(operations: Operations) -> list[str]:
    operations.add_column(
        "fdrnn_trials", sa.Column("stalls", sa.Integer, nullable=False, server_default="0")
    )
    operations.add_column("fdrnn_trials", sa.Column("trouble", sa.Text))
    operations.create_table(
        "fdrnn_measurements",
        _trial_key(),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("value", sa.Double),
    )
    operations.create_table(
        "fdrnn_samples",
        _trial_key(),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("dtype", sa.String(20), nullable=False),
        sa.Column("shape", sa.JSON, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("about", sa.JSON),
    )
    return [
        "trials: columns stalls and trouble, for attempts that machines ended",
        "new table fdrnn_measurements, for what a study measures every epoch",
        "new table fdrnn_samples, for music of the trained models",
    ]


_STEPS: Mapping[int, Callable[[Operations], list[str]]] = {1: _from_1_to_2}
"""By the version that a step starts from; the next one is its end."""
