"""How a store is named on the command line, and a PostgreSQL store through the whole command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import Result

from fdrnn.search import open_store
from postgres import PostgresServer

Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., Result]
ErrorLine = Callable[..., str]

LIMIT_S = 60
SECRET_URLS = (
    "postgresql://ada:secret@db.example/fdrnn",
    "postgresql://db.example/fdrnn?user=ada&password=secret",
    "postgresql://ada@db.example/fdrnn?sslkey=ada.key&sslpassword=secret",
)


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database, with its password."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def address(tmp_path: Path) -> Path:
    """A file for the URL of a store."""
    return tmp_path / "address"


@pytest.mark.parametrize("storage", SECRET_URLS)
@pytest.mark.parametrize("command", [("report",), ("study", "status", "x"), ("run", "bach")])
def test_a_password_on_the_command_line_is_refused(
    error_line: ErrorLine, command: tuple[str, ...], storage: str
) -> None:
    line = error_line(*command, "--storage", storage)
    assert "--storage must hold no password" in line
    assert "FDRNN_STORAGE" in line
    assert "@FILE" in line
    assert "secret" not in line


@pytest.mark.parametrize("by_option", [True, False])
def test_the_url_stands_in_a_file(
    fdrnn: Run,
    study_file: Path,
    address: Path,
    url: str,
    by_option: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address.write_text(f"{url}\n")
    if by_option:
        monkeypatch.setenv("FDRNN_STORAGE", "sqlite:////no/such/folder/store")
        option = ["--storage", "@address"]
    else:
        monkeypatch.setenv("FDRNN_STORAGE", f"@{address}")
        option = []
    assert fdrnn("study", "create", study_file, *option).exit_code == 0
    assert open_store(url).study_names() == ["mine"]


def test_a_password_that_other_users_can_read_is_warned_of(
    fdrnn: Run, study_file: Path, address: Path
) -> None:
    address.write_text("postgresql://ada:secret@127.0.0.1:1/b\n")
    address.chmod(0o644)
    address.parent.chmod(0o700)
    result = fdrnn("study", "create", study_file, "--storage", "@address")
    assert "warning" not in result.stderr
    address.parent.chmod(0o755)
    result = fdrnn("study", "create", study_file, "--storage", "@address")
    assert "other users of this machine can read the password" in result.stderr
    assert "secret" not in result.stderr
    address.chmod(0o600)
    result = fdrnn("study", "create", study_file, "--storage", "@address")
    assert "warning" not in result.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "there is no URL file"),
        (b"", "must hold the store's URL and nothing else"),
        (b"\n\n", "must hold the store's URL and nothing else"),
        (b"secret\n", "must hold the store's URL and nothing else"),
        (b"sqlite:///a\npostgresql://ada:secret@db/b\n", "must hold the store's URL and nothing"),
        (b"\xff\xfe", "not UTF-8"),
        (b"mysql://ada:secret@db/b", "must be SQLite or PostgreSQL"),
    ],
)
@pytest.mark.parametrize("by_option", [True, False])
def test_a_file_that_holds_no_url(
    error_line: ErrorLine,
    address: Path,
    content: bytes | None,
    expected: str,
    by_option: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if content is not None:
        address.write_bytes(content)
    if by_option:
        line = error_line("report", "--storage", f"@{address}")
    else:
        monkeypatch.setenv("FDRNN_STORAGE", f"@{address}")
        line = error_line("report")
    assert expected in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("@postgresql://ada:secret@db/b", "leave out @ before a URL"),
        ("host=db user=ada password=secret dbname=b", "it must look like sqlite:///FILE"),
        ("//ada:secret@db/b", "it must look like sqlite:///FILE"),
    ],
)
@pytest.mark.parametrize("by_option", [True, False])
def test_a_password_in_a_mistyped_url_is_not_told(
    error_line: ErrorLine,
    storage: str,
    expected: str,
    by_option: bool,
    study_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not by_option:
        monkeypatch.setenv("FDRNN_STORAGE", storage)
    line = error_line("study", "create", study_file, *(["--storage", storage] if by_option else []))
    assert expected in line
    assert "secret" not in line
    assert not [path for path in tmp_path.iterdir() if "secret" in path.name]


def test_a_folder_is_no_file_of_a_url(error_line: ErrorLine, tmp_path: Path) -> None:
    assert "is a directory; a URL file must be a regular file" in error_line(
        "report", "--storage", f"@{tmp_path}"
    )


@pytest.mark.parametrize(
    "command",
    [("report",), ("worker", "x"), ("run", "bach"), ("dashboard",), ("study", "list")],
)
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda url: url.replace("//fdrnn:", "//fdrnn:wrong"), "password authentication failed"),
        (lambda url: url.replace("127.0.0.1", "no-such-host.invalid"), "no-such-host.invalid"),
        (lambda url: f"{url}x", 'database "postgresx" does not exist'),
        (lambda url: f"{url}?sslmode=wrong", 'invalid sslmode value: "***"'),
        (lambda url: f"{url}?no_such=option", 'invalid connection option "no_such"'),
    ],
)
def test_what_is_wrong_with_a_connection_is_one_line(
    postgres: PostgresServer,
    error_line: ErrorLine,
    command: tuple[str, ...],
    change: Callable[[str], str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FDRNN_STORAGE", change(postgres.url("postgres")))
    line = error_line(*command)
    assert expected in line
    assert "check --storage or FDRNN_STORAGE" in line
    assert postgres.secret not in line


def test_a_server_that_stands_still_or_starts_is_one_line(
    error_line: ErrorLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PostgresServer() as server:
        monkeypatch.setenv("FDRNN_STORAGE", server.url("postgres"))
        assert "is not a store" in error_line("report")
        server.stop()
        line = error_line("report")
        assert "Connection refused" in line
        assert server.secret not in line
        # A standby that serves nobody answers as a server does that is starting up.
        (server.data / "standby.signal").touch()
        server.configure(hot_standby="off")
        server.start(wait=False)
        line = _after_refusals(error_line)
        assert "the database system is" in line
        assert server.secret not in line


def _after_refusals(error_line: ErrorLine) -> str:
    until = time.monotonic() + LIMIT_S
    while "Connection refused" in (line := error_line("report")):
        assert time.monotonic() < until
        time.sleep(0.05)
    return line


def test_a_run_shows_its_password_to_nobody(
    start: Start, study_file: Path, postgres: PostgresServer, url: str
) -> None:
    command = ("run", study_file, "--workers", "2", "--epochs", "5")
    process = start(*command, FDRNN_STORAGE=url, FAKE_EPOCH_S="0.1", FAKE_LOG_LEVEL="DEBUG")
    lines: set[str] = set()
    with ThreadPoolExecutor(1) as reader:
        # Read all the while, or a full pipe would stop the process.
        output = reader.submit(process.communicate, timeout=LIMIT_S)
        while not output.done():
            lines.update(_command_lines(process.pid))
            time.sleep(0.05)
    out, log = output.result()
    assert process.returncode == 0, log[-2000:]
    for part in ("fake_fdrnn", "spawn_main"):
        assert any(part in line for line in lines)
    assert postgres.secret not in "".join(lines)
    # What the libraries log at this level is there, and none of it shows the password.
    for library in ("sqlalchemy.pool", "sqlalchemy.engine"):
        assert f"DEBUG:{library}" in log or f"INFO:{library}" in log
    assert postgres.secret not in out + log
    assert open_store(url).study("mine").trials()["state"].tolist() == ["finished"] * 3


def _command_lines(group: int) -> Iterator[str]:
    """The command lines of a process group, as every user of the machine can read them."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.getpgid(int(folder.name)) == group:
                yield (folder / "cmdline").read_text(errors="replace")
        except (OSError, ValueError):
            continue


def test_a_program_error_is_stored_without_the_password(
    start: Start, fdrnn: Run, study_file: Path, postgres: PostgresServer, url: str
) -> None:
    process = start("run", study_file, "--workers", "1", FDRNN_STORAGE=url, FAKE_FAIL="1")
    out, log = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1, log
    status = fdrnn("study", "status", "mine", env={"FDRNN_STORAGE": url})
    assert "ZeroDivisionError" in status.stdout
    assert postgres.secret not in out + log + status.output


def test_a_dashboard_outlives_an_outage_and_tells_it_once(
    fdrnn: Run, start: Start, study_file: Path, address: Path
) -> None:
    with PostgresServer() as server:
        address.write_text(server.url(server.create_database()))
        storage = ["--storage", f"@{address}"]
        assert fdrnn("study", "create", study_file, *storage).exit_code == 0
        dashboard = start("dashboard", "--port", "0", *storage)
        assert dashboard.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", dashboard.stderr.readline())
        assert found is not None
        api = f"{found[0]}api/studies"

        def ask() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(api, timeout=LIMIT_S) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        assert ask()[0] == 200
        server.stop("fast")
        answers = [ask(), ask()]
        assert [status for status, _ in answers] == [503, 503]
        assert "check --storage" in json.loads(answers[0][1])["reason"]
        server.start()
        assert ask()[0] == 200
        os.killpg(dashboard.pid, signal.SIGINT)
        _, log = dashboard.communicate(timeout=LIMIT_S)
        assert len(log.splitlines()) == 1
        assert log.startswith("fdrnn: store postgresql")
        assert server.secret not in log + answers[0][1]
