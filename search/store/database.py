"""One database, SQLite or PostgreSQL: connections, transactions and the lock of initialization.

SQLite's write transactions begin with BEGIN IMMEDIATE, so that a claim's look and its update are
one step, and wait for each other. It keeps its rollback journal: a store is then one file, which
may be copied or stand on a read-only disk.

A PostgreSQL server notices within `_SILENCE_S` that a machine is gone, and ends a transaction in
which nothing happens, so that a stopped process keeps no row locked. A worker's process
holds one connection, none while it waits for the database, and opens more only for as long as it
needs them: many share a server. The process that started workers holds none between two looks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, QueuePool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from fdrnn.datasets import user_path
from fdrnn.search.errors import StoreError, StoreUnavailableError

_BUSY_TIMEOUT_S = 60
_CONNECT_TIMEOUT_S = 10
_SILENCE_S = 20
_IDLE_TRANSACTION_S = 30
_MOST_CONNECTIONS = 10
_SECRETS = ("password", "sslpassword", "oauth_client_secret")
_ADVISORY_LOCK = 0x6664726E6E  # "fdrnn"
_READ_ONLY = "fdrnn_read_only"
_WAY_OUT = "check --storage or FDRNN_STORAGE"
_UNREADABLE = (
    "the store's URL cannot be read; it must look like sqlite:///FILE or "
    f"postgresql://USER@HOST/DATABASE; {_WAY_OUT}"
)
_OF_A_SERVER = re.compile(r"^//[^/]*@|(^|\s)(host|hostaddr|user|dbname|password)\s*=")
_SQLITE_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
# Classes of SQLSTATE: connection, transaction rolled back, resources, operator, system.
_POSTGRESQL_PASSING = {"08", "40", "53", "57", "58"}
_PASSING_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
# idle_in_transaction_session_timeout, lock_timeout, read_only_sql_transaction
_PASSING_STATES = {"25P03", "55P03", "25006"}


def default_storage_url() -> str:
    """Return the URL of the store where none is named: a SQLite file in the working directory."""
    return "sqlite:///fdrnn.sqlite3"


class now_s(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """Seconds since 1970 by the clock of the database, to a millisecond or better."""

    type = sa.Double()
    inherit_cache = True


class up_since_s(FunctionElement[float]):  # noqa: N801 - likewise
    """When the database server was started, in seconds since 1970; 0 where there is none."""

    type = sa.Double()
    inherit_cache = True


@compiles(up_since_s, "sqlite")
def _sqlite_up_since(element: up_since_s, compiler: SQLCompiler, **kwargs: Any) -> str:
    return "0.0"


@compiles(up_since_s, "postgresql")
def _postgresql_up_since(element: up_since_s, compiler: SQLCompiler, **kwargs: Any) -> str:
    return "CAST(extract(epoch FROM pg_postmaster_start_time()) AS double precision)"


@compiles(now_s, "sqlite")
def _sqlite_now(element: now_s, compiler: SQLCompiler, **kwargs: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now_s, "postgresql")
def _postgresql_now(element: now_s, compiler: SQLCompiler, **kwargs: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


def holds_secret(storage: str) -> bool:
    """Return whether a storage URL holds a password or another secret.

    Parameters
    ----------
    storage
        A SQLAlchemy URL, or the path of a SQLite file.

    Raises
    ------
    StoreError
        If the URL cannot be read.
    """
    url = _parse(storage)
    return url.password is not None or any(name in url.query for name in _SECRETS)


def _parse(storage: str) -> URL:
    # A URL without its slashes would be a file's name, and told in messages.
    is_url = re.match(r"\w+(\+\w+)?:", storage)
    text = storage if is_url or "://" in storage else f"sqlite:///{storage}"
    if not is_url and _OF_A_SERVER.search(storage):
        # Nor what is meant for libpq, or a URL without its scheme.
        raise StoreError(_UNREADABLE)
    try:
        url = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", text))
    except (sa.exc.ArgumentError, ValueError):
        # Their messages quote the URL, or a part of it that may be the password.
        raise StoreError(_UNREADABLE) from None
    backend = url.get_backend_name()
    if backend not in {"sqlite", "postgresql"}:
        raise StoreError(f"a store must be SQLite or PostgreSQL, got {backend!r}; {_WAY_OUT}")
    if backend == "sqlite":
        if url.database in {None, "", ":memory:"}:
            raise StoreError(
                "a store must be a file, because workers are processes of their own, "
                f"got {text!r}; {_WAY_OUT}"
            )
        if url.query:
            raise StoreError(
                "the URL of a SQLite store takes no options, got "
                f"{', '.join(url.query)}; {_WAY_OUT}"
            )
        url = url.set(database=str(user_path(str(url.database))))
    return url


class Database:
    """A database and the ways to use it.

    Parameters
    ----------
    storage
        A SQLAlchemy URL of SQLite or PostgreSQL, or the path of a SQLite file. PostgreSQL is
        reached by psycopg 3 unless the URL names another driver.

    Attributes
    ----------
    url
        The full URL, which may hold a password: not for display.
    shown
        The store as errors and logs may name it.
    engine_options
        For an engine of this database that somebody else makes, Optuna for example. On
        PostgreSQL it keeps no connection between two uses.

    Raises
    ------
    StoreError
        If the URL cannot be read, names another kind of database or a missing driver.
    """

    def __init__(self, storage: str) -> None:
        url = _parse(storage)
        self.url = url.render_as_string(hide_password=False)
        self.file = Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
        bare = url.difference_update_query(_SECRETS)
        self.shown = str(self.file) if self.file else bare.render_as_string(hide_password=True)
        self.engine_options = _engine_options(url)
        try:
            self.engine = sa.create_engine(url, **(self.engine_options | _pool_options(url)))
        except (ImportError, sa.exc.ArgumentError) as error:
            raise StoreError(f"store {self.shown}: no such database driver: {error}") from error
        self.prepare(self.engine)

    def prepare(self, engine: sa.Engine) -> None:
        """Give an engine of this database the transactions described in this module."""
        if self.file:
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads.

        Raises
        ------
        StoreError
            If the database cannot be reached or read.
        """
        with (
            self._translated(),
            self.engine.connect() as connection,
            connection.execution_options(**{_READ_ONLY: True}).begin(),
        ):
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads, and all of it the same state of the database.

        Raises
        ------
        StoreError
            If the database cannot be reached or read.
        """
        with self.read() as connection:
            if self.file is None:
                # A read transaction of SQLite sees one state anyway.
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end, or rolled back by an exception.

        Raises
        ------
        StoreError
            If the database cannot be reached or written.
        """
        with self._translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep every other process out of its own `exclusive` on this database.

        The lock goes with the process that holds it. It does not nest.
        """
        if self.file:
            with self._file_lock(self.file.with_name(self.file.name + "-lock")):
                yield
            return
        with self._translated():
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            with connection:
                connection.execute(sa.select(sa.func.pg_advisory_lock(_ADVISORY_LOCK)))
                try:
                    yield
                finally:
                    connection.execute(sa.select(sa.func.pg_advisory_unlock(_ADVISORY_LOCK)))

    @contextmanager
    def _file_lock(self, path: Path) -> Iterator[None]:
        # The holder removes the file, so whoever waited may hold one that is no longer there.
        while True:
            descriptor = None
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError as error:
                if descriptor is not None:
                    os.close(descriptor)
                kind = StoreUnavailableError if error.errno in _PASSING_ERRNO else StoreError
                raise kind(
                    f"store {self.shown}: cannot lock {path}: {error.strerror}; {_WAY_OUT}"
                ) from error
            # One look: between two, the next holder may come and go.
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(descriptor).st_ino:
                    break
            os.close(descriptor)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.IntegrityError:
            raise
        except sa.exc.DBAPIError as error:
            reason = (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
            kind = store_error_kind(error)
            raise kind(f"store {self.shown}: {reason}; {_WAY_OUT}") from error


def store_error_kind(error: BaseException) -> type[StoreError]:
    """Tell trouble of a database that may pass by itself from a mistake.

    Parameters
    ----------
    error
        What SQLAlchemy raised, or an error that it caused.

    Returns
    -------
    type of StoreError
        `StoreUnavailableError` where the same call may succeed later: the connection lost or
        refused, the disk full, a lock held by another, writing refused at least now;
        `StoreError` otherwise.
    """
    while not isinstance(error, sa.exc.DBAPIError):
        if error.__cause__ is None:
            return StoreError
        error = error.__cause__
    reason = error.orig
    if isinstance(reason, sqlite3.Error):
        # The low byte of an extended code is its kind.
        code = getattr(reason, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        return StoreUnavailableError if code in _SQLITE_PASSING else StoreError
    state = getattr(reason, "sqlstate", None)
    # A connection that fails before it is made has no state.
    lost = error.connection_invalidated or (
        state is None and isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    )
    passing = state is not None and (state[:2] in _POSTGRESQL_PASSING or state in _PASSING_STATES)
    return StoreUnavailableError if lost or passing else StoreError


def _engine_options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": _BUSY_TIMEOUT_S}}
    return {"poolclass": NullPool, "connect_args": _postgresql_arguments(url)}


def _pool_options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {}
    return {
        "poolclass": QueuePool,
        "pool_size": 1,
        "max_overflow": _MOST_CONNECTIONS - 1,
        "pool_pre_ping": True,
    }


def _postgresql_arguments(url: URL) -> dict[str, Any]:
    interval_s = _SILENCE_S // 4
    # The client's side of a connection, and below the server's.
    arguments = {
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "keepalives_idle": 2 * interval_s,
        "keepalives_interval": interval_s,
        "keepalives_count": 2,
        "tcp_user_timeout": 1000 * _SILENCE_S,
        "fallback_application_name": "fdrnn",
    }
    settings = {
        "idle_in_transaction_session_timeout": f"{_IDLE_TRANSACTION_S}s",
        "tcp_keepalives_idle": 2 * interval_s,
        "tcp_keepalives_interval": interval_s,
        "tcp_keepalives_count": 2,
        "tcp_user_timeout": 1000 * _SILENCE_S,
    }
    defaults = " ".join(f"-c {name}={value}" for name, value in settings.items())
    # Of two options of one name the server takes the later one.
    theirs = " ".join(url.normalized_query.get("options", [os.environ.get("PGOPTIONS", "")]))
    return {
        **{name: value for name, value in arguments.items() if name not in url.query},
        "options": f"{defaults} {theirs}".strip(),
    }


def _configure_sqlite(connection: Any, record: ConnectionPoolEntry) -> None:
    # Python's driver would otherwise begin transactions by itself, and deferred ones.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
