from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa

from fdrnn.search import Store, open_store
from fdrnn.search.mirror.optuna_tables import upgrade_mirror_tables
from fdrnn.search.store import tables
from postgres import PostgresServer

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    """The module fake_study, which the scripts of this folder import by themselves."""
    spec = spec_from_file_location("fake_study", HERE / "fake_study.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def initialize(storage: str) -> None:
    """Create a store, and Optuna's tables so that not every test does."""
    store = open_store(storage, create=True)
    upgrade_mirror_tables(store.database)
    store.close()


@pytest.fixture(scope="session")
def initialized_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an initialized store, to be copied."""
    path = tmp_path_factory.mktemp("store") / "store.sqlite3"
    initialize(str(path))
    return path


@pytest.fixture(scope="session")
def initialized_database(postgres: PostgresServer) -> str:
    """The name of a database with an initialized store, to be copied."""
    name = postgres.create_database()
    initialize(postgres.url(name))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of the test's `store`; of an empty database in a test without one."""
    of_store = "store" in request.fixturenames
    if request.param == "sqlite":
        if of_store:
            shutil.copy(request.getfixturevalue("initialized_file"), tmp_path)
        yield f"sqlite:///{tmp_path / 'store.sqlite3'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    template = [request.getfixturevalue("initialized_database")] if of_store else []
    database = server.create_database(*template)
    yield server.url(database)
    server.drop_database(database)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An initialized store on each kind of database."""
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def damage(store: Store) -> Callable[[str], None]:
    """Execute a statement that the rules of the tables forbid."""

    def execute(statement: str) -> None:
        with store.database.write(foreign_keys=False) as connection:
            if store.database.file is not None:
                connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            else:
                inspector = sa.inspect(connection)
                for table in tables.metadata.tables:
                    for rule in inspector.get_check_constraints(table):
                        connection.exec_driver_sql(
                            f'ALTER TABLE {table} DROP CONSTRAINT "{rule["name"]}"'
                        )
            connection.exec_driver_sql(statement)

    return execute


@pytest.fixture
def other(initialized_file: Path, tmp_path: Path) -> Store:
    """A store beside `store`."""
    return open_store(str(shutil.copy(initialized_file, tmp_path / "other.sqlite3")))


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start scripts of this folder; none outlives its test."""
    started: list[subprocess.Popen[str]] = []

    def start_script(name: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(HERE / name), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start_script
    for process in started:
        process.kill()
        process.communicate()
