"""The dashboard with the role that docker-compose.yml makes for it: it reads, and changes nothing.

The role is made by the very statements of that file, on a server of the test's own, by psql as
the image of PostgreSQL calls it.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from typer.testing import Result

from postgres import PostgresServer, PostgresUnavailableError, find_programs

ROOT = Path(__file__).parents[2]
LIMIT_S = 60
REFUSED = psycopg.errors.InsufficientPrivilege

Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., Result]
ErrorLine = Callable[..., str]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer(superuser="postgres")
    except PostgresUnavailableError as error:
        pytest.skip(str(error))
    with server:
        server.execute("CREATE DATABASE fdrnn")
        yield server


@pytest.fixture(scope="module")
def roles(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files with the URLs of the two roles, which have been made."""
    folder = tmp_path_factory.mktemp("secrets")
    files = {}
    for role in ("fdrnn", "dashboard"):
        files[role] = folder / f"{role}_url"
        address = f"127.0.0.1:{server.port}/fdrnn"
        files[role].write_text(f"postgresql+psycopg://{role}:{secrets.token_hex(24)}@{address}\n")
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    script = folder / "roles.sql"
    script.write_text(compose["configs"]["roles"]["content"].replace("/run/secrets", str(folder)))
    options = ("--username", "postgres", "--no-password", "--no-psqlrc", "--dbname", "fdrnn")
    psql = subprocess.run(
        [find_programs() / "psql", "-v", "ON_ERROR_STOP=1", *options, "-f", script],
        env=os.environ
        | {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGPASSWORD": server.password},
        capture_output=True,
        text=True,
        check=False,
    )
    assert psql.returncode == 0, psql.stderr
    return files


@pytest.fixture
def study(roles: dict[str, Path], fdrnn: Run, study_file: Path, tmp_path: Path) -> str:
    """The name of a study in the store, this test's own."""
    name = tmp_path.name
    storage = f"@{roles['fdrnn']}"
    made = fdrnn("study", "create", study_file, "--name", name, "--storage", storage)
    assert made.exit_code == 0, made.output
    return name


@pytest.fixture
def reader(roles: dict[str, Path], study: str) -> str:
    """``--storage`` of the dashboard."""
    return f"@{roles['dashboard']}"


@pytest.fixture
def address(reader: str, start: Start) -> str:
    """Where the dashboard serves."""
    process = start("dashboard", "--port", "0", "--storage", reader)
    assert process.stderr is not None
    told = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", told)
    assert found is not None, told
    return found[0]


def connect(url_file: Path) -> psycopg.Connection[tuple[Any, ...]]:
    url = url_file.read_text().strip().replace("+psycopg", "")
    return psycopg.connect(url, autocommit=True)


def contents(roles: dict[str, Path]) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    with connect(roles["fdrnn"]) as connection:
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        return {
            name: [row for (row,) in connection.execute(f"SELECT t::text FROM {name} t ORDER BY 1")]
            for (name,) in names
        }


def request(url: str, method: str = "GET", body: object = None) -> int:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=LIMIT_S) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        assert "can only read the store" in error.read().decode()
        return error.code


def test_it_shows_a_study_and_changes_none(
    address: str, study: str, roles: dict[str, Path]
) -> None:
    before = contents(roles)
    assert {"fdrnn_trials", "trials"} <= before.keys()
    with connect(roles["dashboard"]) as connection:
        ((study_id, trial_id),) = connection.execute(
            "SELECT study_id, min(trial_id) FROM studies JOIN trials USING (study_id) "
            "WHERE study_name = %s GROUP BY study_id",
            [study],
        )

    pages = ("", "dashboard", "api/meta", "api/studies", f"api/studies/{study_id}")
    for page in (*pages, f"csv/{study_id}"):
        assert request(address + page) == 200

    state = {"state": "Complete", "values": [0.1]}
    note = {"version": 1, "body": "changed"}
    for method, path, body in (
        ("DELETE", f"api/studies/{study_id}", None),
        ("POST", f"api/studies/{study_id}/rename", {"study_name": "another"}),
        ("POST", "api/studies", {"study_name": "another", "directions": ["minimize"]}),
        ("POST", f"api/trials/{trial_id}/tell", state),
        ("POST", f"api/trials/{trial_id}/user-attrs", {"user_attrs": {"diverged": True}}),
        ("PUT", f"api/studies/{study_id}/note", note),
        ("PUT", f"api/studies/{study_id}/{trial_id}/note", note),
    ):
        assert request(address + path, method, body) == 403
    assert contents(roles) == before


def test_the_database_refuses_what_the_dashboard_does_not(
    reader: str, roles: dict[str, Path]
) -> None:
    before = contents(roles)
    with connect(roles["dashboard"]) as connection:
        for table in before:
            column = connection.execute(f"SELECT * FROM {table}").description[0].name
            for statement in (
                f"INSERT INTO {table} DEFAULT VALUES",
                f"UPDATE {table} SET {column} = {column}",
                f"DELETE FROM {table}",
                f"TRUNCATE {table} CASCADE",
                f"DROP TABLE {table} CASCADE",
            ):
                with pytest.raises(REFUSED):
                    connection.execute(statement)
        for statement in (
            "CREATE TABLE mine (n int)",
            "CREATE TEMP TABLE mine (n int)",
            "SELECT nextval('fdrnn_trials_trial_id_seq')",
            "SET ROLE fdrnn",
            "ALTER ROLE dashboard SUPERUSER",
            "COPY fdrnn_studies TO PROGRAM 'cat'",
        ):
            with pytest.raises(REFUSED):
                connection.execute(statement)
    assert contents(roles) == before


def test_optuna_cannot_write_with_it_either(roles: dict[str, Path], study: str) -> None:
    before = contents(roles)
    storage = RDBStorage(roles["dashboard"].read_text().strip(), skip_table_creation=True)
    study_id = storage.get_study_id_from_name(study)
    with pytest.raises(StorageInternalError) as refused:
        storage.delete_study(study_id)
    assert "permission denied" in str(refused.value.__cause__)
    assert contents(roles) == before


def test_tables_of_a_later_version_can_be_read(roles: dict[str, Path], reader: str) -> None:
    with connect(roles["fdrnn"]) as owner:
        owner.execute("CREATE TABLE fdrnn_later AS SELECT 1 AS n")
        with connect(roles["dashboard"]) as connection:
            assert connection.execute("SELECT n FROM fdrnn_later").fetchall() == [(1,)]
        owner.execute("DROP TABLE fdrnn_later")


def test_nobody_is_superuser_through_the_network(
    server: PostgresServer, roles: dict[str, Path]
) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        server.execute("SELECT 1")
    with connect(roles["fdrnn"]) as connection:
        (row,) = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname !~ '^pg_'")
        assert row == (3,)
        (row,) = connection.execute(
            "SELECT bool_or(rolsuper) FROM pg_roles WHERE rolname != 'postgres'"
        )
        assert row == (False,)


@pytest.mark.usefixtures("_sigint_ignored")
@pytest.mark.parametrize("end_signal", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_without_a_traceback(reader: str, start: Start, end_signal: signal.Signals) -> None:
    process = start("dashboard", "--port", "0", "--host", "0.0.0.0", "--storage", reader)
    assert process.stderr is not None
    warning = process.stderr.readline()
    assert "can read studies" in warning
    told = process.stderr.readline()
    port = re.search(r":(\d+)/", told.partition("http://")[2])
    assert port is not None, told
    assert request(f"http://127.0.0.1:{port[1]}/api/studies/1", "DELETE") == 403
    os.killpg(process.pid, end_signal)
    _, log = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert log == ""


def test_commands_that_write_say_what_they_may_not(
    reader: str, study: str, fdrnn: Run, study_file: Path, error_line: Callable[..., str]
) -> None:
    more = ("--name", study, "--trials", "9")
    line = error_line("study", "create", study_file, *more, "--storage", reader)
    assert "permission denied" in line
    shown = fdrnn("study", "status", study, "--storage", reader)
    assert shown.exit_code == 0, shown.output
    assert "3 waiting" in shown.stdout


@pytest.fixture
def served(start: Start, fdrnn: Run, study_file: Path) -> Callable[..., tuple[str, int]]:
    """Serve a SQLite store with options, and return the host and the port."""

    def serve(*options: str) -> tuple[str, int]:
        assert fdrnn("study", "create", study_file).exit_code == 0
        process = start("dashboard", "--port", "0", *options)
        assert process.stderr is not None
        line = process.stderr.readline()
        address = re.search(r"http://([^:]+):(\d+)/", line)
        assert address is not None, line
        return address[1], int(address[2])

    return serve


def status(
    address: tuple[str, int], path: str, method: str = "GET", **headers: str
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(*address, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_only_hosts_that_name_it_are_served(served: Callable[..., tuple[str, int]]) -> None:
    address = served("--host", "127.0.0.1", "--host", "fdrnn.example")
    port = address[1]
    for host in ("127.0.0.1", f"localhost:{port}", f"[::1]:{port}", "FDRNN.example", "10.0.0.7"):
        assert status(address, "/api/studies", Host=host)[0] == 200, host
    for host in ("evil.example", f"evil.example:{port}", "", "localhost@evil.example", "a b"):
        assert status(address, "/api/studies", Host=host)[0] == 403, host


def test_an_address_of_ipv6_is_served(
    fdrnn: Run, start: Start, error_line: ErrorLine, study_file: Path
) -> None:
    assert fdrnn("study", "create", study_file).exit_code == 0
    assert "--host must be an address" in error_line("dashboard", "--host", "")
    process = start("dashboard", "--port", "0", "--host", "::1")
    assert process.stderr is not None
    line = process.stderr.readline()
    address = re.search(r"http://\[::1\]:(\d+)/", line)
    assert address is not None, line
    assert status(("::1", int(address[1])), "/api/studies", Host="[::1]")[0] == 200


def test_malformed_requests_are_refused(served: Callable[..., tuple[str, int]]) -> None:
    address = served()
    for length in ("many", "-1"):
        code, reason = status(address, "/api/studies", Host="localhost", Content_Length=length)
        assert (code, "Content-Length" in reason) == (400, True)
    for path in ("/static/../../../etc/passwd", "/static/%2e%2e/%2e%2e/x", "/static/a%00b"):
        assert status(address, path, Host="localhost")[0] == 404


def test_it_reads_only_unless_writable(served: Callable[..., tuple[str, int]]) -> None:
    address = served()
    code, reason = status(address, "/api/studies/0", "DELETE", Host="localhost")
    assert (code, "can only read" in reason) == (403, True)


def test_a_writable_one_obeys_its_own_pages_alone(
    served: Callable[..., tuple[str, int]],
) -> None:
    address = served("--writable")
    studies = json.loads(status(address, "/api/studies", Host="localhost")[1])["study_summaries"]
    path = f"/api/studies/{studies[0]['study_id']}"
    assert status(address, path, "DELETE", Host="localhost", Origin="http://evil")[0] == 403
    assert status(address, path, "DELETE", Host="localhost", Origin="http://localhost")[0] == 204
