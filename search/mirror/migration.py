"""Migration of a whole store: our tables and Optuna's."""

from __future__ import annotations

from dataclasses import dataclass

from fdrnn.search.errors import StoreError
from fdrnn.search.mirror.optuna_tables import upgrade_mirror_tables
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database
from fdrnn.search.store.migrations import migrate_tables
from fdrnn.search.store.store import no_store, require_not_newer, schema_version


@dataclass(frozen=True)
class Migration:
    """The result of a migration.

    Attributes
    ----------
    store
        The store's name for messages.
    before, after
        The schema versions.
    changes
        The changes, a line each; empty if the store was up to date.
    """

    store: str
    before: int
    after: int
    changes: tuple[str, ...]


def migrate(storage: str) -> Migration:
    """Bring a store up to date; nothing changes in one that is.

    Our tables change in one transaction, Optuna's after it in a transaction of Optuna.

    Parameters
    ----------
    storage
        A SQLAlchemy URL of SQLite or PostgreSQL, or the path of a SQLite file.

    Raises
    ------
    StoreError
        If it is no store, a newer fdrnn's, or our tables would change while the store is in use:
        a worker has a trial under a lease that has not expired. The store is then unchanged.
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
            changes = migrate_tables(database) + upgrade_mirror_tables(database)
        return Migration(database.shown, version, tables.SCHEMA_VERSION, tuple(changes))
    finally:
        database.engine.dispose()
