"""``--dask``: workers that a real Dask scheduler starts; their trainers are made up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from typer.testing import Result

from dask_cluster import PRELOAD, DaskCluster
from fdrnn.search import EventKind, WorkerEvent, WorkerSettings, open_store
from fdrnn.studies.cli import engine_task
from fdrnn.studies.cli.engine import _Run
from fdrnn.studies.cli.engine_cluster import _lifetime
from fdrnn.studies.cli.engine_task import Order, order_of
from fdrnn.studies.errors import OptionError
from postgres import PostgresServer, PostgresUnavailableError
from waiting import wait_until

distributed: Any = pytest.importorskip("distributed")

HERE = Path(__file__).parent
LIMIT_S = 240
FAKE_FDRNN = f"""\
import sys
from fdrnn.studies.cli import engine_task
engine_task.COMMAND = (sys.executable, {str(HERE / "fake_fdrnn.py")!r})
"""

ErrorLine = Callable[..., str]
Run = Callable[..., Result]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[Callable[..., DaskCluster]]:
    """Start a cluster whose processes have variables, and run Python lines at their start."""
    made = []

    def make(preload: str = "", **environment: str) -> DaskCluster:
        (tmp_path / PRELOAD).write_text(FAKE_FDRNN + preload)
        paths = [str(HERE.parent / "search"), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        made.append(DaskCluster(tmp_path, environment))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def cluster(make_cluster: Callable[..., DaskCluster]) -> DaskCluster:
    """A cluster without workers."""
    return make_cluster(FAKE_EPOCH_S="0.2")


def fdrnn_workers() -> dict[int, str]:
    """The command lines of the processes that `--engine` has started for this test."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
            cwd = (entry.parent / "cwd").readlink()
        except OSError:
            continue
        if b"--engine" in words and cwd == Path.cwd():
            found[int(entry.parent.name)] = b" ".join(words).decode()
    return found


def wait_for_an_epoch(run: subprocess.Popen[str]) -> None:
    """Read what a run prints until a trial has trained an epoch."""
    assert run.stderr is not None
    while "epoch" not in (line := run.stderr.readline()):
        assert line


def test_a_study_is_trained_through_lost_workers_and_a_new_scheduler(
    cluster: DaskCluster, fdrnn: Run, start: Start, study_file: Path
) -> None:
    study_file.write_text(study_file.read_text().replace("n_trials = 3", "n_trials = 6"))
    assert fdrnn("study", "create", study_file).exit_code == 0
    study = open_store("fdrnn.sqlite3").study("mine")
    first = cluster.add_worker()
    options = ("--dask", cluster.address, "--workers", "2", "--lease", "5")
    run = start("run", study_file, *options, "--checkpoint-every", "0")

    def finished(n_trials: int) -> bool:
        assert run.poll() in {None, 0}
        return study.progress().finished >= n_trials

    wait_until(lambda: finished(1))
    first.kill()
    cluster.add_worker()
    wait_until(lambda: finished(2))
    cluster.scheduler.kill()
    cluster.scheduler.wait()
    cluster.start_scheduler()
    cluster.add_worker()
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, log
    assert "; connecting again" in log
    assert "Traceback" not in log
    wait_until(lambda: not fdrnn_workers())
    # The numbers are those of one undisturbed process.
    undisturbed = start("run", study_file, "--workers", "1", "--storage", "other.sqlite3")
    undisturbed.communicate(timeout=LIMIT_S)
    one, other = (open_store(name).study("mine") for name in ("fdrnn.sqlite3", "other.sqlite3"))
    assert len(other.curves()) == 6 * 4
    assert one.curves().equals(other.curves())
    assert one.test_sequences().equals(other.test_sequences())


def test_of_a_comparison_the_requested_studies_alone_are_trained(
    cluster: DaskCluster, fdrnn: Run, start: Start, study_file: Path
) -> None:
    text = study_file.read_text().replace('variant = "fast_dropout"\nspace = "table2"', "")
    study_file.write_text('variants = ["fast_dropout", "plain"]\n' + text)
    assert fdrnn("study", "create", study_file).exit_code == 0
    study_file.write_text('variants = ["fast_dropout", "authors_cell"]\n' + text)
    cluster.add_worker()
    run = start("run", study_file, "--dask", cluster.address, "--workers", "1")
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, log
    store = open_store("fdrnn.sqlite3")
    n_finished = {study.name: study.progress().finished for study in store.studies(["mine"])}
    assert n_finished == {"mine.fast_dropout": 3, "mine.plain": 0, "mine.authors_cell": 3}


def test_ctrl_c_stops_the_workers_with_checkpoints(
    cluster: DaskCluster, start: Start, study_file: Path
) -> None:
    cluster.add_worker()
    options = ("--dask", cluster.address, "--workers", "2", "--epochs", "1000")
    run = start("run", study_file, *options)
    wait_for_an_epoch(run)
    os.killpg(run.pid, signal.SIGINT)
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 130, log
    wait_until(lambda: not fdrnn_workers())
    progress = open_store("fdrnn.sqlite3").study("mine").progress()
    assert (progress.running, progress.waiting) == (0, 3)
    assert "Traceback" not in log


def test_ctrl_c_does_not_wait_for_a_worker_of_dask_that_hangs(
    cluster: DaskCluster, start: Start, study_file: Path
) -> None:
    cluster.add_worker()
    options = ("--dask", cluster.address, "--workers", "1", "--epochs", "1000")
    run = start("run", study_file, *options)
    wait_for_an_epoch(run)
    hanging = cluster.add_worker()
    with distributed.Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2)
    hanging.send_signal(signal.SIGSTOP)
    try:
        os.killpg(run.pid, signal.SIGINT)
        _, log = run.communicate(timeout=60)
    finally:
        hanging.send_signal(signal.SIGCONT)
    assert run.returncode == 130, log
    wait_until(lambda: not fdrnn_workers())
    assert "Traceback" not in log


def test_a_worker_of_dask_that_leaves_releases_its_trial(
    cluster: DaskCluster, start: Start, study_file: Path
) -> None:
    leaving = cluster.add_worker()
    options = ("--dask", cluster.address, "--workers", "1", "--epochs", "1000")
    run = start("run", study_file, *options)
    wait_for_an_epoch(run)
    leaving.terminate()
    leaving.wait(LIMIT_S)
    study = open_store("fdrnn.sqlite3").study("mine")
    # Within less than the lease of a minute, and with what was trained.
    wait_until(lambda: study.progress().running == 0)
    assert study.checkpoint(0) is not None
    os.killpg(run.pid, signal.SIGINT)
    run.communicate(timeout=LIMIT_S)


def test_an_own_data_file_is_sent_to_workers_that_come_later(
    cluster: DaskCluster, start: Start, study_file: Path, noise: Path
) -> None:
    run = start("run", study_file, "--dask", cluster.address, "--workers", "1")
    with distributed.Client(cluster.address, set_as_default=False) as client:

        def is_sent() -> bool:
            assert run.poll() in {None, 0}
            sent = client.run_on_scheduler(lambda dask_scheduler: [*dask_scheduler.worker_plugins])
            return any(name.startswith("fdrnn-") for name in sent)

        wait_until(is_sent)
        # As on another machine.
        noise.unlink()
        cluster.add_worker()
        _, log = run.communicate(timeout=LIMIT_S)
        assert run.returncode == 0, log
        assert not is_sent()


def refused(run: subprocess.Popen[str]) -> str:
    """Return the last line of a command that must end with exit code 2, without a traceback."""
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 2, log
    assert "Traceback" not in log
    line = log.splitlines()[-1]
    assert line.startswith("fdrnn: error: ")
    return line


def test_workers_without_the_data_are_refused_before_they_claim(
    cluster: DaskCluster, fdrnn: Run, start: Start, study_file: Path, noise: Path
) -> None:
    assert fdrnn("study", "create", study_file).exit_code == 0
    noise.unlink()
    cluster.add_worker()
    run = start("worker", "mine", "--dask", cluster.address, "--workers", "2")
    line = refused(run)
    assert "workers ended with 3 of 3 trials of study 'mine' left: worker on " in line
    assert f"there is no data file {noise}" in line
    trials = open_store("fdrnn.sqlite3").study("mine").trials()
    assert trials["state"].tolist() == ["waiting"] * 3


@pytest.mark.parametrize(
    ("preload", "words"),
    [
        ("engine_task.code_version = lambda: '0.0.1'", "fdrnn 0.0.1 is installed on"),
        (
            "sys.modules['fdrnn.studies.cli.engine_task'] = None",
            "install fdrnn with Dask's workers",
        ),
    ],
)
def test_workers_with_another_fdrnn_or_none_are_refused(
    make_cluster: Callable[..., DaskCluster],
    start: Start,
    study_file: Path,
    preload: str,
    words: str,
) -> None:
    cluster = make_cluster(preload)
    cluster.add_worker()
    assert words in refused(start("run", study_file, "--dask", cluster.address))


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> Order:
    """The order of a task, which runs in this process instead of a worker of Dask."""
    worker = SimpleNamespace(status=SimpleNamespace(name="running"), log_event=lambda *event: None)
    monkeypatch.setattr(distributed, "get_worker", lambda: worker)
    return order_of(("mine",), "bach", "sqlite:///fdrnn.sqlite3", None, WorkerSettings())


def test_a_worker_that_cannot_start_is_no_end_of_the_study(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = (sys.executable, "-c", "import no_such_package")
    monkeypatch.setattr(engine_task, "COMMAND", crash)
    code, line = engine_task.train(order)
    assert code == engine_task.MISTAKE
    assert line.endswith("No module named 'no_such_package'")


def test_a_stop_reaches_a_worker_that_is_being_started(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Popen(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            engine_task.send_signal(order.run, signal.SIGTERM)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(engine_task.subprocess, "Popen", Popen)
    monkeypatch.setattr(engine_task, "COMMAND", ("sh", "-c", "exec sleep 60"))
    code, _ = engine_task.train(order)
    assert code == -signal.SIGTERM


def test_a_scheduler_of_another_dask_is_refused(
    make_cluster: Callable[..., DaskCluster], start: Start, study_file: Path
) -> None:
    cluster = make_cluster(
        "from distributed import versions\nversions._version_cached = lambda name: '2020.1.0'\n"
    )
    run = start("run", study_file, "--dask", cluster.address, "--workers", "1")
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 2, log
    *before, line = log.splitlines()
    assert "--dask: the scheduler has distributed 2020.1.0, this environment" in line
    assert all("study mine: " in one or "starting workers" in one for one in before)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that the test may stop."""
    try:
        made = PostgresServer()
    except PostgresUnavailableError as error:
        pytest.skip(str(error))
    with made:
        yield made


def test_a_password_is_nowhere_to_be_read(
    make_cluster: Callable[..., DaskCluster],
    start: Start,
    study_file: Path,
    server: PostgresServer,
) -> None:
    url = server.url(server.create_database())
    cluster = make_cluster(
        FDRNN_STORAGE=url, FAKE_EPOCH_S="0.05", DASK_LOGGING__DISTRIBUTED="debug"
    )
    cluster.add_worker()
    options = ("--dask", cluster.address, "--workers", "2", "--epochs", "1000")
    run = start("run", study_file, *options, FDRNN_STORAGE=url)
    wait_for_an_epoch(run)
    seen = [*fdrnn_workers().values(), Path(f"/proc/{run.pid}/cmdline").read_text()]
    pages = f"http://127.0.0.1:{cluster.dashboard_port}/"
    with distributed.Client(cluster.address, set_as_default=False) as client:
        (worker,) = client.scheduler_info()["workers"]
        (key, *_) = client.processing()[worker]
        seen += [
            urllib.request.urlopen(pages + page, timeout=LIMIT_S).read().decode()
            for page in (
                "info/main/workers.html",
                "info/main/logs.html",
                "info/main/exceptions.html",
                f"info/worker/{quote(worker, safe='')}.html",
                f"info/logs/{quote(worker, safe='')}.html",
                f"info/call-stacks/{quote(worker, safe='')}.html",
                f"info/task/{quote(key, safe='')}.html",
                "json/counts.json",
                "json/identity.json",
            )
        ]
        seen.append(repr(client.sync(client.scheduler.get_task_stream)))
        seen.append(repr(client.get_events()))
        seen.append(repr(client.get_scheduler_logs()) + repr(client.get_worker_logs()))
        client.dump_cluster_state("state", format="yaml")
        seen.append(Path("state.yaml").read_text())
        # What the scheduler keeps of each task, its pickled arguments with it.
        tasks = client.run_on_scheduler(
            lambda dask_scheduler: {
                str(key): repr(task.run_spec) + repr(getattr(task.run_spec, "data", ""))
                for key, task in dask_scheduler.tasks.items()
            }
        )
        assert key in tasks
        seen += tasks.values()
        server.stop("immediate")
        # An outage, with its errors, then the end.
        assert run.stderr is not None
        while "is unavailable" not in (line := run.stderr.readline()):
            seen.append(line)
        server.start()
        os.killpg(run.pid, signal.SIGINT)
        out, log = run.communicate(timeout=LIMIT_S)
        seen += [line, out, log, repr(client.get_events())]
    seen.append(cluster.log.read_text())
    text = "\n".join(seen)
    for part in ("--engine", "fdrnn-", "train-", "distributed.worker"):
        assert part in text
    assert server.secret not in text


def test_a_password_is_in_no_order(postgres: PostgresServer) -> None:
    url = postgres.url("fdrnn")
    order = order_of(("mine",), "bach", url, None, WorkerSettings())
    assert order.store_url is None
    assert postgres.secret not in repr(order)
    assert order_of(("mine",), "bach", "sqlite:////x/y.sqlite3", None, WorkerSettings()).store_url


def test_a_folder_of_data_is_the_same_in_every_working_directory(tmp_path: Path) -> None:
    order = order_of(("mine",), "bach", "fdrnn.sqlite3", Path("music"), WorkerSettings())
    assert order.data_dir == tmp_path / "music"


def test_a_lost_worker_is_shown_when_another_claims_its_trial() -> None:
    shown: list[WorkerEvent] = []
    order = order_of(("mine",), "bach", "sqlite:////x/y.sqlite3", None, WorkerSettings())
    run = _Run(order, 2, SimpleNamespace(show=shown.append), None)  # type: ignore[arg-type]
    for worker, index in (("a", 0), ("b", 1), ("a", 2), ("c", 0), ("c", 2), ("b", 2)):
        event = WorkerEvent(worker=worker, kind=EventKind.CLAIMED, config_index=index)
        run.lines.put(json.dumps(asdict(event)))
    run.show_events()
    stopped = [one.worker for one in shown if one.kind is EventKind.STOPPED]
    assert stopped == ["a", "c"]


def test_why_workers_end_that_are_started_again_is_shown_once() -> None:
    shown: list[WorkerEvent] = []
    order = order_of(("mine",), "bach", "sqlite:////x/y.sqlite3", None, WorkerSettings())
    run = _Run(order, 2, SimpleNamespace(show=shown.append), None)  # type: ignore[arg-type]

    def end(code: int, line: str) -> int | None:
        return run.exit_code(SimpleNamespace(status="finished", result=lambda: (code, line)))

    refused_twice = [end(75, "store x: connection refused") for _ in range(2)]
    assert [*refused_twice, end(-9, "exit code -9")] == [75, 75, -9]
    run.stop_requests = 1
    assert end(130, "stopped") == 130
    assert [one.text for one in shown] == [
        "store x: connection refused; starting again",
        "exit code -9; starting again",
    ]


def test_workers_without_the_address_of_the_store_are_refused(
    cluster: DaskCluster, start: Start, study_file: Path, postgres: PostgresServer
) -> None:
    url = postgres.url(postgres.create_database())
    cluster.add_worker()
    run = start("run", study_file, "--dask", cluster.address, FDRNN_STORAGE=url)
    line = refused(run)
    assert "FDRNN_STORAGE is not set, and a store's URL with a password is not sent" in line
    assert postgres.secret not in line


def test_bad_input(
    error_line: ErrorLine, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = error_line("run", study_file, "--dask", "tcp://127.0.0.1:1", "--workers", "0")
    assert "--workers must be at least 1, got 0" in line
    line = error_line("run", study_file, "--dask", "jobqueue:slum")
    assert "must name one of slurm, pbs" in line
    line = error_line("run", study_file, "--dask", "jobqueue:slurm", "--adapt", "3")
    assert "--adapt must be MIN,MAX, such as 2,32, got '3'" in line
    assert "add --dask" in error_line("run", study_file, "--adapt", "1,2")
    line = error_line("run", study_file, "--dask", "tcp://127.0.0.1:1", "--adapt", "1,2")
    assert "--adapt needs a cluster that is made" in line
    for found, words in (
        (None, f"python3.11 -m pip --python {sys.executable} install '.[dask]'` installs it"),
        (object(), "add --workers or --adapt"),
    ):
        monkeypatch.setattr(
            "fdrnn.studies.cli.engine_cluster.find_spec", lambda name, found=found: found
        )
        assert words in error_line("run", study_file, "--dask", "jobqueue:slurm")


@pytest.mark.parametrize(
    ("configuration", "script", "words"),
    [
        ("cores: 1, memory: 1GB", None, "No such file or directory: 'sbatch'; check the queue"),
        ("cores: 1, memory: 1GB", "echo refused >&2; exit 1", "be submitted: refused; check the"),
        ("queue: main", None, "how much cores and memory per job you want to use; check"),
    ],
)
def test_a_queue_that_takes_no_job_is_one_line(
    start: Start,
    study_file: Path,
    tmp_path: Path,
    configuration: str,
    script: str | None,
    words: str,
) -> None:
    pytest.importorskip("dask_jobqueue")
    (tmp_path / "jobqueue.yaml").write_text(f"jobqueue:\n  slurm: {{{configuration}}}\n")
    if script is not None:
        (tmp_path / "sbatch").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "sbatch").chmod(0o755)
    run = start(
        *("run", study_file, "--dask", "jobqueue:slurm", "--workers", "1"),
        DASK_CONFIG=str(tmp_path),
        PATH=f"{tmp_path}:/bin" if script else str(tmp_path),
    )
    assert words in refused(run)


@pytest.mark.parametrize(
    ("walltime", "given", "added"),
    [
        ("00:30:00", [], ["--lifetime", "1560s", "--lifetime-stagger", "90s"]),
        # LSF's half an hour, by default, and Slurm's day.
        ("00:30", [], []),
        ("1-00:00:00", [], []),
        ("00:30:00", ["--lifetime", "10m"], []),
        ("00:30:00", ["--lifetime=10m"], []),
    ],
)
def test_workers_leave_before_a_wall_time_that_can_be_read(
    walltime: str, given: list[str], added: list[str]
) -> None:
    settings = {"jobqueue.lsf.walltime": walltime, "jobqueue.lsf.worker-extra-args": given}
    with pytest.importorskip("dask").config.set(settings):
        assert _lifetime("lsf") == given + added


@pytest.mark.parametrize("walltime", ["00:00:30", "00:01:59", "00:00:00"])
def test_a_wall_time_too_short_to_leave_before_is_refused(walltime: str) -> None:
    with (
        pytest.importorskip("dask").config.set({"jobqueue.slurm.walltime": walltime}),
        pytest.raises(
            OptionError, match=f"walltime .* at least 00:02:00, .*{walltime}.*--lifetime"
        ),
    ):
        _lifetime("slurm")


def test_an_address_where_nobody_listens(
    fdrnn: Run, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fdrnn.studies.cli.engine._CONNECT_S", 1)
    result = fdrnn("run", study_file, "--dask", "tcp://127.0.0.1:1", "--workers", "2")
    assert result.exit_code == 2
    line = result.stderr.splitlines()[-1]
    assert "--dask: no scheduler answers at 'tcp://127.0.0.1:1'" in line
    assert "check the address, or start one by `dask scheduler`" in line
