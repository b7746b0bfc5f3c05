"""``--dask``: workers that a real Dask scheduler starts; their trainers are made up."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from fdrnn.search import WorkerSettings, open_store
from fdrnn.studies.cli.engine import order_of
from postgres import PostgresServer

pytest.importorskip("distributed")

HERE = Path(__file__).parent
LIMIT_S = 240

ErrorLine = Callable[..., str]
Run = Callable[..., Result]
Start = Callable[..., subprocess.Popen[str]]


class Cluster:
    """A scheduler and workers of one thread, each a process without a nanny."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.folder = folder
        (folder / "preload.py").write_text(
            "import sys\nfrom fdrnn.studies.cli import engine\n"
            f"engine.COMMAND = (sys.executable, {str(HERE / 'fake_fdrnn.py')!r})\n"
        )
        self.processes = [self.start("scheduler", "--host", "127.0.0.1", "--port", str(self.port))]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        paths = [str(HERE.parent / "search"), os.environ.get("PYTHONPATH", "")]
        return subprocess.Popen(
            [sys.executable, Path(sys.executable).with_name("dask"), *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdout=(self.folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
        )

    def add_worker(self) -> subprocess.Popen[bytes]:
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", "preload.py")
        self.processes.append(self.start("worker", self.address, *options))
        return self.processes[-1]

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


def fdrnn_workers() -> set[int]:
    """The processes of this machine that `--engine` has started for this test."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
            cwd = (entry.parent / "cwd").readlink()
        except OSError:
            continue
        if b"--engine" in words and cwd == Path.cwd():
            found.add(int(entry.parent.name))
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_study_is_trained_through_lost_workers_and_a_new_scheduler(
    cluster: Cluster, fdrnn: Run, start: Start, study_file: Path
) -> None:
    study_file.write_text(study_file.read_text().replace("n_trials = 3", "n_trials = 6"))
    assert fdrnn("study", "create", study_file).exit_code == 0
    study = open_store("fdrnn.sqlite3").study("mine")
    first = cluster.add_worker()
    options = ("--dask", cluster.address, "--workers", "2", "--lease", "5")
    run = start("run", study_file, *options, "--checkpoint-every", "0", FAKE_EPOCH_S="0.5")

    def finished(n_trials: int) -> bool:
        assert run.poll() in {None, 0}
        return study.progress().finished >= n_trials

    wait_until(lambda: finished(1))
    first.kill()
    cluster.add_worker()
    wait_until(lambda: finished(2))
    scheduler = cluster.processes[0]
    scheduler.kill()
    scheduler.wait()
    arguments = ("scheduler", "--host", "127.0.0.1", "--port", str(cluster.port))
    cluster.processes.append(cluster.start(*arguments))
    cluster.add_worker()
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, log
    wait_until(lambda: not fdrnn_workers())
    # The numbers are those of one undisturbed process.
    undisturbed = start("run", study_file, "--workers", "1", "--storage", "other.sqlite3")
    undisturbed.communicate(timeout=LIMIT_S)
    one, other = (open_store(name).study("mine") for name in ("fdrnn.sqlite3", "other.sqlite3"))
    assert len(other.curves()) == 6 * 4
    assert one.curves().equals(other.curves())
    assert one.test_sequences().equals(other.test_sequences())


def test_ctrl_c_stops_the_workers_with_checkpoints(
    cluster: Cluster, start: Start, study_file: Path
) -> None:
    cluster.add_worker()
    options = ("--dask", cluster.address, "--workers", "2", "--epochs", "1000")
    run = start("run", study_file, *options, FAKE_EPOCH_S="0.1")
    assert run.stderr is not None
    while "epoch" not in (line := run.stderr.readline()):
        assert line
    os.killpg(run.pid, signal.SIGINT)
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 130, log
    wait_until(lambda: not fdrnn_workers())
    progress = open_store("fdrnn.sqlite3").study("mine").progress()
    assert (progress.running, progress.waiting) == (0, 3)
    assert "Traceback" not in log


def test_a_password_is_in_no_order(postgres: PostgresServer) -> None:
    name = postgres.create_database()
    order = order_of("mine", postgres.url(name), None, WorkerSettings())
    assert order.store_url is None
    assert postgres.secret not in repr(order)
    assert order_of("mine", "sqlite:////x/y.sqlite3", None, WorkerSettings()).store_url


def test_bad_input(error_line: ErrorLine, study_file: Path) -> None:
    line = error_line("run", study_file, "--dask", "tcp://127.0.0.1:1", "--workers", "0")
    assert "--workers must be at least 1, got 0" in line
    line = error_line("run", study_file, "--dask", "jobqueue:slum")
    assert "must name one of slurm, pbs" in line
    line = error_line("run", study_file, "--dask", "jobqueue:slurm")
    assert "needs the number of jobs: add --workers or --adapt" in line
    line = error_line("run", study_file, "--dask", "jobqueue:slurm", "--adapt", "3")
    assert "--adapt must be MIN,MAX, such as 2,32, got '3'" in line
    assert "add --dask" in error_line("run", study_file, "--adapt", "1,2")
    line = error_line("run", study_file, "--dask", "tcp://127.0.0.1:1", "--adapt", "1,2")
    assert "--adapt needs a cluster that is made" in line


def test_an_address_where_nobody_listens(
    fdrnn: Run, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fdrnn.studies.cli.engine._CONNECT_S", 1)
    result = fdrnn("run", study_file, "--dask", "tcp://127.0.0.1:1", "--workers", "2")
    assert result.exit_code == 2
    line = result.stderr.splitlines()[-1]
    assert "--dask: no scheduler answers at 'tcp://127.0.0.1:1'" in line
    assert "check the address, or start one by `dask scheduler`" in line
