"""The store: opening it, its studies and their trials.

A `Study` reads its own trials (`fdrnn.search.store.study`); what a running trial writes goes
through its lease (`fdrnn.search.work.lease`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa

from fdrnn.datasets import DataDescription
from fdrnn.datasets.errors import UnknownNameError, shown
from fdrnn.datasets.plugins import PluginError
from fdrnn.search.design.comparison import comparison_studies, study_name
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.space import Configuration
from fdrnn.search.errors import (
    DefinitionError,
    ForeignStudyError,
    MissingPluginError,
    StoreError,
    StoreUnavailableError,
)
from fdrnn.search.machine import code_version
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database, now_s
from fdrnn.search.store.extension import reopen_trials
from fdrnn.search.store.rules import described
from fdrnn.search.store.study import Study


class Store:
    """An initialized store; returned by `open_store`.

    Parameters
    ----------
    database
        The database of the store.

    Raises
    ------
    StoreError
        By every method, if the store cannot be read or written.
    ForeignStudyError
        By what returns studies, if a definition has what this fdrnn does not know.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def close(self) -> None:
        """Close every connection."""
        self.database.engine.dispose()

    @property
    def shown(self) -> str:
        """Return the store's name for messages, without any secret."""
        return self.database.shown

    def study_names(self) -> list[str]:
        """Return the names of the studies, oldest first."""
        query = sa.select(tables.studies.c.name).order_by(tables.studies.c.study_id)
        with self.database.read() as connection:
            return list(connection.scalars(query))

    def find(self, name: str) -> Study | None:
        """Return the study of a name; None if there is none."""
        query = sa.select(tables.studies).where(tables.studies.c.name == name)
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        try:
            definition = StudyDefinition.from_mapping(row.definition)
        except (MissingPluginError, PluginError) as error:
            raise ForeignStudyError(f"study {name!r} in store {self.shown}: {error}") from error
        except (DefinitionError, UnknownNameError) as error:
            # A plug-in of another version may be at fault as well.
            plugins = row.definition.get("plugins")
            packages = set(map(str, plugins.values())) if isinstance(plugins, dict) else set()
            created_by = " and ".join([f"fdrnn {row.code_version}", *sorted(packages)])
            raise ForeignStudyError(
                f"study {name!r} in store {self.shown} was created by {created_by}, not by what "
                f"is installed here: {error}; install that, or name the studies to use"
            ) from error
        try:
            data = described(row.data)
        except (TypeError, ValueError) as error:
            raise StoreError(
                f"study {name!r} in store {self.shown} is damaged: its data: {error}; import it "
                "from an exported file into another store (--storage)"
            ) from error
        return Study(
            database=self.database,
            study_id=row.study_id,
            definition=definition,
            data=data,
            created_at=datetime.fromtimestamp(row.created_at, UTC),
            code_version=row.code_version,
        )

    def study(self, name: str) -> Study:
        """Return the study of a name.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        study = self.find(name)
        if study is None:
            raise self.unknown(name)
        return study

    def unknown(self, name: str) -> UnknownNameError:
        """Return the error for a name that no study of the store has."""
        known = self.study_names()
        if compared := self._compared(name, known):
            hint = f"a comparison of this name is in store {self.shown}: name one of its studies"
            return UnknownNameError("study", name, compared, hint)
        hint = f"store {self.shown}; `fdrnn study create` creates a study"
        return UnknownNameError("study", name, known, hint)

    def studies(self, names: Iterable[str] = ()) -> list[Study]:
        """Return the studies that a user named, each once: all of the store without names.

        Parameters
        ----------
        names
            As for `named`, with its error.
        """
        return [self.study(name) for name in self.named(names) or self.study_names()]

    def named(self, names: Iterable[str]) -> list[str]:
        """Return the names of the studies that a user named, each once; no definition is parsed.

        Parameters
        ----------
        names
            Each the name of a study, or of a comparison, which stands for its studies in the
            order of the registry.

        Raises
        ------
        UnknownNameError
            If the store has no study and no comparison of a name.
        """
        known = self.study_names()
        named: list[str] = []
        for name in names:
            found = [name] if name in known else self._compared(name, known)
            if not found:
                raise self.unknown(name)
            named += found
        return list(dict.fromkeys(named))

    def _compared(self, comparison: str, known: list[str]) -> list[str]:
        """Return the studies of a comparison, those of plug-ins that are not installed last."""
        own = comparison_studies(comparison)
        others = [name for name in known if name.startswith(f"{comparison}.") and name not in own]
        query = sa.select(tables.studies.c.definition)
        with self.database.read() as connection:
            missing = [
                name
                for name in others
                for stored in connection.scalars(query.where(tables.studies.c.name == name))
                if name == study_name(comparison, stored.get("variant"))
            ]
        return [name for name in own if name in known] + missing

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
        self, study: Study, definition: StudyDefinition, trials: Iterable[Configuration]
    ) -> None:
        """Replace a study's definition, add waiting trials and reopen those that it trains further.

        All is one transaction.

        Parameters
        ----------
        study
            The study.
        definition
            Its definition with what is added (`StudyDefinition.extended_by`).
        trials
            The configurations to add.
        """
        with self.database.write() as connection:
            connection.execute(
                tables.studies.update()
                .where(tables.studies.c.study_id == study.study_id)
                .values(definition=definition.to_mapping())
            )
            reopen_trials(connection, study.study_id, study.definition, definition)
            last = sa.select(sa.func.max(tables.trials.c.cohort)).where(
                tables.trials.c.study_id == study.study_id
            )
            cohort = 1 + (connection.scalar(last) or 0)
            _insert_trials(connection, study.study_id, trials, cohort)


def _insert_trials(
    connection: sa.Connection, study_id: int, trials: Iterable[Configuration], cohort: int = 0
) -> None:
    rows = [
        {
            "study_id": study_id,
            "config_index": trial.index,
            "seed": trial.seed,
            "hyperparameters": trial.hyperparameters,
            "cohort": cohort,
        }
        for trial in trials
    ]
    if rows:
        connection.execute(tables.trials.insert(), rows)


def open_store(storage: str, *, create: bool = False) -> Store:
    """Open a store.

    Parameters
    ----------
    storage
        A SQLAlchemy URL of SQLite or PostgreSQL, or the path of a SQLite file.
    create
        Whether to initialize an empty or absent database, or one of Optuna. Any number of
        processes may do so at once: one initializes, the others wait for it. Optuna's tables are
        created with the first study (`fdrnn.search.mirror`).

    Raises
    ------
    StoreError
        If the database cannot be reached, is no store (and `create` is false, or it is another
        program's SQLite file), or is a store of another schema version.
    """
    database = Database(storage)
    version = schema_version(database)
    if version is None and create:
        with database.exclusive():
            version = schema_version(database) or _initialize(database)
    if version is None:
        raise StoreError(
            f"{no_store(database)}; `fdrnn run STUDY` or `fdrnn study create STUDY` creates one, "
            "--storage or FDRNN_STORAGE names another"
        )
    return _opened(database, version)


def find_store(storage: str) -> Store | None:
    """Open a store if there is one; None where the database is absent or no store.

    Parameters
    ----------
    storage
        A SQLAlchemy URL of SQLite or PostgreSQL, or the path of a SQLite file.

    Raises
    ------
    StoreError
        If the database cannot be reached, or is a store of another schema version.
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
            f"{tables.SCHEMA_VERSION}; `fdrnn store migrate` upgrades it, the fdrnn that created "
            "it reads it as it is"
        )
    return Store(database)


def no_store(database: Database) -> str:
    """Return why a database is no store: a missing file, or other contents."""
    if database.file is not None and not database.file.exists():
        return f"there is no store {database.shown}"
    return f"database {database.shown} is not a store"


def schema_version(database: Database) -> int | None:
    """Return the version of a store's tables; None if the database is absent or no store.

    Raises
    ------
    StoreError
        If the database cannot be reached or read.
    """
    if database.file is not None:
        try:
            # In this order: another process may create the file between the two.
            exists, is_file = database.file.exists(), database.file.is_file()
        except OSError as error:
            # Of a network file system that is lost, for example.
            raise StoreUnavailableError(
                f"{database.shown} cannot be accessed: {error.strerror}"
            ) from error
        if not exists:
            # Connecting would leave an empty file behind.
            return None
        if not is_file:
            raise StoreError(
                f"{database.shown} is no regular file; a store must be one; check --storage or "
                "FDRNN_STORAGE"
            )
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
            f"{tables.SCHEMA_VERSION}; a newer fdrnn created it: install that one, or name another "
            "store (--storage)"
        )


def _initialize(database: Database) -> int:
    # In one transaction: a database that shows the version has all tables.
    with database.write() as connection:
        others = sa.inspect(connection).get_table_names()
        # A SQLite file belongs to one program, and Optuna's tables have names such as "trials".
        if database.file is not None and others and tables.FIRST_TABLE_OF_OPTUNA not in others:
            raise StoreError(
                f"{no_store(database)} and has tables of another program, such as "
                f"{shown(others[0])}; name another file (--storage or FDRNN_STORAGE)"
            )
        tables.metadata.create_all(connection)
        connection.execute(tables.schema.insert().values(version=tables.SCHEMA_VERSION))
    return tables.SCHEMA_VERSION
