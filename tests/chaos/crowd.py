"""Hundreds of workers on one PostgreSQL server, all of a worker but its training."""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chaos.claims import definition, in_processes
from chaos.outcome import Outcome
from chaos.stores import empty_store
from fdrnn.datasets import Dataset
from fdrnn.model import EpochRecord, TrainingInterrupted, TrialResult
from fdrnn.search import (
    StudyDefinition,
    Training,
    WorkerSettings,
    create_study,
    open_store,
    run_worker,
)
from fdrnn.search.work import worker as worker_module
from postgres import PostgresServer

_STATE_BYTES = 1_200_000
"""Of a checkpoint of 200 hidden units and 88 notes, about."""

_N_UNITS, _N_NOTES, _N_TEST_SEQUENCES = 200, 88, 77
_EPOCH_S = "FDRNN_CHAOS_EPOCH_S"
_TICKS = os.sysconf("SC_CLK_TCK")


class _Trainer:
    """A training run that sleeps: epochs, states and a result of real size."""

    n_epochs_run = 0

    def __init__(self, n_epochs: int, seed: int) -> None:
        self.n_epochs, self.epoch, self.best_valid_nll = n_epochs, 0, 9.0
        self.random = random.Random(seed)

    @property
    def finished(self) -> bool:
        return self.epoch >= self.n_epochs

    def run_epoch(self, interrupted: Callable[[], bool]) -> EpochRecord:
        time.sleep(float(os.environ[_EPOCH_S]) * self.random.uniform(0.5, 1.5))
        if interrupted():
            raise TrainingInterrupted
        self.epoch += 1
        _Trainer.n_epochs_run += 1
        return EpochRecord(
            epoch=self.epoch,
            train_nll=8.0 + self.random.random(),
            valid_nll_counted=8.0 + self.random.random(),
            valid_nll_masked=8.0 + self.random.random(),
            spectral_radius=self.random.random(),
            spectral_radius_squared=self.random.random(),
            gradient_norm=self.random.random(),
            seconds=self.random.random(),
            measurements={},
        )

    def state(self) -> bytes:
        return os.urandom(_STATE_BYTES)

    def restore(self, state: bytes) -> None:
        raise AssertionError("a trial was claimed twice")

    def result(self) -> TrialResult:
        n_in, n_hidden = _N_NOTES, _N_UNITS
        sizes = {"W_in": (n_in, n_hidden), "W_rec": (n_hidden, n_hidden), "W_out": (n_hidden, n_in)}
        return TrialResult(
            diverged=False,
            n_epochs=self.n_epochs,
            best_epoch=self.n_epochs,
            valid_nll=8.0,
            valid_nll_counted=8.0,
            valid_nll_masked=8.0,
            test_nll_sums=np.ones(_N_TEST_SEQUENCES),
            test_steps=np.ones(_N_TEST_SEQUENCES, dtype=int),
            parameters={
                name: np.frombuffer(os.urandom(4 * size[0] * size[1]), np.float32).reshape(size)
                for name, size in sizes.items()
            },
        )


def _load(name: str, data_dir: Path | None) -> Dataset:
    frames = (np.zeros((2, 3), np.uint8),)
    return Dataset(name="made-up", title="Made up", train=frames, valid=frames, test=frames)


def _make_trainer(
    data: Dataset, study: StudyDefinition, hyperparameters: dict[str, object], seed: int
) -> _Trainer:
    return _Trainer(study.training.max_epochs, seed)


def _work(url: str) -> tuple[list[tuple[int, float]], int]:
    """Run a worker; return each claim with its seconds, and the number of epochs."""
    claims = []
    claim = worker_module.claim

    def timed(*arguments: object, **options: object) -> object:
        begun = time.perf_counter()
        lease = claim(*arguments, **options)
        if lease is not None:
            claims.append((lease.config_index, time.perf_counter() - begun))
        return lease

    worker_module.claim = timed
    training = Training(load_dataset=_load, make_trainer=_make_trainer)
    run_worker(url, "many", settings=WorkerSettings(training=training), patient=True)
    return claims, _Trainer.n_epochs_run


def crowd(
    server: PostgresServer,
    *,
    n_workers: int,
    n_trials: int,
    n_epochs: int,
    epoch_s: float,
    median_bar_ms: float,
) -> Outcome:
    """Let workers claim and write a study; count what the server needs for it."""
    outcome = Outcome(f"{n_workers} workers, {n_trials} trials of {n_epochs} epochs")
    os.environ[_EPOCH_S] = str(epoch_s)
    with empty_store("postgresql", server) as url:
        store = open_store(url, create=True)
        create_study(store, definition(n_trials, n_epochs), _load("", None).description)
        database = url.rpartition("/")[2]
        cpu_s, wal = _cpu_s(server), _wal_bytes(server)
        begun = time.monotonic()
        with _Connections(server) as connections:
            results = in_processes(n_workers, _work, url)
        seconds = time.monotonic() - begun
        cpu_s, wal = _cpu_s(server) - cpu_s, _wal_bytes(server) - wal
        outcome.faults += [result for result in results if isinstance(result, str)]
        worked = [result for result in results if not isinstance(result, str)]
        claims = [claim for one, _ in worked for claim in one]
        n_run = sum(n for _, n in worked)
        counts = Counter(index for index, _ in claims)
        n_double = sum(count - 1 for count in counts.values())
        curves = store.study("many").curves()
        n_finished = store.study("many").progress().finished
        store.close()
        sizes = dict(
            server.execute(
                "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND "
                "relnamespace = 'public'::regnamespace ORDER BY 2 DESC",
                database,
            )
        )
        ((total,),) = server.execute(f"SELECT pg_database_size('{database}')")
    milliseconds = sorted(1000 * taken for _, taken in claims)
    median = statistics.median(milliseconds)
    of_epochs = sizes["fdrnn_epochs"] + sizes.get("trial_intermediate_values", 0)
    outcome.facts += [
        f"{seconds:.0f} s, {len(curves) / seconds:.0f} epochs/s; {len(claims)} claims, "
        f"{n_double} double; {n_run - len(curves)} epochs lost",
        f"claims: median {median:.1f} ms, 99th percentile "
        f"{milliseconds[len(milliseconds) * 99 // 100]:.1f} ms, longest {milliseconds[-1]:.0f} ms",
        f"at most {connections.most} connections, {connections.median:.0f} in the median",
        f"the server: {cpu_s:.0f} s of CPU, {100 * cpu_s / seconds:.0f} % of a core; "
        f"{wal / seconds / 1e6:.1f} MB/s of log",
        f"database {total / 1e6:.0f} MB; {of_epochs / len(curves):.0f} bytes per epoch; "
        + ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items() if size > 1e6),
    ]
    outcome.require(n_double == 0, f"{n_double} trials claimed twice")
    outcome.require(n_finished == n_trials, f"{n_trials - n_finished} trials not finished")
    n_lost = max(n_run, n_trials * n_epochs) - len(curves)
    outcome.require(n_lost == 0, f"{n_lost} epochs lost")
    outcome.require(median <= median_bar_ms, f"median claim above {median_bar_ms:g} ms")
    return outcome


class _Connections:
    """The number of a server's connections, observed in a thread."""

    def __init__(self, server: PostgresServer) -> None:
        self._server, self._ended, self._seen = server, threading.Event(), [0]
        self._thread = threading.Thread(target=self._observe)

    def __enter__(self) -> _Connections:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _observe(self) -> None:
        query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
        while not self._ended.wait(1.0):
            self._seen.append(self._server.execute(query)[0][0])

    @property
    def most(self) -> int:
        return max(self._seen)

    @property
    def median(self) -> float:
        return statistics.median(self._seen)


def _cpu_s(server: PostgresServer) -> float:
    """Return the seconds of CPU that a server's processes have used, those that ended too."""
    ticks = 0
    for number, pid in enumerate(server.pids()):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # Of the first process with its children that have ended.
        ticks += sum(map(int, fields[11:15] if number == 0 else fields[11:13]))
    return ticks / _TICKS


def _wal_bytes(server: PostgresServer) -> int:
    ((position,),) = server.execute("SELECT pg_current_wal_lsn() - '0/0'")
    return int(position)
