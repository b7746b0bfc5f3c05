"""A study of small real trials, run by the command line, and what an undisturbed one yields."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fdrnn.datasets import Dataset, write_npz
from fdrnn.search import StoreError, StudyProgress, open_store

LEASE_S = 4.0
CHECKPOINT_S = 1.0
_NAME = "small"
# Who trained it and when is all that may differ from an undisturbed study.
_EXEMPT = ["seconds", "worker", "host"]
_DEFINITION = """\
data = "noise.npz"
variant = "fast_dropout"
space = "table2"
n_trials = {n_trials}
seed = 11

[training]
batch_size = 4
chunk_length = 40
max_epochs = {n_epochs}
patience = {n_epochs}
"""


def write_noise(folder: Path) -> None:
    """Write a data set of noise, ``noise.npz``."""
    generator = np.random.default_rng(5)

    def split(n: int) -> tuple[Any, ...]:
        lengths = generator.integers(20, 90, n)
        return tuple(generator.integers(0, 2, (length, 12), dtype=np.uint8) for length in lengths)

    noise = Dataset(name="noise", title="Noise", train=split(14), valid=split(5), test=split(5))
    write_npz(folder / "noise.npz", noise)


def write_study(folder: Path, n_trials: int, n_epochs: int) -> Path:
    """Write the data of noise and the definition; return the latter's path."""
    write_noise(folder)
    path = folder / f"{_NAME}.toml"
    path.write_text(_DEFINITION.format(n_trials=n_trials, n_epochs=n_epochs))
    return path


def fdrnn(*arguments: object) -> list[str]:
    """Return the command line; the store's URL goes by the environment."""
    return [sys.executable, "-m", "fdrnn.studies.cli", *map(str, arguments)]


@dataclass
class Workers:
    """A command ``fdrnn worker`` in a separate process group, started again if it ends.

    Attributes
    ----------
    url
        The store.
    n_workers
        Of the command.
    environment
        Variables beside the store's.
    prefix
        A command that calls the command.
    n_starts
        How often the command was started.
    log
        What it wrote.
    """

    url: str
    n_workers: int
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    n_starts: int = 0
    log: Path = field(default_factory=lambda: Path(tempfile.mkstemp(prefix="fdrnn-log-")[1]))
    command: subprocess.Popen[bytes] | None = None

    def keep_running(self) -> None:
        """Start the command unless it runs."""
        if self.command is None or self.command.poll() is not None:
            options = ("--lease", LEASE_S, "--checkpoint-every", CHECKPOINT_S)
            arguments = ("worker", _NAME, "--workers", self.n_workers, *options)
            self.n_starts += 1
            with self.log.open("ab") as log:
                self.command = subprocess.Popen(
                    [*self.prefix, *fdrnn(*arguments)],
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "FDRNN_STORAGE": self.url, **self.environment},
                    start_new_session=True,
                )

    def pids(self) -> list[int]:
        """Return the worker processes of the command."""
        assert self.command is not None
        return spawned(self.command.pid)

    def wait(self, limit_s: float) -> int:
        """Wait for the end of the command and return its exit code."""
        assert self.command is not None
        return self.command.wait(limit_s)

    def close(self) -> None:
        """Kill what is left."""
        if self.command is not None and self.command.poll() is None:
            os.killpg(self.command.pid, signal.SIGKILL)
            self.command.wait()
        self.log.unlink()


@contextmanager
def workers(
    url: str,
    n_workers: int,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[Workers]:
    """Run workers until the end of the context."""
    made = Workers(url, n_workers, environment or {}, prefix)
    try:
        made.keep_running()
        yield made
    finally:
        made.close()


def spawned(pid: int) -> list[int]:
    """Return the processes that a process has started by multiprocessing."""
    return [child for child in _children(pid) if b"spawn_main" in _cmdline(child)]


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def create(url: str, definition: Path) -> None:
    """Create the study by the command line."""
    done = subprocess.run(
        fdrnn("study", "create", definition),
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"FDRNN_STORAGE": url},
    )
    if done.returncode != 0:
        raise RuntimeError(f"the study could not be created: {done.stderr}")


def progress(url: str) -> StudyProgress | None:
    """Return where the study stands, None while the store is away."""
    try:
        store = open_store(url)
    except StoreError:
        return None
    try:
        return store.study(_NAME).progress()
    except StoreError:
        return None
    finally:
        store.close()


def is_finished(url: str) -> bool:
    """Tell whether nothing waits and nothing runs."""
    now = progress(url)
    return now is not None and not now.waiting + now.running


def wait_until_finished(url: str, running: Sequence[Workers], limit_s: float) -> None:
    """Keep commands running until nothing is left to train."""
    until = time.monotonic() + limit_s
    while not is_finished(url):
        if time.monotonic() > until:
            raise TimeoutError(f"the study did not end: {progress(url)}")
        for one in running:
            one.keep_running()
        time.sleep(0.5)


@dataclass(eq=False)
class Numbers:
    """All that a study has computed."""

    trials: pd.DataFrame
    curves: pd.DataFrame
    test_sequences: pd.DataFrame
    parameters: list[dict[str, Any]]

    @classmethod
    def of(cls, url: str) -> Numbers:
        """Read them from a store."""
        store = open_store(url)
        try:
            table = store.study(_NAME).trials()
            return cls(
                table.drop(columns=_EXEMPT),
                store.study(_NAME).curves().drop(columns="seconds"),
                store.study(_NAME).test_sequences(),
                [store.study(_NAME).parameters(index) for index in table["config_index"]],
            )
        finally:
            store.close()

    def differences(self, other: Numbers) -> list[str]:
        """Say in what the other's numbers are not these, to the last bit."""
        found = []
        for name in ("trials", "curves", "test_sequences"):
            try:
                pd.testing.assert_frame_equal(
                    getattr(self, name), getattr(other, name), check_exact=True
                )
            except AssertionError as error:
                found.append(f"{name}: {' '.join(str(error).split())}")
        for index, (one, two) in enumerate(zip(self.parameters, other.parameters, strict=True)):
            if one.keys() != two.keys() or any(
                not np.array_equal(one[name], two[name], equal_nan=True) for name in one
            ):
                found.append(f"parameters of trial {index}")
        return found


def undisturbed(definition: Path, n_workers: int, limit_s: float) -> Numbers:
    """Run the study from its beginning to its end and return its numbers."""
    with tempfile.TemporaryDirectory(prefix="fdrnn-chaos-") as folder:
        url = f"sqlite:///{Path(folder) / 'store.sqlite3'}"
        create(url, definition)
        with workers(url, n_workers) as running:
            code = running.wait(limit_s)
            if code != 0:
                raise RuntimeError(
                    f"the undisturbed study ended with {code}: {running.log.read_text()}"
                )
        return Numbers.of(url)
