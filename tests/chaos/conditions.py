"""The command under conditions of a machine: signals, clocks, full disks, limits, lost stores.

Whatever happens, the command ends with one line and an exit code, and a further run under good
conditions gives the numbers of an undisturbed study.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chaos.disturbances import fill, judge, n_away, tail, wait_for_epochs
from chaos.outcome import Outcome
from chaos.stores import empty_store, small_disk
from chaos.study import CHECKPOINT_S, LEASE_S, Numbers, create, fdrnn, is_finished, workers
from fdrnn.datasets import cache_directory
from postgres import PostgresServer

_LIMIT_S = 1800.0
# Of the clocks of a process only the one that users set is moved.
_SET_CLOCK = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    FILE *file = id == CLOCK_REALTIME ? fopen(getenv("CLOCK_OFFSET"), "r") : NULL;
    long offset = 0;
    if (file) {
        if (fscanf(file, "%ld", &offset) == 1) now->tv_sec += offset;
        fclose(file);
    }
    return failed;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return failed;
}
time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    return now ? (*now = exact.tv_sec) : exact.tv_sec;
}
"""


@dataclass
class _Run:
    """A command ``fdrnn run`` of the study, with its own store, cache and reports."""

    folder: Path
    definition: Path
    cache: Path = field(default_factory=cache_directory)
    environment: dict[str, str] = field(default_factory=dict)
    output: Path | None = None

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'store.sqlite3'}"

    def start(self, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            fdrnn(
                *("run", self.definition, "--workers", 2, "--lease", LEASE_S),
                *("--checkpoint-every", CHECKPOINT_S),
                *("--output", self.output or self.folder / "report"),
            ),
            env={
                **os.environ,
                "FDRNN_STORAGE": self.url,
                "FDRNN_CACHE_DIR": str(self.cache),
                **self.environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=before,  # noqa: PLW1509 - takes no lock
        )

    def wait(self, process: subprocess.Popen[str], limit_s: float = _LIMIT_S) -> tuple[int, str]:
        """Return the exit code and what was printed."""
        try:
            printed, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            return 1000, printed
        return process.returncode, printed

    def run(self, before: Callable[[], None] | None = None) -> tuple[int, str]:
        """Run the command to its end."""
        return self.wait(self.start(before))


@contextmanager
def _runs(definition: Path) -> Iterator[_Run]:
    with tempfile.TemporaryDirectory(prefix="fdrnn-chaos-") as folder:
        yield _Run(Path(folder), definition)


def _refused(outcome: Outcome, what: str, result: tuple[int, str], words: str) -> None:
    """Require that a command ended with exit code 2 and one line that has some words."""
    code, printed = result
    lines = printed.strip().splitlines() or [""]
    outcome.facts.append(f"{what}: exit code {code}, {lines[-1][:300]}")
    outcome.require("Traceback" not in printed, f"{what}: a traceback: {lines[-1]}")
    outcome.require(code == 2, f"{what}: exit code {code}")
    outcome.require(words in lines[-1], f"{what}: the last line does not say {words!r}")


def _completed(outcome: Outcome, what: str, run: _Run, expected: Numbers) -> None:
    """Require that a further run completes the study with the undisturbed numbers."""
    code, printed = run.run()
    outcome.require(code == 0, f"{what}: the next run ended with {code}: {printed[-500:]}")
    if code == 0:
        differences = expected.differences(Numbers.of(run.url))
        outcome.facts.append(f"{what}: then {'the same numbers' if not differences else 'others'}")
        outcome.faults += [f"{what}: {line}" for line in differences]


def signals(
    definition: Path, expected: Numbers, *, n_signals: int, longest_pause_s: float, seed: int
) -> Outcome:
    """Send Ctrl-C, SIGTERM or SIGHUP at random moments, of the compilation too."""
    outcome = Outcome(f"{n_signals} signals up to {longest_pause_s:g} s after the start")
    generator = random.Random(seed)
    with _runs(definition) as run:
        run.cache = run.folder / "cache"
        codes: dict[str, list[int]] = {}
        slowest_s = 0.0
        for index in range(n_signals):
            number = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[index % 3]
            process = run.start()
            time.sleep(generator.uniform(0.0, longest_pause_s))
            if process.poll() is not None:
                _, printed = run.wait(process)
                outcome.require(False, f"ended before signal {index}: {printed[-300:]}")
                break
            sent = time.monotonic()
            # A terminal signals all processes of the group, `kill` the command alone.
            if number == signal.SIGTERM:
                process.send_signal(number)
            else:
                os.killpg(process.pid, number)
            code, printed = run.wait(process, 60.0)
            slowest_s = max(slowest_s, time.monotonic() - sent)
            codes.setdefault(number.name, []).append(code)
            outcome.require(
                "Traceback" not in printed,
                f"signal {index}, {number.name}: a traceback: {printed[-1500:]}",
            )
            until = time.monotonic() + 10.0
            # A compiler that has begun ends its file.
            while (left := _processes(process.pid)) and time.monotonic() < until:
                time.sleep(0.2)
            outcome.require(not left, f"signal {index}, {number.name}: left behind: {left}")
        outcome.facts.append(f"exit codes {json.dumps(codes)}, at most {slowest_s:.1f} s")
        outcome.require(slowest_s < 15.0, f"{slowest_s:.1f} s from a signal to the end")
        _completed(outcome, "after all", run, expected)
    return outcome


def _processes(session: int) -> list[str]:
    """Return the command lines of a session's processes."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(stat.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def clocks(definition: Path, expected: Numbers, *, n_jumps: int, seed: int) -> Outcome:
    """Set the clock of one of two machines back and forth by up to an hour."""
    outcome = Outcome(f"the clock of a machine set {n_jumps} times")
    generator = random.Random(seed)
    with _runs(definition) as run:
        create(run.url, definition)
        offset = run.folder / "offset"
        offset.write_text("0")
        source, library = run.folder / "clock.c", run.folder / "clock.so"
        source.write_text(_SET_CLOCK)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
        faked = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offset)}
        with workers(run.url, 1) as steady, workers(run.url, 1, faked) as jumping:
            n_done = 0
            while n_done < n_jumps and not is_finished(run.url):
                time.sleep(generator.uniform(0.5, 3.0))
                offset.write_text(f"{generator.uniform(-3600, 3600):.0f}")
                n_done += 1
            codes = [steady.wait(_LIMIT_S), jumping.wait(_LIMIT_S)]
            lost = sum("lost its lease" in one.log.read_text() for one in (steady, jumping))
            outcome.facts.append(f"{n_done} jumps, exit codes {codes}, leases lost by {lost} of 2")
            outcome.require(codes == [0, 0], f"{tail(steady)} / {tail(jumping)}")
            outcome.require(n_done == n_jumps, f"the study ended after {n_done} jumps already")
        judge(outcome, run.url, expected)
    return outcome


def caches(definition: Path, expected: Numbers, *, seed: int) -> Outcome:
    """Run without a compiler, and with a read-only, a damaged and a full cache."""
    outcome = Outcome("the compiler and its cache")
    generator = random.Random(seed)
    with _runs(definition) as run:
        run.environment = {"CXX": "/nowhere/g++"}
        _refused(outcome, "no compiler", run.run(), "no C++ compiler")
        run.environment = {"CXX": "false"}
        run.cache = run.folder / "unused"
        _refused(outcome, "a compiler that fails", run.run(), "check the compiler 'false'")
        run.environment = {}
        with small_disk(megabytes=1) as disk:
            run.cache = disk
            _refused(outcome, "a full cache", run.run(), "space")
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            _refused(outcome, "a read-only cache", run.run(), "FDRNN_CACHE_DIR")
        run.cache = Path(shutil.copytree(cache_directory(), run.folder / "cache"))
        damaged = 0
        for path in sorted(path for path in run.cache.rglob("*") if path.is_file()):
            content = bytearray(path.read_bytes())
            if content and generator.random() < 0.5:
                if generator.random() < 0.5:
                    del content[generator.randrange(len(content)) :]
                else:
                    content[generator.randrange(len(content))] ^= 0xFF
                path.unlink()
                path.write_bytes(content)
                damaged += 1
        outcome.facts.append(f"{damaged} files of the cache damaged")
        code, printed = run.run()
        if code != 0:
            _refused(outcome, "a damaged cache", (code, printed), "fdrnn cache clear compile")
            shutil.rmtree(run.cache)
        _completed(outcome, "a damaged cache", run, expected)
    return outcome


def disks(definition: Path, expected: Numbers) -> Outcome:
    """Run with a full disk for the store at the start, and for the report."""
    outcome = Outcome("full disks")
    with _runs(definition) as run, small_disk(megabytes=1) as disk:
        fill(disk / "filler")
        run.folder = disk
        run.output = Path(tempfile.gettempdir()) / "fdrnn-unused"
        _refused(outcome, "the store's", run.run(), "full")
        outcome.require(
            not (disk / "store.sqlite3").exists() or not is_finished(run.url), "a store was left"
        )
    with _runs(definition) as run, small_disk(megabytes=1) as disk:
        fill(disk / "filler")
        run.output = disk / "report"
        _refused(outcome, "the report's", run.run(), "space")
        (disk / "filler").unlink()
        _completed(outcome, "the report's", run, expected)
    return outcome


def limits(definition: Path, expected: Numbers) -> Outcome:
    """Run under limits on address space, open files and sizes of files.

    With much less address space OpenBLAS tries for ever to get memory while SciPy loads it.
    """
    outcome = Outcome("limits of a process")
    cases: Sequence[tuple[str, int, int]] = (
        ("1 GB of address space", resource.RLIMIT_AS, 10**9),
        ("16 open files", resource.RLIMIT_NOFILE, 16),
        ("8 open files", resource.RLIMIT_NOFILE, 8),
        ("files of 100 kB", resource.RLIMIT_FSIZE, 10**5),
    )
    for what, kind, most in cases:
        with _runs(definition) as run:

            def limit(kind: int = kind, most: int = most) -> None:
                resource.setrlimit(kind, (most, most))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

            code, printed = run.run(limit)
            last = (printed.strip().splitlines() or [""])[-1]
            outcome.facts.append(f"{what}: exit code {code}, {last[:300]}")
            outcome.require("Traceback" not in printed, f"{what}: a traceback: {printed[-1500:]}")
            outcome.require(code in (0, 2), f"{what}: exit code {code}: {printed[-800:]}")
            _completed(outcome, what, run, expected)
    return outcome


def twins(definition: Path, expected: Numbers) -> Outcome:
    """Let two machines of one name train with processes of the same numbers."""
    outcome = Outcome("two machines with one name and the same process numbers")
    with _runs(definition) as run:
        create(run.url, definition)
        script = "from fdrnn.search.work.claiming import this_worker as w; print(w().name, w().pid)"
        machine = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        names = [
            subprocess.run(
                [*machine, sys.executable, "-c", script], check=True, capture_output=True, text=True
            ).stdout.split()
            for _ in range(2)
        ]
        outcome.facts.append(f"the workers are {names}")
        outcome.require(names[0][1] == names[1][1], "the process numbers differ")
        outcome.require(names[0][0] != names[1][0], "both workers have one name")
        with (
            workers(run.url, 1, prefix=machine) as one,
            workers(run.url, 1, prefix=machine) as two,
        ):
            codes = [one.wait(_LIMIT_S), two.wait(_LIMIT_S)]
            outcome.require(codes == [0, 0], f"exit codes {codes}: {tail(one)} / {tail(two)}")
            texts = one.log.read_text() + two.log.read_text()
            outcome.require("lost its lease" not in texts, "a lease was lost")
        judge(outcome, run.url, expected)
    return outcome


def lost_stores(
    server: PostgresServer, definition: Path, expected: Numbers, *, pause_s: float
) -> Outcome:
    """Move, replace and delete a store under its workers; drop a database."""
    outcome = Outcome("a store moved, replaced or deleted while it is in use")
    with _runs(definition) as run:
        create(run.url, definition)
        store = run.folder / "store.sqlite3"
        empty = Path(shutil.copy(store, run.folder / "empty"))
        with workers(run.url, 2) as running:
            wait_for_epochs(run.url)
            store.rename(run.folder / "moved")
            time.sleep(pause_s)
            outcome.require(not store.exists(), "the workers made a new store")
            outcome.require(n_away(running) > 0, f"nobody noticed: {tail(running)}")
            (run.folder / "moved").rename(store)
            time.sleep(pause_s)
            before = n_away(running)
            store.rename(run.folder / "moved")
            shutil.copy(empty, store)
            time.sleep(pause_s)
            outcome.require(n_away(running) > before, f"nobody noticed: {tail(running)}")
            outcome.require(store.read_bytes() == empty.read_bytes(), "the other store was written")
            (run.folder / "moved").rename(store)
            code = running.wait(_LIMIT_S)
            outcome.require(code == 0, f"moved: exit code {code}: {tail(running)}")
        judge(outcome, run.url, expected)
    with _runs(definition) as run:
        create(run.url, definition)
        with workers(run.url, 2) as running:
            wait_for_epochs(run.url)
            (run.folder / "store.sqlite3").unlink()
            time.sleep(pause_s)
            outcome.facts.append(f"deleted: {tail(running)[-300:]}")
            outcome.require(n_away(running) > 0, "deleted: nobody noticed")
            left = {path.name for path in run.folder.iterdir()}
            outcome.require(not left, f"deleted: the workers made {left}")
    with empty_store("postgresql", server) as url:
        create(url, definition)
        with workers(url, 2) as running:
            wait_for_epochs(url)
            database = url.rpartition("/")[2]
            server.drop_database(database)
            time.sleep(pause_s)
            outcome.facts.append(f"dropped: {tail(running)[-300:]}")
            outcome.require(n_away(running) > 0, "dropped: nobody noticed")
            outcome.require("Traceback" not in running.log.read_text(), f"dropped: {tail(running)}")
            server.execute(f"CREATE DATABASE {database}")
    return outcome
