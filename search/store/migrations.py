"""Migrations of our tables from the schema of an earlier fdrnn.

A step leads from one schema version to the next and is never edited again: it describes the
tables as they were then, not as `fdrnn.search.store.tables` has them now.
"""

from __future__ import annotations

import hashlib
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
    with database.write(foreign_keys=False) as connection:
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


def _from_3_to_4(operations: Operations) -> list[str]:
    connection = operations.get_bind()
    for name in ("fdrnn_parameters", "fdrnn_samples"):
        operations.add_column(
            name, sa.Column("digest", sa.String(64), nullable=False, server_default="")
        )
        array = sa.table(name, *map(sa.column, ("trial_id", "name", "data", "digest")))
        for trial_id, array_name in connection.execute(
            sa.select(array.c.trial_id, array.c.name)
        ).all():
            this = (array.c.trial_id == trial_id) & (array.c.name == array_name)
            data = connection.execute(sa.select(array.c.data).where(this)).scalar_one()
            digest = hashlib.sha256(data).hexdigest()
            connection.execute(array.update().where(this).values(digest=digest))
    for table, rules in _rules_of_4(connection.dialect.name).items():
        name = f"fdrnn_{table}"
        for rule in rules.values():
            wrong = sa.select(sa.func.count()).select_from(sa.table(name))
            n_wrong = connection.scalar(wrong.where(sa.text(f"NOT ({rule})")))
            if n_wrong:
                raise StoreError(
                    f"the store cannot be migrated: {n_wrong} rows of {name} are damaged, they "
                    f"break the rule {rule}; export the sound studies by the fdrnn that created "
                    "the store, and import them into another one (--storage)"
                )
        # SQLite copies the table; its foreign keys must not act on that.
        with operations.batch_alter_table(name) as batch:
            for rule_name, rule in rules.items():
                batch.create_check_constraint(f"{name}_{rule_name}", sa.text(rule))
    return [
        "parameters and samples: column digest, the SHA-256 of an array",
        "CHECK constraints on studies, trials, epochs, measurements and test sequences",
    ]


def _rules_of_4(dialect: str) -> dict[str, dict[str, str]]:
    def rules(counts: str, times: str = "", objects: str = "") -> dict[str, str]:
        return (
            {name: is_object.format(name) for name in objects.split()}
            | {name: f"{name} BETWEEN 0.0 AND 100000000000.0" for name in times.split()}
            | {name: f"{name} BETWEEN 0 AND 2147483647" for name in counts.split()}
        )

    is_object = (
        "(CASE WHEN json_valid({0}) THEN json_type({0}) = 'object' ELSE 0 END)"
        if dialect == "sqlite"
        else "json_typeof({0}) = 'object'"
    )
    epoch = {"epoch": "epoch BETWEEN 1 AND 2147483647"}
    return {
        "studies": rules("", "created_at", "definition data"),
        "trials": {
            **rules(
                "attempt stalls pid n_epochs best_epoch rung cohort repeat_of",
                "lease_renewed lease_expires started_at finished_at",
                "hyperparameters",
            ),
            "config_index": "config_index BETWEEN -2147483647 AND 2147483647",
            "seed": "seed BETWEEN 0 AND 9223372036854775807",
            "state": "state IN ('waiting', 'running', 'paused', 'finished', 'pruned', 'failed')",
            "lease": "(state = 'running') = (lease_expires IS NOT NULL)",
            "renewed": "(state = 'running') = (lease_renewed IS NOT NULL)",
            "claimed": "state != 'running' OR worker IS NOT NULL AND host IS NOT NULL "
            "AND pid IS NOT NULL AND attempt > 0",
            "result": "(state IN ('finished', 'pruned')) = (n_epochs IS NOT NULL)",
            "best": "coalesce(best_epoch, 0) <= coalesce(n_epochs, 0)",
            "repeat": "(config_index < 0) = (repeat_of IS NOT NULL)",
            "failed": "state != 'failed' OR error IS NOT NULL",
        },
        "epochs": epoch,
        "measurements": epoch,
        "test_sequences": rules("sequence_index n_steps"),
    }


_STEPS: Mapping[int, Callable[[Operations], list[str]]] = {
    1: _from_1_to_2,
    2: _from_2_to_3,
    3: _from_3_to_4,
}
"""The steps by the version that they start from."""
