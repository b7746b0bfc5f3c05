"""A database, SQLite or PostgreSQL: connections, transactions and the exclusive lock.

On SQLite a write transaction begins with BEGIN IMMEDIATE, so that a claim's read and its update
are atomic. The rollback journal is kept: a store is one file, which can be copied or read from a
read-only disk.

Connections to PostgreSQL are those of `fdrnn.search.store.postgresql`. A worker's process has one,
none while it waits for the database, and opens more only while it needs them, because many workers
share a server. The process that started the workers has none between two polls.
"""

from __future__ import annotations

import errno
import re
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import filelock
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from fdrnn.datasets import user_path
from fdrnn.datasets.errors import FdrnnError, error_line, shown
from fdrnn.search.errors import StoreAddressError, StoreError, StoreUnavailableError

_BUSY_TIMEOUT_S = 60
_MOST_CONNECTIONS = 10
_LOCK_POLL_S = 0.01
_SECRETS = ("password", "sslpassword", "oauth_client_secret")
_SERVER_OPTIONS = ("host", "port")
_ADVISORY_LOCK = 0x6664726E6E  # "fdrnn"
_READ_ONLY = "fdrnn_read_only"
_WAY_OUT = "check --storage or FDRNN_STORAGE"
_UNREADABLE = (
    "the store's URL cannot be read; it must look like sqlite:///FILE or "
    "postgresql://USER@HOST/DATABASE, with the characters @ : / ? # % of a user or password "
    f"written %40 %3A %2F %3F %23 %25; {_WAY_OUT}"
)
_URL = re.compile(r"\w+(\+\w+)?:|.*://", re.DOTALL)
# What is meant for libpq, or a URL without its scheme.
_OF_A_SERVER = re.compile(r"^//[^/]*@|(^|\s)(host|hostaddr|user|dbname|password)\s*=")
_HOST_LIST = re.compile(r"(\w+(?:\+\w+)?://(?:[^@/?]*@)?)([^@/?]*,[^@/?]*)(/[^?]*)?(?:\?(.*))?")
_HOST = re.compile(r"[\w.:%-]*")
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
_LOCKED_WAY_OUT = "end the program that has locked it, or try again"
_SQLITE_WAYS_OUT = {
    sqlite3.SQLITE_BUSY: _LOCKED_WAY_OUT,
    sqlite3.SQLITE_LOCKED: _LOCKED_WAY_OUT,
    sqlite3.SQLITE_FULL: "free space on its disk",
}
# Classes of SQLSTATE: connection, transaction rolled back, resources, operator, system.
_POSTGRESQL_PASSING = {"08", "40", "53", "57", "58"}
_PASSING_ERRNO = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE),
    # Of a network file system.
    *(errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT),
}
# idle_in_transaction_session_timeout, lock_timeout, read_only_sql_transaction
_PASSING_STATES = {"25P03", "55P03", "25006"}
# Before there is a connection libpq has no SQLSTATE, only texts: its own, psycopg's of a host that
# does not resolve, or the server's, which are English unless its lc_messages says otherwise.
_ADDRESS_REFUSED = re.compile(
    rf"failed to resolve host (?!.*\[Errno {socket.EAI_AGAIN}\])|authentication failed|no password|"
    "no pg_hba.conf entry|does not exist|invalid"
)
_QUOTED = re.compile(r""""[^"]*"|'[^' ]*'""")


def default_storage_url() -> str:
    """Return the URL of the default store: a SQLite file in the working directory."""
    return "sqlite:///fdrnn.sqlite3"


class now_s(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """Seconds since 1970 by the clock of the database, to a millisecond or better."""

    type = sa.Double()
    inherit_cache = True


class up_since_s(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """Start of the database server in seconds since 1970; 0 on SQLite."""

    type = sa.Double()
    inherit_cache = True


_SQL: Mapping[type[FunctionElement[float]], Mapping[str, str]] = {
    now_s: {
        "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
        "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
    },
    up_since_s: {
        "sqlite": "0.0",
        "postgresql": "CAST(extract(epoch FROM pg_postmaster_start_time()) AS double precision)",
    },
}


@compiles(now_s)
@compiles(up_since_s)
def _sql(element: FunctionElement[float], compiler: SQLCompiler, **kwargs: Any) -> str:
    return _SQL[type(element)][compiler.dialect.name]


def holds_secret(storage: str) -> bool:
    """Return whether a storage URL contains a password or another secret.

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
    """Return the URL of a store; no part of one that cannot be read is in the error."""
    if not _URL.match(storage):
        if _OF_A_SERVER.search(storage):
            raise StoreError(_UNREADABLE)
        # A path is literal: nothing in it is an option or an escape.
        return _of_a_file(URL.create("sqlite", database=storage))
    text = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", storage)
    try:
        url = make_url(_without_host_list(text))
    except (sa.exc.ArgumentError, ValueError):
        # The message quotes the URL, or a part of it that may be the password.
        raise StoreError(_UNREADABLE) from None
    backend = url.get_backend_name()
    if backend not in {"sqlite", "postgresql"}:
        raise StoreError(f"a store must be SQLite or PostgreSQL, got {shown(backend)}; {_WAY_OUT}")
    return _of_a_file(url) if backend == "sqlite" else _of_a_server(url)


def _of_a_file(url: URL) -> URL:
    if url.database in {None, "", ":memory:"}:
        raise StoreError(
            "a store must be a file, because workers are separate processes, got "
            f"{shown(url.database or '')}; {_WAY_OUT}"
        )
    if url.query:
        raise StoreError(
            "the URL of a SQLite store takes no options, got "
            f"{shown(', '.join(url.query))}; {_WAY_OUT}"
        )
    return url.set(database=str(user_path(str(url.database))))


def _without_host_list(text: str) -> str:
    # SQLAlchemy takes libpq's list of hosts as options only.
    found = _HOST_LIST.fullmatch(text)
    if found is None:
        return text
    user, hosts, database, options = found.groups(default="")
    listed = "&".join(f"host={host}" for host in hosts.split(","))
    return f"{user}{database or '/'}?{listed}{'&' * bool(options)}{options}"


def _of_a_server(url: URL) -> URL:
    if url.host and not _HOST.fullmatch(url.host):
        # An unescaped @ leaves the tail of a password here.
        raise StoreError(_UNREADABLE)
    if url.host and "%" in url.host:
        # The folder of a socket.
        url = url.set(host="").update_query_dict({"host": unquote(url.host)})
    if set(_SERVER_OPTIONS) <= set(url.query):
        listed = {name: ",".join(url.normalized_query[name]) for name in _SERVER_OPTIONS}
        url = url.update_query_dict(listed)
    return url


class Database:
    """A database and its transactions.

    Parameters
    ----------
    storage
        A SQLAlchemy URL of SQLite or PostgreSQL, or the path of a SQLite file. PostgreSQL is
        reached by psycopg 3 unless the URL names another driver.

    Attributes
    ----------
    url
        The full URL, which may contain a password: not for messages.
    file
        The SQLite file; None on PostgreSQL.
    shown
        The store's name for messages and logs, without secrets and options.
    engine_options
        Options of an engine of this database that another library creates, such as Optuna. On
        PostgreSQL it keeps no connection between two uses.

    Raises
    ------
    StoreError
        If the URL cannot be read, or names another kind of database or a missing driver; by every
        method that uses the database, if it cannot be reached, read, written or locked, or a row
        that is read is damaged.
    """

    def __init__(self, storage: str) -> None:
        url = _parse(storage)
        self.url = url.render_as_string(hide_password=False)
        self.file = Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
        options = [name for name in url.query if name not in _SERVER_OPTIONS]
        bare = url.difference_update_query(options)
        self.shown = str(self.file) if self.file else bare.render_as_string(hide_password=True)
        values = [value for name in options for value in url.normalized_query[name]]
        self._secrets = {str(url.password): "***"} if url.password else {}
        # Libpq quotes the value of an option; unquoted it may be any word.
        self._secrets |= {f'"{value}"': '"***"' for value in values}
        try:
            self.engine_options = _engine_options(url)
            self.engine = sa.create_engine(url, **(self.engine_options | _pool_options(url)))
        except (ImportError, sa.exc.ArgumentError) as error:
            raise StoreError(f"store {self.shown}: no such database driver: {error}") from error
        self.prepare(self.engine)
        self._identity: tuple[int, int] | None = None

    def reason(self, error: BaseException | None) -> str:
        """Return the first line of a database's error, without the secrets of the URL."""
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        for secret, replacement in self._secrets.items():
            line = line.replace(secret, replacement)
        return line

    def prepare(self, engine: sa.Engine) -> None:
        """Set up the transactions described in this module on an engine of this database."""
        if self.file:
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads."""
        with (
            self._rows_translated(),
            self._translated(),
            self.engine.connect() as connection,
            connection.execution_options(**{_READ_ONLY: True}).begin(),
        ):
            yield connection

    def damaged(self, error: Exception) -> StoreError:
        """Return the error to raise where a row cannot be what fdrnn has written."""
        return StoreError(
            f"store {self.shown}: a row is damaged: {error_line(error)}; restore the database "
            "from a copy, or import exported studies into another one (--storage)"
        )

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads, all of it one state of the database.

        The caller may take long between two queries.
        """
        with self.read() as connection:
            if self.file is None:
                # A read transaction of SQLite sees one state anyway.
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                # A migration alone waits for a transaction that only reads.
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '1h'")
            yield connection

    @contextmanager
    def write(self, *, foreign_keys: bool = True) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end or rolled back by an exception.

        Parameters
        ----------
        foreign_keys
            False for a migration, which SQLite makes by replacing tables that others refer to.
        """
        with (
            self._rows_translated(),
            self._translated(),
            self.engine.connect() as connection,
        ):
            if self.file and not foreign_keys:
                # SQLite ignores it within a transaction; a new connection has it on again.
                connection.detach()
                driver_connection = connection.connection.dbapi_connection
                assert driver_connection is not None
                driver_connection.cursor().execute("PRAGMA foreign_keys = OFF")
            with connection.begin():
                yield connection

    def require_available(self) -> None:
        """Require that the database answers."""
        with self.read() as connection:
            connection.execute(sa.select(1))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Exclude every other process from `exclusive` on this database.

        The lock is released when the process that has it ends. It does not nest.
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
        lock = filelock.FileLock(path, poll_interval=_LOCK_POLL_S)
        try:
            # The library would create a missing folder.
            path.parent.stat()
            lock.acquire()
        except OSError as error:
            kind = StoreUnavailableError if error.errno in _PASSING_ERRNO else StoreError
            raise kind(
                f"store {self.shown}: cannot lock {path}: {error.strerror}; {_WAY_OUT}"
            ) from error
        try:
            yield
        finally:
            # A process that waits notices that the file it opened is gone, and opens a new one.
            with suppress(OSError):
                path.unlink()
            lock.release()

    def _file_identity(self) -> tuple[int, int] | None:
        try:
            status = self.file.stat() if self.file else None
        except OSError:
            # Missing, or on a file system that is lost.
            status = None
        return status and (status.st_dev, status.st_ino)

    @contextmanager
    def _rows_translated(self) -> Iterator[None]:
        try:
            yield
        except FdrnnError:
            raise
        except (LookupError, OverflowError, ValueError, RecursionError) as error:
            # Types of columns refuse what no fdrnn has written.
            raise self.damaged(error) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        # SQLite would write into a deleted file, or into one that has taken its place.
        if self._identity and self._identity != self._file_identity():
            raise StoreUnavailableError(
                f"store {self.shown}: its file cannot be accessed, or has been moved, deleted or "
                "replaced since it was opened; put it back, or stop the workers and start them "
                "again"
            )
        try:
            yield
            self._identity = self._identity or self._file_identity()
        except sa.exc.IntegrityError:
            raise
        except sa.exc.DBAPIError as error:
            kind = store_error_kind(error)
            way_out = _SQLITE_WAYS_OUT.get(_sqlite_code(error.orig), _WAY_OUT)
            raise kind(f"store {self.shown}: {self.reason(error.orig)}; {way_out}") from error


def store_error_kind(error: BaseException) -> type[StoreError]:
    """Return the kind of a database's error: one that may pass by itself, or a mistake.

    Parameters
    ----------
    error
        An error of SQLAlchemy, or one that has it as its cause.

    Returns
    -------
    type of StoreError
        `StoreUnavailableError` where the same call may succeed later: the connection lost or
        refused, the disk full, a lock of another process, writing refused for now;
        `StoreAddressError` among these where no connection was made because of the address, user,
        password or database; `StoreError` otherwise.
    """
    while not isinstance(error, sa.exc.DBAPIError):
        if error.__cause__ is None:
            return StoreError
        error = error.__cause__
    reason = error.orig
    if isinstance(reason, sqlite3.Error):
        passing = _sqlite_code(reason) in _SQLITE_PASSING
        return StoreUnavailableError if passing else StoreError
    state = getattr(reason, "sqlstate", None)
    if error.connection_invalidated:
        return StoreUnavailableError
    if state is not None:
        passing = state[:2] in _POSTGRESQL_PASSING or state in _PASSING_STATES
        return StoreUnavailableError if passing else StoreError
    if not isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return StoreError
    refused = _ADDRESS_REFUSED.search(_QUOTED.sub("", str(reason)))
    return StoreAddressError if refused else StoreUnavailableError


def _sqlite_code(error: BaseException | None) -> int:
    # The low byte of an extended code is the primary code.
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def _engine_options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": _BUSY_TIMEOUT_S}}
    # psycopg is imported here, because a SQLite store does without.
    from fdrnn.search.store import postgresql  # noqa: PLC0415

    return postgresql.engine_options(url)


def _pool_options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {}
    return {
        "poolclass": QueuePool,
        "pool_size": 1,
        "max_overflow": _MOST_CONNECTIONS - 1,
        "pool_pre_ping": True,
    }


def _configure_sqlite(connection: Any, record: ConnectionPoolEntry) -> None:
    # Python's driver would otherwise begin deferred transactions by itself.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
