from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from fdrnn.datasets import Dataset, cache_directory, write_npz
from fdrnn.studies.cli.app import app

HERE = Path(__file__).parent
CACHE = cache_directory()
"""The user's: what is compiled there and Matplotlib's fonts are taken from it."""


@pytest.fixture(scope="session")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of figures for all of these tests."""
    return tmp_path_factory.mktemp("figures", numbered=False)


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, figures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's store and data out of the tests, and of the cache what is quickly made."""
    monkeypatch.chdir(tmp_path)
    for name in ("FDRNN_STORAGE", "FDRNN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    cache = tmp_path / "cache"
    cache.mkdir()
    for folder in (CACHE / "compile", CACHE / "matplotlib", figures):
        folder.mkdir(parents=True, exist_ok=True)
        (cache / folder.name).symlink_to(folder)
    monkeypatch.setenv("FDRNN_CACHE_DIR", str(cache))


@pytest.fixture
def _sigint_ignored() -> Iterator[None]:
    """Ignore SIGINT, as a script's background does; processes started meanwhile inherit it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def fdrnn() -> Callable[..., Result]:
    """Run the command line in this process."""

    def run(*arguments: object, env: dict[str, str] | None = None) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, words, env=env, prog_name="fdrnn")

    return run


@pytest.fixture
def error_line(fdrnn: Callable[..., Result]) -> Callable[..., str]:
    """Run a command that must fail with exit code 2 and one line, and return the line."""

    def run(*arguments: object) -> str:
        result = fdrnn(*arguments)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("fdrnn: error: ")
        return line

    return run


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A user's data file: two sequences a split, three columns."""
    frames = np.random.default_rng(0).integers(0, 2, (6, 5, 3), dtype=np.uint8)
    dataset = Dataset(
        name="noise",
        title="Noise",
        train=tuple(frames[:2]),
        valid=tuple(frames[2:4]),
        test=tuple(frames[4:]),
    )
    path = tmp_path / "noise.npz"
    write_npz(path, dataset)
    return path


@pytest.fixture
def study_file(tmp_path: Path, noise: Path) -> Path:
    """A user's study of `noise`: three trials of four epochs."""
    path = tmp_path / "mine.toml"
    path.write_text(
        f"""\
data = "{noise}"
variant = "fast_dropout"
space = "table2"
n_trials = 3
seed = 7

[training]
max_epochs = 4
"""
    )
    return path


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``fdrnn`` with made-up trainers as a process group; none outlives its test."""
    started: list[subprocess.Popen[str]] = []

    def start_fdrnn(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        # fake_study is a module of the search's tests.
        paths = [str(HERE.parent / "search"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        process = subprocess.Popen(
            [sys.executable, str(HERE / "fake_fdrnn.py"), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | environment,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start_fdrnn
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
