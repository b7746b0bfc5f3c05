from __future__ import annotations

import errno
import multiprocessing
import os
import sqlite3
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from fdrnn.search import StoreError, StoreUnavailableError, default_storage_url, open_store
from fdrnn.search.store.database import Database, holds_secret, now_s
from fdrnn.search.store.tables import Number


def test_the_default_is_a_file_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database(default_storage_url())
    monkeypatch.chdir("/")
    assert database.file == tmp_path / "fdrnn.sqlite3"
    assert database.url == f"sqlite:///{tmp_path}/fdrnn.sqlite3"


def test_a_path_is_a_sqlite_file(tmp_path: Path) -> None:
    assert Database(str(tmp_path / "some.db")).file == tmp_path / "some.db"


@pytest.mark.parametrize("name", ["50%41?x=1#.db", "a b.db", "sqlite.db"])
def test_a_path_is_literal(tmp_path: Path, name: str) -> None:
    open_store(str(tmp_path / name), create=True).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    # Optuna is given the URL.
    assert sa.make_url(Database(str(tmp_path / name)).url).database == str(tmp_path / name)


@pytest.mark.parametrize(
    ("storage", "host", "port"),
    [
        ("postgresql://ada:secret@h1:5432,h2:5433/studies", "h1,h2", "5432,5433"),
        ("postgresql://ada@/studies?host=h1&host=h2&port=1&port=2", "h1,h2", "1,2"),
        ("postgresql://ada@%2Frun%2Fpostgresql/studies", "/run/postgresql", None),
        ("postgresql://ada:secret@[::1]:5432/studies", "::1", 5432),
    ],
)
def test_hosts_as_libpq_names_them(storage: str, host: str, port: object) -> None:
    engine = Database(storage).engine
    arguments = engine.dialect.create_connect_args(engine.url)[1]
    assert (arguments["host"], arguments.get("port"), arguments["dbname"]) == (
        host,
        port,
        "studies",
    )


@pytest.mark.parametrize("password", ["p@secret", "p?x@secret", "secret@", "p#@secret"])
def test_no_part_of_a_password_that_is_not_escaped_is_shown(password: str) -> None:
    with pytest.raises(StoreError, match="written %40 %3A") as caught:
        open_store(f"postgresql://ada:{password}@127.0.0.1:1/studies")
    assert "secret" not in str(caught.value)


def test_the_value_of_an_option_is_not_shown() -> None:
    url = "postgresql://ada@127.0.0.1:1/studies?sslmode=secret"
    with pytest.raises(StoreError, match="sslmode") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_reached_by_psycopg_3_and_shown_without_its_password(scheme: str) -> None:
    database = Database(f"{scheme}://ada:secret@db.example/studies?sslmode=require&password=secret")
    assert database.url.startswith("postgresql+psycopg://ada:secret@db.example/studies?")
    assert "secret" not in database.shown
    assert "db.example/studies" in database.shown


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("mysql://ada@db/studies", "must be SQLite or PostgreSQL, got 'mysql'"),
        ("://nothing", "URL cannot be read"),
        ("postgresql:/ada:secret@db/studies", "URL cannot be read"),
        ("postgresql://ada:pass@secret:word@db/studies", "URL cannot be read"),
        ("sqlite://", "must be a file, because workers are separate processes"),
        ("sqlite:///:memory:", "must be a file"),
        ("postgresql+nosuchdriver://db/studies", "no such database driver"),
        ("sqlite:////no/such/directory/store.sqlite3", "/no/such/directory"),
        ("postgresql://ada:secret@127.0.0.1:1/studies", "127.0.0.1"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_in_one_line(storage: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        open_store(storage, create=True)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("not a database, but long enough to have a header" * 100)
    with pytest.raises(StoreError, match=r"notes.txt: file is not a database; check --storage"):
        open_store(str(notes), create=True)


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("fdrnn.sqlite3", False),
        ("sqlite:////home/ada:lovelace@home/store.sqlite3", False),
        ("postgresql://ada@db/studies?sslmode=require&passfile=/home/ada/.pgpass", False),
        ("postgresql://ada:secret@db/studies", True),
        ("postgresql://:secret@db/studies", True),
        ("postgresql://db/studies?user=ada&password=secret", True),
        ("postgresql://ada@db/studies?sslkey=ada.key&sslpassword=secret", True),
        ("postgresql://ada@db/studies?oauth_client_secret=secret", True),
    ],
)
def test_a_secret_in_a_url_is_found(storage: str, expected: bool) -> None:
    assert holds_secret(storage) is expected
    assert "secret" not in Database(storage).shown.replace("client_secret", "")


def test_a_store_that_another_program_has_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fdrnn.search.store.database._BUSY_TIMEOUT_S", 0.1)
    path = tmp_path / "store.sqlite3"
    store = open_store(str(path), create=True)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(
        StoreUnavailableError,
        match=r"database is locked; end the program that has locked it, or try again$",
    ):
        store.study_names()
    other.close()
    assert store.study_names() == []


def test_a_store_on_a_full_disk(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store.sqlite3"))
    with (
        pytest.raises(StoreUnavailableError, match=r"disk is full; free space on its disk$"),
        database.write() as connection,
    ):
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")


def test_a_file_that_is_moved_or_replaced_is_unavailable_until_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    store = open_store(str(path), create=True)
    path.rename(tmp_path / "moved")
    for _ in range(2):
        with pytest.raises(
            StoreUnavailableError, match="cannot be accessed, or has been moved, del"
        ):
            store.study_names()
        assert not path.exists()
        store.close()
    path.write_bytes((tmp_path / "moved").read_bytes())
    with (
        pytest.raises(StoreUnavailableError, match="moved, deleted or replaced"),
        store.database.write(),
    ):
        pytest.fail("written into another store")
    (tmp_path / "moved").replace(path)
    assert store.study_names() == []


def test_a_store_whose_folder_is_gone_is_unavailable_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    store = open_store(str(folder / "store.sqlite3"), create=True)
    with store.database.exclusive():
        folder.rename(tmp_path / "elsewhere")
        # A path through a file is another error than a missing one, as on a lost network disk.
        folder.write_bytes(b"")
    with pytest.raises(StoreUnavailableError, match="moved, deleted or replaced"):
        store.study_names()
    folder.unlink()
    (tmp_path / "elsewhere").rename(folder)
    assert store.study_names() == []


@pytest.mark.parametrize("code", [errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EIO])
def test_a_lock_on_a_lost_file_system_is_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    database = Database(str(tmp_path / "store.sqlite3"))

    def lost(path: Path, **options: object) -> os.stat_result:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "stat", lost)
    with pytest.raises(StoreUnavailableError, match=os.strerror(code)), database.exclusive():
        pytest.fail("locked")


def test_a_store_is_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(StoreError, match=f"{path} is no regular file; a store must be one"):
            open_store(str(path))


def test_a_write_is_rolled_back_by_an_exception(url: str) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        raise ZeroDivisionError
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0


def test_the_clock_is_the_databases_in_seconds_since_1970(url: str) -> None:
    with Database(url).read() as connection:
        first = connection.scalar(sa.select(now_s()))
        assert first == pytest.approx(time.time(), abs=2.0)
        time.sleep(0.01)
        # It continues within a transaction.
        assert connection.scalar(sa.select(now_s())) > first


def test_numbers_that_are_not_finite_survive(url: str) -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("x", Number))
    numbers = [float("inf"), float("-inf"), float("nan"), 0.1, 5e-324]
    with Database(url).write() as connection:
        table.create(connection)
        connection.execute(table.insert(), [{"x": number} for number in numbers])
        read = list(connection.scalars(sa.select(table.c.x)))
    assert read == pytest.approx(numbers, rel=0, abs=0, nan_ok=True)


def _count_up(storage: str, counter: Path, n_times: int) -> None:
    database = Database(storage)
    for _ in range(n_times):
        with database.exclusive():
            before = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(before + 1))


def test_exclusive_keeps_other_processes_out(url: str, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count_up, args=(url, counter, 25)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert counter.read_text() == "200"


def test_the_lock_of_a_file_leaves_no_file(tmp_path: Path) -> None:
    with Database(str(tmp_path / "store.sqlite3")).exclusive():
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def _lock_often(storage: str, n_times: int) -> None:
    database = Database(storage)
    for _ in range(n_times):
        with database.exclusive():
            pass


def test_a_lock_that_comes_and_goes_breaks_nobody(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    storage = str(tmp_path / "store.sqlite3")
    processes = [context.Process(target=_lock_often, args=(storage, 500)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
