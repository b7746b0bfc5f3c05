"""A study as a user writes it, from an empty folder to a page, killed at every rung."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chaos.outcome import Outcome
from chaos.stores import empty_store
from chaos.study import CHECKPOINT_S, LEASE_S, fdrnn, write_noise
from fdrnn.datasets import FdrnnError
from fdrnn.search import PortableStudy, TrialProgress, open_store
from postgres import PostgresServer

_NAME = "mine"
_RUNGS = (20, 40, 80)
_REPEATS = "repeats"
_DEFINITION = """\
data = "noise.npz"
variant = "fast_dropout"
n_trials = 24
seed = 7
repeats = 3

[space]
extends = "table2-wide"
n_hidden = { int = [4, 16], log = true, step = 4 }
step_rate = { float = [1e-4, 1e-2], log = true }
dropout_hidden_to_hidden = { float = [0.0, 0.95] }
decay = [0.8, 0.9, 0.95]
momentum = 0.99
dropout_hidden_to_output = { choices = [0.0, 0.2], when = { fast_dropout_final_layer = true } }
batch_size = [2, 4, 8]

[training]
chunk_length = 40
max_epochs = 160
patience = 160

[halving]
first = 20
keep = 0.5
"""
_LIMIT_S = 3600.0
# Who trained it, when and how often it was begun is all that may differ.
_EXEMPT = {"worker", "host", "pid", "machine", "attempt", "trouble", "seconds"}
_EXEMPT |= {"started_at", "finished_at", "created_at"}


@dataclass
class _Run:
    """The command ``fdrnn run`` in a folder, in a new process group."""

    folder: Path
    url: str
    n_workers: int
    n_starts: int = 0
    log: Path = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        self.n_starts += 1
        self.log = self.folder / "log"
        options = ("--lease", LEASE_S, "--checkpoint-every", CHECKPOINT_S, "--report")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                fdrnn("run", f"{_NAME}.toml", "--workers", self.n_workers, *options),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env=os.environ | {"FDRNN_STORAGE": self.url},
                start_new_session=True,
            )

    def finish(self, disturb: Callable[[_Run], None]) -> None:
        """Start it, and again whenever it ends early, until it has written its report."""
        until = time.monotonic() + _LIMIT_S
        self.start()
        try:
            while (code := self.process.poll()) != 0:
                if time.monotonic() > until:
                    raise TimeoutError(f"the study did not end: {self.log.read_text()[-2000:]}")
                if code is not None:
                    self.start()
                disturb(self)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


@dataclass
class _Killer:
    """Kills workers, or the whole command, until each stage of the study has had its kills."""

    generator: random.Random
    n_each: int
    kills: Counter[str] = field(default_factory=Counter)
    n_whole: int = 0

    def __call__(self, run: _Run) -> None:
        time.sleep(0.02)
        due = [trial for trial in _running(run.url) if self.kills[_stage(trial)] < self.n_each]
        if not due:
            return
        trial = self.generator.choice(due)
        time.sleep(self.generator.uniform(0.0, 0.2))
        # Its worker may be at another trial by now.
        running = {(now.pid, now.config_index): now for now in _running(run.url)}
        again = running.get((trial.pid, trial.config_index))
        if again is None:
            return
        # Every third time all processes at once, as when a machine loses its power.
        whole = self.kills.total() % 3 == 2
        assert trial.pid is not None
        try:
            if whole:
                os.killpg(run.process.pid, signal.SIGKILL)
                run.process.wait()
            else:
                os.kill(trial.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills[_stage(again)] += 1
        self.n_whole += whole


def _running(url: str) -> tuple[TrialProgress, ...]:
    try:
        store = open_store(url)
    except FdrnnError:
        return ()
    try:
        trials = store.study(_NAME).progress().running_trials
    except FdrnnError:
        return ()
    finally:
        store.close()
    return tuple(trial for trial in trials if trial.pid and (trial.lease_left_s or 0.0) > 0)


def _stage(trial: TrialProgress) -> str:
    if trial.repeat_of is not None:
        return _REPEATS
    return f"rung {sum(rung <= trial.epoch for rung in _RUNGS)}"


@dataclass(frozen=True)
class Result:
    """What a study came to.

    Attributes
    ----------
    rows
        Every row that training has computed, as texts, by table.
    states
        Trials and repeats by state.
    table1
        The file of Table 1.
    n_starts
        How often the command was started.
    seconds
        From its first start to its end.
    """

    rows: dict[str, list[str]]
    states: Counter[str]
    table1: bytes
    n_starts: int
    seconds: float

    @classmethod
    def of(cls, url: str, n_workers: int, disturb: Callable[[_Run], None]) -> Result:
        """Run the study from an empty folder to its page."""
        with tempfile.TemporaryDirectory(prefix="fdrnn-chaos-") as name:
            folder = Path(name)
            write_noise(folder)
            (folder / f"{_NAME}.toml").write_text(_DEFINITION)
            run = _Run(folder, url, n_workers)
            begun = time.monotonic()
            run.finish(disturb)
            seconds = time.monotonic() - begun
            report = folder / "fdrnn-report"
            assert (report / "report.html").stat().st_size > 0
            table1 = (report / "tables" / "table1.md").read_bytes()
        store = open_store(url)
        portable = PortableStudy.from_study(store.study(_NAME), weights=True, checkpoints=False)
        store.close()
        rows = {
            # NaN is not equal to itself, its text is.
            table.name: [repr({k: v for k, v in row.items() if k not in _EXEMPT}) for row in some]
            for table, some in portable.rows.items()
        }
        return cls(rows, portable.counts, table1, run.n_starts, seconds)


def undisturbed() -> Result:
    """Run the study with one worker that nobody kills."""
    with empty_store("sqlite", None) as url:
        return Result.of(url, 1, lambda run: time.sleep(0.2))


def killed(
    backend: str, server: PostgresServer | None, expected: Result, *, n_kills: int, seed: int
) -> Outcome:
    """Run the study with two workers, killed so often between each two rungs and in the repeats."""
    outcome = Outcome(f"a study from an empty folder to a page, killed at every rung, {backend}")
    killer = _Killer(random.Random(seed), n_kills)
    with empty_store(backend, server) as url:
        result = Result.of(url, 2, killer)
    outcome.facts += [
        f"kills: {', '.join(f'{stage} {n}' for stage, n in sorted(killer.kills.items()))}; "
        f"{killer.n_whole} of them of all processes",
        f"the command started {result.n_starts} times, {result.seconds:.0f} s (undisturbed by one "
        f"worker {expected.seconds:.0f} s)",
        ", ".join(f"{count} {state}" for state, count in sorted(result.states.items())),
    ]
    for stage in (*(f"rung {number}" for number in range(len(_RUNGS) + 1)), _REPEATS):
        outcome.require(killer.kills[stage] >= n_kills, f"{stage}: too few kills")
    outcome.require(result.table1 == expected.table1, "Table 1 differs")
    for name, rows in expected.rows.items():
        outcome.require(result.rows[name] == rows, f"{name} differs")
    compared = ", ".join(f"{len(rows)} of {name}" for name, rows in expected.rows.items() if rows)
    outcome.facts.append(f"rows compared: {compared}")
    return outcome
