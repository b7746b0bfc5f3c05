"""Migrations of our tables from the schema of an earlier fdrnn.

A step leads from one schema version to the next and is never edited again: it describes the
tables as they were then, not as `fdrnn.search.store.tables` has them now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from fdrnn.search.design.space import with_space
from fdrnn.search.errors import StoreError
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database, now_s
from fdrnn.search.store.tables import TrialState


def migrate_tables(database: Database) -> list[str]:
    """Bring our tables up to date, in one transaction, and return the changes, a line each.

    The caller excludes other processes and has checked the version.

    Raises
    ------
    StoreError
        If there is something to change and a worker has a trial under a lease that has not
        expired.
    """
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
        "trials: columns stalls and trouble, for attempts that trouble of a machine ended",
        "new table fdrnn_measurements, for what a study measures every epoch",
        "new table fdrnn_samples, for music of the trained models",
    ]


def _from_2_to_3(operations: Operations) -> list[str]:
    connection = operations.get_bind()
    studies = sa.table(
        "fdrnn_studies", sa.column("study_id", sa.Integer), sa.column("definition", sa.JSON)
    )
    for study_id, definition in connection.execute(sa.select(studies)).all():
        connection.execute(
            studies.update()
            .where(studies.c.study_id == study_id)
            .values(definition=with_space(definition))
        )
    for name in ("rung", "cohort"):
        operations.add_column(
            "fdrnn_trials", sa.Column(name, sa.Integer, nullable=False, server_default="0")
        )
    operations.add_column("fdrnn_trials", sa.Column("repeat_of", sa.Integer))
    return [
        "studies: every definition has its space instead of the space's name",
        "trials: columns rung and cohort, for halving, and repeat_of, for repeats",
    ]


_STEPS: Mapping[int, Callable[[Operations], list[str]]] = {1: _from_1_to_2, 2: _from_2_to_3}
"""The steps by the version that they start from."""
