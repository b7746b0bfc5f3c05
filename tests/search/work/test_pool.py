from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from fdrnn.search import Store, WorkerError, create_study, run_worker, run_workers
from fdrnn.search.work.claiming import this_worker, worker_of
from waiting import wait_until

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def slow_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_EPOCH_S", "0.05")


@pytest.fixture
def study(store: Store, fake: ModuleType) -> str:
    create_study(store, fake.definition(n_trials=3, n_epochs=12), fake.DATA)
    return "noise"


def events(process: subprocess.Popen[str]) -> Callable[[], list[str]]:
    assert process.stdout is not None
    lines = process.stdout

    def following() -> list[str]:
        line = lines.readline()
        assert line, f"the pool ended: {process.communicate()}"
        return line.rstrip("\n").split("|")

    return following


def until(following: Callable[[], list[str]], kind: str, epoch: int = 0) -> list[str]:
    while True:
        event = following()
        if event[1] == kind and int(event[3]) >= epoch:
            return event


def assert_finished(store: Store, fake: ModuleType) -> None:
    table = store.study("noise").trials()
    assert table["state"].tolist() == ["finished"] * 3
    for row in table.itertuples():
        assert row.valid_nll == fake.result(row.seed, 12).valid_nll
    for index, curve in store.study("noise").curves().groupby("config_index"):
        seed = int(table["seed"].iloc[index])
        expected = [fake.record(seed, epoch).train_nll for epoch in range(1, 13)]
        assert curve["epoch"].tolist() == list(range(1, 13))
        assert curve["train_nll"].tolist() == expected


def test_a_killed_worker_is_replaced_and_its_trial_goes_on(
    store: Store, url: str, study: str, fake: ModuleType, start: Start
) -> None:
    pool = start("run_script.py", url, 2, 1.0)
    following = events(pool)
    victim = until(following, "epoch", epoch=3)
    # Its writes come after its words.

    def is_written() -> bool:
        running = store.study(study).progress().running_trials
        (trial,) = (trial for trial in running if str(trial.config_index) == victim[2])
        return trial.epoch >= 3

    wait_until(is_written)
    os.kill(int(victim[0]), signal.SIGKILL)
    replaced = until(following, "replaced")
    assert replaced[0] == victim[0]
    assert replaced[4].endswith("died (killed by SIGKILL)")
    output, errors = pool.communicate(timeout=60)
    assert (pool.returncode, errors) == (0, "")
    # The victim's trial was claimed again, and again if the machine is too slow for the lease.
    resumed = [line.split("|") for line in output.splitlines()]
    claims = [event for event in resumed if event[1:3] == ["claimed", victim[2]]]
    assert claims
    assert int(claims[0][3]) >= 3
    assert_finished(store, fake)


def test_a_signal_stops_all_and_another_worker_goes_on(
    store: Store,
    url: str,
    study: str,
    fake: ModuleType,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Neither the epochs nor the leases would end while the test waits.
    monkeypatch.setenv(fake.LAST_EPOCH, "2")
    pool = start("run_script.py", url, 2, 600.0)
    following = events(pool)
    first = until(following, "epoch", epoch=2)
    while until(following, "epoch", epoch=2)[0] == first[0]:
        pass
    # Each of them stops, on either database.
    pool.send_signal(signal.SIGHUP if store.database.file else signal.SIGINT)
    output, errors = pool.communicate(timeout=60)
    assert (pool.returncode, errors) == (130, "")
    assert [output.count(f"|{kind}|") for kind in ("released", "stopped")] == [2, 2]
    progress = store.study(study).progress()
    assert (progress.running, progress.failed) == (0, 0)
    assert progress.waiting >= 2
    monkeypatch.setenv("FAKE_EPOCH_S", "0")
    monkeypatch.delenv(fake.LAST_EPOCH)
    run_worker(url, study, settings=fake.settings())
    assert_finished(store, fake)


def test_ctrl_c_does_not_reach_a_worker_that_starts(url: str, study: str, start: Start) -> None:
    pool = start("run_script.py", url, 1, 1.0)
    children = Path(f"/proc/{pool.pid}/task/{pool.pid}/children")
    begun: list[Path] = []
    while not begun:
        assert pool.poll() is None
        each = [Path("/proc") / pid for pid in children.read_text().split()]
        begun = [one for one in each if b"spawn_main" in (one / "cmdline").read_bytes()]
    blocked = re.search(r"SigBlk:\s*(\w+)", (begun[0] / "status").read_text())
    assert blocked is not None
    assert int(blocked[1], 16) & 1 << signal.SIGINT - 1


@pytest.mark.parametrize(
    ("number", "shown_s"),
    [(signal.SIGKILL, 0.0), (signal.SIGTERM, 600.0)],
    ids=["whose parent was killed", "while the stop is still being shown"],
)
def test_workers_release_their_trials(
    store: Store,
    url: str,
    study: str,
    fake: ModuleType,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    shown_s: float,
) -> None:
    monkeypatch.setenv(fake.LAST_EPOCH, "1")
    pool = start("run_script.py", url, 1, 600.0, shown_s)
    until(events(pool), "epoch", epoch=1)
    pool.send_signal(number)
    wait_until(lambda: not store.study(study).progress().running)
    assert store.study(study).progress().waiting == 3


def test_the_error_of_a_worker_is_one_line_of_the_pool(
    store: Store, url: str, fake: ModuleType, start: Start
) -> None:
    create_study(
        store,
        fake.definition(n_trials=3),
        replace(fake.DATA, fingerprint="0" * 64),
    )
    pool = start("run_script.py", url, 1, 60.0)
    _, errors = pool.communicate(timeout=60)
    assert pool.returncode == 2
    assert len(errors.splitlines()) == 1
    assert errors.startswith("error: workers ended with 3 of 3 trials of study 'noise' left: data ")


def test_a_worker_stopped_by_somebody_else_is_told_of(
    store: Store,
    url: str,
    study: str,
    fake: ModuleType,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(fake.LAST_EPOCH, "1")
    pool = start("run_script.py", url, 1, 60.0)
    following = events(pool)
    worker = until(following, "epoch", epoch=1)
    os.kill(int(worker[0]), signal.SIGTERM)
    _, errors = pool.communicate(timeout=60)
    assert pool.returncode == 2
    assert "workers ended with 3 of 3 trials of study 'noise' left: stopped by a signal" in errors
    assert store.study(study).progress().running == 0


def test_a_machine_that_has_no_room_for_a_process_is_one_line(
    url: str, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(process: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    expected = "worker 1 of 2 cannot be started: Resource temporarily unavailable; .*--workers"
    with pytest.raises(WorkerError, match=expected):
        run_workers(url, study, 2)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


@pytest.mark.parametrize(("n_cores", "n_workers"), [(1, 3), (8, 8)])
def test_no_more_workers_are_started_than_there_is_use_for(
    url: str, study: str, n_cores: int, n_workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(process: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    monkeypatch.setattr("fdrnn.search.work.pool.usable_cores", lambda: n_cores)
    with pytest.raises(WorkerError, match=f"worker 1 of {n_workers} cannot be started"):
        run_workers(url, study, 1_000_000)


def test_workers_of_two_containers_differ_though_host_and_process_number_are_the_same() -> None:
    code = (
        "import os; from fdrnn.search.work.claiming import this_worker;"
        "print(os.getpid(), this_worker().host, this_worker().name)"
    )
    container = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    done = subprocess.run(
        [*container, "--mount-proc", sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no namespace of process numbers here: {done.stderr.strip()}")
    pid, host, name = done.stdout.split()
    assert host == this_worker().host
    assert worker_of(int(pid)).name != name
    assert name.startswith(f"{host}-")
    assert name.endswith(f"-{pid}")


def test_at_least_one_worker(url: str) -> None:
    with pytest.raises(ValueError, match="n_workers must be at least 1, got 0"):
        run_workers(url, "noise", 0)
