"""Many processes at once: claiming trials, starting on an empty store."""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import time
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.queues import Queue
from typing import Any

from chaos.outcome import Outcome
from chaos.stores import empty_store
from fdrnn.datasets import DataDescription
from fdrnn.model import TrainingSettings
from fdrnn.search import SPACES, StudyDefinition, create_study, open_store
from fdrnn.search.work.claiming import claim, this_worker
from postgres import PostgresServer

_DATA = DataDescription(
    title="Made up", note="", n_features=3, lowest_midi_note=None, fingerprint="0" * 64
)
_LEASE_S = 600.0


def definition(n_trials: int, n_epochs: int = 300) -> StudyDefinition:
    """Return a study that nobody will train."""
    return StudyDefinition(
        name="many",
        data="made-up",
        variant="fast_dropout",
        space=SPACES["table2"],
        n_trials=n_trials,
        seed=1,
        training=TrainingSettings(max_epochs=n_epochs),
    )


def in_processes(n: int, job: Callable[..., Any], *arguments: object) -> list[Any]:
    """Run a job in fresh processes that begin together; their results, errors as texts."""
    context = multiprocessing.get_context("forkserver")
    # The server of forks imports once; a fork starts without connections.
    context.set_forkserver_preload(["chaos.claims"])
    begin, results = context.Barrier(n), context.Queue()
    processes = [
        context.Process(target=_report, args=(results, begin, job, arguments)) for _ in range(n)
    ]
    for process in processes:
        process.start()
    collected = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return collected


def _report(results: Queue[Any], begin: Any, job: Callable[..., Any], arguments: Any) -> None:
    try:
        begin.wait()
        results.put(job(*arguments))
    except BaseException:
        results.put(traceback.format_exc())


def _claim_all(url: str, pause_s: float) -> list[tuple[int, float]]:
    """Claim until nothing waits: configuration and seconds of each claim."""
    store = open_store(url)
    study_id = store.study("many").study_id
    worker = this_worker()
    generator = random.Random(os.getpid())
    claimed = []
    time.sleep(generator.uniform(0, pause_s))
    while True:
        begun = time.perf_counter()
        lease = claim(store.database, study_id, worker, _LEASE_S)
        if lease is None:
            store.close()
            return claimed
        claimed.append((lease.config_index, time.perf_counter() - begun))
        time.sleep(generator.uniform(0.8, 1.2) * pause_s)


def claims(
    backend: str,
    server: PostgresServer | None,
    *,
    n_processes: int,
    n_trials: int,
    n_rounds: int,
    pause_s: float = 0.0,
    median_bar_ms: float | None = None,
) -> Outcome:
    """Let processes claim all trials of a study; none may be claimed twice, none be left."""
    outcome = Outcome(
        f"{n_processes} processes claim {n_trials} trials, {n_rounds} rounds, {backend}"
    )
    seconds: list[float] = []
    n_double = n_lost = 0
    for _ in range(n_rounds):
        with empty_store(backend, server) as url:
            store = open_store(url, create=True)
            create_study(store, definition(n_trials), _DATA)
            store.close()
            results = in_processes(n_processes, _claim_all, url, pause_s)
        errors = [result for result in results if isinstance(result, str)]
        outcome.faults += errors
        rows = [row for result in results if not isinstance(result, str) for row in result]
        counts = Counter(index for index, _ in rows)
        n_double += sum(count - 1 for count in counts.values())
        n_lost += n_trials - len(counts)
        seconds += [taken for _, taken in rows]
    milliseconds = sorted(1000 * taken for taken in seconds)
    median = statistics.median(milliseconds)
    outcome.facts.append(f"{n_double} claimed twice, {n_lost} lost, {len(outcome.faults)} errors")
    outcome.facts.append(
        f"{len(milliseconds)} claims: median {median:.1f} ms, 99th percentile "
        f"{milliseconds[len(milliseconds) * 99 // 100]:.1f} ms, longest {milliseconds[-1]:.1f} ms"
    )
    outcome.require(n_double == 0, f"{n_double} trials claimed twice")
    outcome.require(n_lost == 0, f"{n_lost} trials claimed by nobody")
    if median_bar_ms is not None:
        outcome.require(median <= median_bar_ms, f"median above {median_bar_ms:g} ms")
    return outcome


def _start(url: str, n_trials: int) -> int:
    store = open_store(url, create=True)
    create_study(store, definition(n_trials), _DATA)
    n_made = store.study("many").progress().n_trials
    store.close()
    return n_made


def starters(
    backend: str, server: PostgresServer | None, *, n_processes: int, n_rounds: int
) -> Outcome:
    """Let processes initialize one empty store and create one study at the same time."""
    outcome = Outcome(
        f"{n_processes} processes start on an empty store, {n_rounds} rounds, {backend}"
    )
    for _ in range(n_rounds):
        with empty_store(backend, server) as url:
            results = in_processes(n_processes, _start, url, 32)
            outcome.faults += [result for result in results if isinstance(result, str)]
            wrong = [result for result in results if not isinstance(result, str) and result != 32]
            outcome.require(not wrong, f"studies of {wrong} trials")
    outcome.facts.append(f"{len(outcome.faults)} failures in {n_processes * n_rounds} starts")
    return outcome
