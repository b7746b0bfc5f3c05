"""What only a PostgreSQL store has: a network, encryption, passwords, other people's sessions."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa

from fdrnn.search import (
    Store,
    StoreError,
    StoreUnavailableError,
    Training,
    create_study,
    open_store,
    run_worker,
)
from fdrnn.search.errors import StoreAddressError
from fdrnn.search.store import postgresql
from fdrnn.search.store.database import Database
from postgres import PostgresServer, PostgresUnavailableError
from proxy import Proxy
from waiting import wait_until


@pytest.fixture
def postgresql_url(postgres: PostgresServer) -> Iterator[Callable[..., str]]:
    """The URL, with options, of one empty database."""
    name = postgres.create_database()
    yield lambda **query: postgres.url(name, **query)
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def tls_server() -> Iterator[PostgresServer]:
    """A server that takes encrypted connections too."""
    try:
        server = PostgresServer(tls=True)
    except PostgresUnavailableError as error:
        pytest.skip(str(error))
    with server:
        yield server


def shown(connection: sa.Connection, *settings: str) -> list[Any]:
    return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in settings]


SETTINGS = (
    "idle_in_transaction_session_timeout",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
    "tcp_user_timeout",
    "application_name",
)


def test_a_silent_peer_is_noticed_by_both_sides(postgresql_url: Callable[..., str]) -> None:
    database = Database(postgresql_url())
    others = sa.create_engine(database.url, **database.engine_options)
    for engine in (database.engine, others):
        with engine.connect() as connection:
            assert shown(connection, *SETTINGS) == ["30s", "10", "5", "2", "20000", "fdrnn"]
            driver: Any = connection.connection.driver_connection
            with socket.fromfd(driver.fileno(), socket.AF_INET, socket.SOCK_STREAM) as peer:
                timeout_ms = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                idle_s = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
                assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert (timeout_ms, idle_s) == (20000, 10)


def test_the_url_and_the_environment_have_the_last_word(
    postgresql_url: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql_url(
        options="-c idle_in_transaction_session_timeout=7s",
        tcp_user_timeout="3000",
        application_name="ada",
    )
    with Database(url).read() as connection:
        assert shown(connection, *SETTINGS) == ["7s", "10", "5", "2", "20000", "ada"]
        driver: Any = connection.connection.driver_connection
        assert driver.info.get_parameters()["tcp_user_timeout"] == "3000"
    monkeypatch.setenv("PGOPTIONS", "-c tcp_user_timeout=4000")
    monkeypatch.setenv("PGAPPNAME", "bob")
    with Database(postgresql_url()).read() as connection:
        assert shown(connection, *SETTINGS) == ["30s", "10", "5", "2", "4000", "bob"]


@pytest.fixture
def proxy(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy, and limits of parts of a second."""
    monkeypatch.setattr(postgresql, "ANSWER_S", 0.3)
    monkeypatch.setattr(postgresql, "_TRY_S", 2)
    made = Proxy(postgres.port)
    yield made
    made.close()


@pytest.fixture
def behind_proxy(
    proxy: Proxy, postgres: PostgresServer, postgresql_url: Callable[..., str]
) -> Database:
    url = postgresql_url(connect_timeout="2").replace(f":{postgres.port}/", f":{proxy.port}/")
    return Database(url)


REFUSED = {
    "password": lambda url: url.replace("//fdrnn:", "//fdrnn:wrong"),
    "user": lambda url: url.replace("//fdrnn:", "//nobody:"),
    "database": lambda url: f"{url}x",
    "host": lambda url: url.replace("127.0.0.1", "no-such-host.invalid"),
    "option": lambda url: f"{url}?sslmode=wrong",
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_an_address_that_is_refused(
    postgresql_url: Callable[..., str], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    def resolve(host: str, *_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, f"no {host}")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(StoreAddressError):
        Database(REFUSED[wrong](postgresql_url())).require_available()


def test_a_server_that_is_away_is_no_refused_address(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, *_: object, **__: object) -> Any:
        if host == "unknown-yet":
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return [(0, 0, 0, "", ("127.0.0.1", 1))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for host in ("127.0.0.1:1", "invalid.example:1", "unknown-yet"):
        with pytest.raises(StoreUnavailableError) as caught:
            Database(f"postgresql://fdrnn@{host}/invalid").require_available()
        assert caught.type is StoreUnavailableError


def test_a_slow_statement_is_waited_for(proxy: Proxy, behind_proxy: Database) -> None:
    with behind_proxy.read() as connection:
        assert connection.exec_driver_sql("SELECT pg_sleep(1)").scalar() == ""
    assert len(proxy.clients) > 1


def test_a_slow_statement_is_waited_for_on_a_server_without_a_free_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgresql, "ANSWER_S", 0.3)
    with PostgresServer(settings={"max_connections": "8"}) as server:
        database = Database(server.url(server.create_database()))
        others = sa.create_engine(database.url, **database.engine_options)
        with database.read() as connection, contextlib.ExitStack() as opened:
            with pytest.raises(sa.exc.OperationalError, match=r"too many clients|remaining conn"):
                while True:
                    opened.enter_context(others.connect())
            assert connection.exec_driver_sql("SELECT pg_sleep(1)").scalar() == ""


def test_a_server_that_hangs_is_an_outage(proxy: Proxy, behind_proxy: Database) -> None:
    def ask() -> Any:
        with behind_proxy.read() as connection:
            return connection.exec_driver_sql("SELECT 1").scalar()

    assert ask() == 1
    proxy.fall_silent(new=True)
    with pytest.raises(StoreUnavailableError, match="timeout expired"):
        ask()
    proxy.speak()
    assert ask() == 1


def test_a_statement_that_hangs_alone_is_an_outage(
    proxy: Proxy, behind_proxy: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LONGEST_S", 1.0)
    with (
        pytest.raises(StoreUnavailableError, match="the server has not answered for 1 s"),
        behind_proxy.write() as connection,
    ):
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
        proxy.fall_silent(new=False)
        connection.exec_driver_sql("SELECT 1")
    with behind_proxy.read() as connection:
        assert not sa.inspect(connection).has_table("t")


def test_a_process_that_stops_in_a_transaction_keeps_no_row_locked(
    postgresql_url: Callable[..., str],
) -> None:
    impatient = postgresql_url(options="-c idle_in_transaction_session_timeout=200")
    with Database(impatient).write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    with (
        pytest.raises(StoreError, match="idle-in-transaction timeout"),
        Database(impatient).write() as stopped,
    ):
        stopped.exec_driver_sql("UPDATE t SET x = 2")
        time.sleep(0.5)
        with Database(postgresql_url()).write() as other:
            other.exec_driver_sql("UPDATE t SET x = x + 10")
        stopped.exec_driver_sql("UPDATE t SET x = 3")
    with Database(impatient).read() as connection:
        assert connection.exec_driver_sql("SELECT x FROM t").scalar() == 11


def test_a_snapshot_is_kept_while_its_rows_are_converted(
    postgresql_url: Callable[..., str],
) -> None:
    url = postgresql_url(options="-c idle_in_transaction_session_timeout=200")
    with Database(url).snapshot() as connection:
        connection.execute(sa.select(1))
        time.sleep(0.6)
        assert connection.scalar(sa.select(1)) == 1


def test_a_worker_holds_one_connection(
    postgres: PostgresServer, postgresql_url: Callable[..., str], fake: ModuleType
) -> None:
    url = postgresql_url()
    store = open_store(url, create=True)
    create_study(store, fake.definition(n_trials=3, n_epochs=20), fake.DATA)
    store.close()
    counts = []

    class Watching(fake.FakeTrainer):  # type: ignore[name-defined,misc]
        def run_epoch(self, interrupted: Callable[[], bool]) -> Any:
            query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'"
            counts.extend(postgres.execute(query)[0])
            return super().run_epoch(interrupted)

    def make(data: Any, definition: Any, hyperparameters: Any, seed: int) -> Any:
        return Watching(seed, definition.training.max_epochs)

    database = sa.make_url(url).database
    training = Training(load_dataset=fake.load_noise, make_trainer=make)
    # A lease so short that its keeper renews it all the time.
    run_worker(url, "noise", settings=fake.settings(training=training, lease_s=0.1))
    assert open_store(url).study("noise").trials()["state"].tolist() == ["finished"] * 3
    assert len(counts) >= 60
    assert sorted(counts)[len(counts) // 2] == 1
    assert max(counts) <= 3


def test_the_store_comes_back_with_its_server(fake: ModuleType) -> None:
    with PostgresServer() as server:
        store = open_store(server.url(server.create_database()), create=True)
        create_study(store, fake.definition(), fake.DATA)
        server.stop("immediate")
        with pytest.raises(StoreError, match="connection") as caught:
            store.study_names()
        assert server.secret not in str(caught.value)
        server.start()
        assert store.study_names() == ["noise"]
        server.restart("immediate")
        assert store.study_names() == ["noise"]


def test_who_waits_for_connections_leaves_those_there_are_to_others(
    fake: ModuleType, start: Callable[..., subprocess.Popen[str]]
) -> None:
    with PostgresServer(settings={"max_connections": "8"}) as server:
        url = server.url(server.create_database())
        store = open_store(url, create=True)
        create_study(store, fake.definition(n_trials=2), fake.DATA)
        store.close()
        engine = sa.create_engine(store.database.url, **store.database.engine_options)
        others = []
        with contextlib.suppress(sa.exc.OperationalError):
            while True:
                others.append(engine.connect())
        # A worker needs two at its start.
        others.pop().close()
        pool = start("run_script.py", url, 1, 60.0)
        assert pool.stdout is not None
        assert "|outage|" in pool.stdout.readline()

        def is_free() -> bool:
            with contextlib.suppress(sa.exc.OperationalError):
                engine.connect().close()
                return True
            return False

        wait_until(is_free)
        for other in others:
            other.close()
        pool.communicate(timeout=60)
        assert pool.returncode == 0
        assert store.study("noise").trials()["state"].tolist() == ["finished"] * 2
        store.close()


@pytest.mark.parametrize("sslmode", ["disable", "require", "verify-full"])
def test_connections_are_encrypted_as_the_url_says(
    tls_server: PostgresServer, sslmode: str
) -> None:
    query = {"sslmode": sslmode}
    if sslmode == "verify-full":
        query["sslrootcert"] = str(tls_server.data / "server.crt")
    url = tls_server.url(tls_server.create_database(), **query)
    store = open_store(url, create=True)
    others = sa.create_engine(store.database.url, **store.database.engine_options)
    for engine in (store.database.engine, others):
        with engine.connect() as connection:
            encrypted = connection.exec_driver_sql(
                "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            ).scalar()
        assert encrypted is (sslmode != "disable")
    store.close()


def test_an_unknown_certificate_is_refused(tls_server: PostgresServer, tmp_path: Path) -> None:
    url = tls_server.url("postgres", sslmode="verify-full", sslrootcert=str(tmp_path / "none"))
    with pytest.raises(StoreError, match=r"root certificate file .*; check --storage") as caught:
        open_store(url)
    assert tls_server.secret not in str(caught.value)


def test_a_server_without_encryption_is_refused_where_it_is_required(
    postgresql_url: Callable[..., str],
) -> None:
    with pytest.raises(StoreError, match="server does not support SSL, but SSL was required"):
        open_store(postgresql_url(sslmode="require"), create=True)
    assert isinstance(open_store(postgresql_url(sslmode="disable"), create=True), Store)
