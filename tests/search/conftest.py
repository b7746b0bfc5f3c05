from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from fdrnn.search import Store, open_store

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


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.sqlite3'}"


@pytest.fixture(scope="session")
def initialized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an initialized store, to be copied."""
    path = tmp_path_factory.mktemp("store") / "store.sqlite3"
    open_store(str(path), create=True).close()
    return path


@pytest.fixture
def store(url: str, initialized: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(initialized, tmp_path)
    opened = open_store(url)
    yield opened
    opened.close()


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
