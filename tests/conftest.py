"""Fixtures of every package's tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fdrnn.datasets import BENCHMARKS
from postgres import PostgresServer, PostgresUnavailableError

# In the background of a script SIGINT is ignored, and every child would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# nohup ignores SIGHUP likewise. A handler that does nothing is not inherited.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_xdist_auto_num_workers() -> int:
    """Return the processes of `-n auto`: three for two cores, as many tests wait for others."""
    return max(len(os.sched_getaffinity(0)) * 3 // 2, 1)


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """Folder with the four benchmark .mat files; the test is skipped where there is none."""
    beside_checkout = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FDRNN_DATA_DIR") or beside_checkout)
    missing = [b.mat.name for b in BENCHMARKS.values() if not (folder / b.mat.name).is_file()]
    if missing:
        pytest.skip(f"no {', '.join(missing)} in {folder}; name their folder in FDRNN_DATA_DIR")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server; the test is skipped where there are no programs for one."""
    try:
        server = PostgresServer()
    except PostgresUnavailableError as error:
        pytest.skip(str(error))
    with server:
        yield server
