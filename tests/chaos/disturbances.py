"""Studies disturbed while they run; their numbers must be those of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from chaos.outcome import Outcome
from chaos.stores import empty_store, small_disk
from chaos.study import (
    LEASE_S,
    Numbers,
    Workers,
    create,
    is_finished,
    progress,
    wait_until_finished,
    workers,
)
from postgres import PostgresServer
from proxy import Proxy

_LIMIT_S = 3600.0
_NOTICE_S = 60.0
_BAR_S = 30.0


def judge(outcome: Outcome, url: str, expected: Numbers) -> None:
    """Require that a study has ended with the undisturbed numbers."""
    now = progress(url)
    assert now is not None
    outcome.facts.append(
        f"{now.finished} of {now.n_trials} finished, {now.diverged} of them diverged"
    )
    outcome.require(now.finished == now.n_trials, f"{now.n_trials - now.finished} not finished")
    differences = expected.differences(Numbers.of(url))
    outcome.facts.append("numbers bit for bit" if not differences else "numbers differ")
    outcome.faults += differences


def kills(
    backend: str,
    server: PostgresServer | None,
    definition: Path,
    expected: Numbers,
    *,
    n_kills: int,
    longest_pause_s: float,
    seed: int,
) -> Outcome:
    """Kill a worker at a random moment, again and again."""
    outcome = Outcome(f"a worker killed {n_kills} times, {backend}")
    generator = random.Random(seed)
    with empty_store(backend, server) as url:
        create(url, definition)
        with workers(url, 2) as running:
            n_done = 0
            while n_done < n_kills and not is_finished(url):
                time.sleep(generator.uniform(0.0, longest_pause_s))
                running.keep_running()
                pids = running.pids()
                if pids:
                    os.kill(generator.choice(pids), signal.SIGKILL)
                    n_done += 1
            wait_until_finished(url, [running], _LIMIT_S)
            outcome.facts.append(f"{n_done} kills, the command started {running.n_starts} times")
            outcome.require(n_done == n_kills, f"the study ended after {n_done} kills already")
        judge(outcome, url, expected)
    return outcome


def naps(
    backend: str,
    server: PostgresServer | None,
    definition: Path,
    expected: Numbers,
    *,
    n_naps: int,
    seed: int,
) -> Outcome:
    """Stop a worker for longer than its lease and let it go on."""
    outcome = Outcome(f"a worker asleep beyond its lease {n_naps} times, {backend}")
    generator = random.Random(seed)
    with empty_store(backend, server) as url:
        create(url, definition)
        with workers(url, 1) as one, workers(url, 1) as two:
            n_done = 0
            while n_done < n_naps and not is_finished(url):
                time.sleep(generator.uniform(0.5, 3.0))
                sleeper = generator.choice([one, two])
                if sleeper.command is None or sleeper.command.poll() is not None:
                    continue
                for pid in sleeper.pids():
                    os.kill(pid, signal.SIGSTOP)
                    time.sleep(2.5 * LEASE_S)
                    os.kill(pid, signal.SIGCONT)
                    n_done += 1
            wait_until_finished(url, [one, two], _LIMIT_S)
            taken = sum(
                running.log.read_text().count("lost its lease to another worker")
                for running in (one, two)
            )
            outcome.facts.append(f"{n_done} naps, {taken} trials lost to another worker meanwhile")
            outcome.require(n_done == n_naps, f"the study ended after {n_done} naps already")
            outcome.require(taken > 0, "no sleeper's late write was refused")
        judge(outcome, url, expected)
    return outcome


def restarts(
    server: PostgresServer,
    definition: Path,
    expected: Numbers,
    *,
    n_restarts: int,
    longest_s: float,
    seed: int,
) -> Outcome:
    """Stop PostgreSQL as if it crashed, and start it again a while later."""
    outcome = Outcome(f"PostgreSQL away {n_restarts} times for up to {longest_s:g} s")
    generator = random.Random(seed)
    with empty_store("postgresql", server) as url:
        create(url, definition)
        with workers(url, 2) as running:
            wait_for_epochs(url)
            before = sorted(running.pids())
            n_done, away_s = 0, 0.0
            while n_done < n_restarts and not is_finished(url):
                server.stop("immediate")
                pause_s = generator.uniform(min(1.0, longest_s / 2), longest_s)
                time.sleep(pause_s)
                server.start()
                n_done += 1
                away_s += pause_s
                after = sorted(running.pids())
                outcome.require(after == before, f"workers {before} became {after}")
                time.sleep(generator.uniform(0.5, min(5.0, longest_s)))
            code = running.wait(_LIMIT_S)
            outcome.facts.append(f"away {n_done} times, {away_s:.0f} s in all")
            outcome.require(code == 0, f"the command ended with {code}: {tail(running)}")
            outcome.require(n_done == n_restarts, f"the study ended after {n_done} already")
        judge(outcome, url, expected)
    return outcome


def hangs(
    server: PostgresServer,
    definition: Path,
    expected: Numbers,
    *,
    stopped_s: float,
    n_cuts: int,
    seed: int,
) -> Outcome:
    """Stop PostgreSQL's processes; cut, slow and silence the connections to it."""
    outcome = Outcome(f"PostgreSQL stopped for {stopped_s:g} s, connections cut {n_cuts} times")
    generator = random.Random(seed)
    proxy = Proxy(server.port)
    with empty_store("postgresql", server) as url:
        create(url, definition)
        with workers(url.replace(f":{server.port}/", f":{proxy.port}/"), 2) as running:
            wait_for_epochs(url)
            before = sorted(running.pids())

            def noticed(seconds: float, what: str) -> None:
                begun, n_before, n_epochs = time.monotonic(), n_away(running), _n_epochs(running)
                while n_away(running) == n_before and time.monotonic() < begun + _NOTICE_S:
                    time.sleep(0.1)
                taken_s = time.monotonic() - begun
                time.sleep(max(seconds - taken_s, 0.0))
                outcome.facts.append(f"{what}: reported after {taken_s:.0f} s")
                outcome.require(taken_s <= _BAR_S, f"{what}: reported after {taken_s:.0f} s")
                outcome.require(_n_epochs(running) > n_epochs, f"{what}: training stopped")

            stopped = server.pids()
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            try:
                noticed(stopped_s, "server stopped")
            finally:
                for pid in stopped:
                    os.kill(pid, signal.SIGCONT)
            for _ in range(n_cuts):
                time.sleep(generator.uniform(0.0, 5.0))
                proxy.cut()
            time.sleep(30.0)
            n_before = n_away(running)
            proxy.delay_s = 0.3
            time.sleep(60.0)
            proxy.delay_s = 0.0
            n_taken = n_away(running) - n_before
            outcome.facts.append(f"slow connections: {n_taken} outages reported in 60 s")
            outcome.require(n_taken == 0, "a slow server was taken for dead")
            proxy.fall_silent(new=True)
            noticed(40.0, "connections silent")
            proxy.speak()
            after = sorted(running.pids())
            outcome.require(after == before, f"workers {before} became {after}")
            code = running.wait(_LIMIT_S)
            outcome.require(code == 0, f"the command ended with {code}: {tail(running)}")
        judge(outcome, url, expected)
    proxy.close()
    return outcome


def _n_epochs(running: Workers) -> int:
    return running.log.read_text().count(": epoch ")


def full_disks(
    definition: Path, expected: Numbers, *, n_times: int, longest_s: float, seed: int
) -> Outcome:
    """Fill the file system that a SQLite store stands on, and free it again."""
    outcome = Outcome(f"the store's disk full {n_times} times for up to {longest_s:g} s")
    generator = random.Random(seed)
    with small_disk(megabytes=400) as disk:
        url = f"sqlite:///{disk / 'store.sqlite3'}"
        create(url, definition)
        with workers(url, 2) as running:
            n_done = 0
            wait_for_epochs(url)
            while n_done < n_times and not is_finished(url):
                time.sleep(generator.uniform(0.0, longest_s / 4))
                n_before = n_away(running)
                fill(disk / "filler")
                time.sleep(generator.uniform(longest_s / 2, longest_s))
                # However slow the machine, somebody wants to write sooner or later.
                until = time.monotonic() + _NOTICE_S
                while n_away(running) == n_before and time.monotonic() < until:
                    time.sleep(0.1)
                (disk / "filler").unlink()
                n_done += 1
            code = running.wait(_LIMIT_S)
            outages = n_away(running)
            outcome.facts.append(f"full {n_done} times, {outages} outages told")
            outcome.require(code == 0, f"the command ended with {code}: {tail(running)}")
            outcome.require(n_done == n_times, f"the study ended after {n_done} already")
            outcome.require(outages > 0, "nobody noticed the full disk")
        judge(outcome, url, expected)
    return outcome


def wait_for_epochs(url: str) -> None:
    """Wait until training is under way: workers take seconds to start."""
    until = time.monotonic() + _LIMIT_S
    while time.monotonic() < until:
        now = progress(url)
        if now is not None and any(trial.epoch for trial in now.running_trials):
            return
        time.sleep(0.1)


def n_away(running: Workers) -> int:
    """Count the outages of the store that workers reported."""
    return running.log.read_text().count("the store is unavailable")


def fill(path: Path) -> None:
    """Fill a file system by a file."""
    subprocess.run(
        ["dd", "if=/dev/zero", f"of={path}", "bs=4096"], capture_output=True, check=False
    )


def tail(running: Workers) -> str:
    """Return the last lines that workers printed."""
    return " | ".join(running.log.read_text().splitlines()[-5:])
