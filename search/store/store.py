"""The store: opening it, its studies and their trials.

What a running trial writes goes through its lease (`fdrnn.search.work.lease`); reading for reports
stands in `fdrnn.search.store.frames` and `fdrnn.search.store.progress`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from fdrnn.datasets import DataDescription
from fdrnn.datasets.errors import UnknownNameError
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.space import Configuration
from fdrnn.search.errors import (
    DefinitionError,
    ForeignStudyError,
    StoreError,
    StudyConflictError,
)
from fdrnn.search.machine import code_version
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database, now_s


@dataclass(frozen=True)
class StoredStudy:
    """A study as the store holds it.

    Attributes
    ----------
    study_id
        Its key in the tables.
    definition
        Its definition; `n_trials` is the number of configurations drawn.
    data
        Description of the data it was made for.
    created_at
        When, in UTC.
    code_version
        Version of fdrnn that made it.
    """

    study_id: int
    definition: StudyDefinition
    data: DataDescription
    created_at: datetime
    code_version: str

    def require_data(self, data: DataDescription) -> None:
        """Check that data are those the study was made for.

        Raises
        ------
        StudyConflictError
            If they have another fingerprint.
        """
        if data.fingerprint != self.data.fingerprint:
            raise StudyConflictError(
                f"data set {self.definition.data!r} is not the one that study "
                f"{self.definition.name!r} was made for: here {data.fingerprint[:12]}..., in the "
                f"store {self.data.fingerprint[:12]}...; check --data-dir"
            )


class Store:
    """An initialized store; made by `open_store`.

    Parameters
    ----------
    database
        The database it stands in.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def close(self) -> None:
        """Close every connection."""
        self.database.engine.dispose()

    def study_names(self) -> list[str]:
        """Return the names of the studies, oldest first."""
        query = sa.select(tables.studies.c.name).order_by(tables.studies.c.study_id)
        with self.database.read() as connection:
            return list(connection.scalars(query))

    def find(self, name: str) -> StoredStudy | None:
        """Return the study of that name, None if there is none.

        Raises
        ------
        ForeignStudyError
            If its definition has what this fdrnn does not know.
        """
        query = sa.select(tables.studies).where(tables.studies.c.name == name)
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        try:
            definition = StudyDefinition.from_mapping(row.definition)
        except (DefinitionError, UnknownNameError) as error:
            raise ForeignStudyError(
                f"study {name!r} in store {self.database.shown} is of another fdrnn "
                f"({row.code_version}) that knows more: {error}; install that one, or name the "
                "studies that are wanted"
            ) from error
        return StoredStudy(
            study_id=row.study_id,
            definition=definition,
            data=DataDescription(**row.data),
            created_at=datetime.fromtimestamp(row.created_at, UTC),
            code_version=row.code_version,
        )

    def study(self, name: str) -> StoredStudy:
        """Return the study of that name.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        found = self.find(name)
        if found is None:
            hint = f"store {self.database.shown}; `fdrnn study create` makes a study"
            raise UnknownNameError("study", name, self.study_names(), hint)
        return found

    def add_study(
        self, definition: StudyDefinition, data: DataDescription, trials: Iterable[Configuration]
    ) -> None:
        """Add a study with its waiting trials, in one transaction."""
        with self.database.write() as connection:
            study_id = connection.execute(
                tables.studies.insert()
                .values(
                    name=definition.name,
                    definition=definition.to_mapping(),
                    data=data.to_mapping(),
                    created_at=now_s(),
                    code_version=code_version(),
                )
                .returning(tables.studies.c.study_id)
            ).scalar_one()
            _insert_trials(connection, study_id, trials)

    def extend_study(
        self, study_id: int, definition: StudyDefinition, trials: Iterable[Configuration]
    ) -> None:
        """Replace a study's definition and add waiting trials, in one transaction."""
        with self.database.write() as connection:
            connection.execute(
                tables.studies.update()
                .where(tables.studies.c.study_id == study_id)
                .values(definition=definition.to_mapping())
            )
            _insert_trials(connection, study_id, trials)

    def requeue_failed(self, study_id: int) -> int:
        """Let the failed trials of a study wait again; return how many.

        They go on from their last checkpoint.
        """
        failed = (tables.trials.c.study_id == study_id) & (tables.trials.c.state == tables.FAILED)
        with self.database.write() as connection:
            return connection.execute(
                tables.trials.update()
                .where(failed)
                .values(state=tables.WAITING, error=None, finished_at=None, stalls=0)
            ).rowcount


def _insert_trials(
    connection: sa.Connection, study_id: int, trials: Iterable[Configuration]
) -> None:
    rows = [
        {
            "study_id": study_id,
            "config_index": trial.index,
            "seed": trial.seed,
            "hyperparameters": trial.hyperparameters,
        }
        for trial in trials
    ]
    connection.execute(tables.trials.insert(), rows)


def open_store(storage: str, *, create: bool = False) -> Store:
    """Open a store.

    Parameters
    ----------
    storage
        A SQLAlchemy URL of SQLite or PostgreSQL, or the path of a SQLite file.
    create
        Whether to initialize an empty or absent database. Any number of processes may do so at
        once: one initializes, the others wait for it.

    Raises
    ------
    StoreError
        If the database cannot be reached, is no store (and `create` is false), or is a store of
        another schema version.
    """
    database = Database(storage)
    version = schema_version(database)
    if version is None:
        if not create:
            raise StoreError(
                f"{no_store(database)}; `fdrnn run STUDY` or `fdrnn study create STUDY` starts "
                "one, --storage or FDRNN_STORAGE names another"
            )
        with database.exclusive():
            version = schema_version(database)
            if version is None:
                _initialize(database)
                version = tables.SCHEMA_VERSION
    return _opened(database, version)


def find_store(storage: str) -> Store | None:
    """Open a store if there is one.

    Parameters
    ----------
    storage
        As `open_store` takes it.

    Returns
    -------
    Store or None
        None where the database is absent or holds no store.

    Raises
    ------
    StoreError
        As `open_store`.
    """
    database = Database(storage)
    version = schema_version(database)
    if version is None:
        database.engine.dispose()
        return None
    return _opened(database, version)


def _opened(database: Database, version: int) -> Store:
    require_not_newer(database, version)
    if version < tables.SCHEMA_VERSION:
        raise StoreError(
            f"store {database.shown} has schema version {version}, this fdrnn reads version "
            f"{tables.SCHEMA_VERSION}; `fdrnn store migrate` brings it up to date, the fdrnn that "
            "made it reads it as it is"
        )
    return Store(database)


def no_store(database: Database) -> str:
    """Say where a store was looked for in vain: a file that is not there, or other contents."""
    if database.file is not None and not database.file.exists():
        return f"there is no store {database.shown}"
    return f"database {database.shown} holds no store"


def schema_version(database: Database) -> int | None:
    """Return the version of a store's tables, None if the database is absent or no store.

    Raises
    ------
    StoreError
        If the database cannot be reached or read.
    """
    if database.file is not None and not database.file.exists():
        # Connecting would leave an empty file behind.
        return None
    with database.read() as connection:
        if not sa.inspect(connection).has_table(tables.schema.name):
            return None
        return connection.scalar(sa.select(tables.schema.c.version))


def require_not_newer(database: Database, version: int) -> None:
    """Require that the version of a store's tables is not later than this fdrnn's.

    Raises
    ------
    StoreError
        If it is.
    """
    if version > tables.SCHEMA_VERSION:
        raise StoreError(
            f"store {database.shown} has schema version {version}, this fdrnn reads version "
            f"{tables.SCHEMA_VERSION}; a newer fdrnn made it: install that one, or name another "
            "store (--storage)"
        )


def _initialize(database: Database) -> None:
    from fdrnn.search.mirror.optuna_tables import create_mirror_tables  # noqa: PLC0415 - readers need no Optuna

    create_mirror_tables(database)
    # The version comes last and with our tables: a database that shows it is complete.
    with database.write() as connection:
        tables.metadata.create_all(connection)
        connection.execute(tables.schema.insert().values(version=tables.SCHEMA_VERSION))
