"""``fdrnn run`` and ``fdrnn worker``: the commands that train."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from fdrnn.datasets import load
from fdrnn.datasets.errors import FdrnnError, UnknownNameError, shown
from fdrnn.reports.document.writing import require_writable
from fdrnn.search import (
    Store,
    Study,
    StudyDefinition,
    StudyProgress,
    WorkerSettings,
    find_store,
    open_store,
    run_workers,
)
from fdrnn.search.design.comparison import comparison_of
from fdrnn.search.store.database import Database
from fdrnn.search.work.outage import Result, with_patience
from fdrnn.search.work.pool import require_nothing_left
from fdrnn.studies.cli.creation import Definitions, create, requested, require_one
from fdrnn.studies.cli.display import Display, Followed, make_display
from fdrnn.studies.cli.engine import run_on_dask
from fdrnn.studies.cli.engine_cluster import cluster_of, require_cluster
from fdrnn.studies.cli.engine_task import JsonDisplay, end_with, order_of
from fdrnn.studies.cli.interrupts import remembered_interrupts
from fdrnn.studies.cli.notes import refresh_notes
from fdrnn.studies.cli.options import (
    Adapt,
    CheckpointEvery,
    Dask,
    DataDir,
    Epochs,
    Lease,
    MaxHours,
    Name,
    Output,
    Patience,
    Repeats,
    Seed,
    Storage,
    StudySources,
    Threads,
    TrainedStudies,
    Trials,
    commands,
    number,
    option,
)
from fdrnn.studies.cli.phases import announced
from fdrnn.studies.cli.readable import chosen_studies, holds
from fdrnn.studies.cli.report import report_results
from fdrnn.studies.cli.status_view import summary_line, time_left_line, total_line
from fdrnn.studies.errors import OptionError

app = commands()


@dataclass(frozen=True)
class _Dask:
    address: str
    adapt: tuple[int, int] | None


@app.command()
def run(
    studies: StudySources,
    trials: Trials,
    epochs: Epochs,
    repeats: Repeats,
    seed: Seed,
    max_hours: MaxHours,
    workers: Annotated[
        int | None,
        number(
            least=1,
            help="Worker processes; by default as many as the cores have room for, or a Dask "
            "cluster has threads.",
        ),
    ],
    threads: Threads,
    lease: Lease,
    checkpoint_every: CheckpointEvery,
    patience: Patience,
    name: Name,
    storage: Storage,
    data_dir: DataDir,
    output: Output,
    dask: Dask,
    adapt: Adapt,
    page: Annotated[
        bool,
        option(
            "--report",
            default=False,
            help="Write the whole report at the end, with page and figures.",
        ),
    ],
) -> None:
    """Create studies, train their trials and report Table 1.

    Workers train studies in the given order, and begin the next one when no trial of those before
    it waits; on a Dask cluster the next one begins when the one before is complete. Ctrl-C stops
    cleanly: the states of trials are kept in the store, and the same command resumes. A complete
    study is only reported. Table 1 has each study's test NLL beside the paper's.

    For example:

        fdrnn run bach --trials 4 --epochs 20

        fdrnn run compare-bach --epochs 10

        fdrnn run jsb jsb-plain --data-dir ~/music --workers 8

        fdrnn run bach --epochs 5 --name bach-short

        fdrnn run jsb --seed 7 --name jsb-seed-7

        fdrnn run jsb --dask tcp://10.0.0.1:8786 --workers 32
    """
    require_one(name, studies)
    settings = _settings(threads, lease, checkpoint_every, patience, storage)
    on = _dask(dask, adapt, workers)
    with remembered_interrupts():
        # Mistakes show before the compiler is checked, a data set is loaded or a trial is trained.
        requests = [
            _requested(storage, study, trials, epochs, name, repeats, seed) for study in studies
        ]
        if dask is None:
            _require_toolchain()
        require_writable(output)
        store = _patiently(lambda: create(requests, storage, data_dir), settings)
    names = [definition.name for definitions in requests for definition in definitions]
    stored = [[store.study(one.name) for one in definitions] for definitions in requests]
    code = _train(store, stored, storage, workers, settings, data_dir, _deadline(max_hours), on)
    present = [study.name for study in _present(store, names)]
    if gone := ", ".join(name for name in names if name not in present):
        typer.echo(f"fdrnn: deleted or renamed meanwhile, and not reported: {gone}", err=True)
    if present:
        report_results(store, present, output, page=page)
    raise typer.Exit(code)


@app.command()
def worker(
    studies: TrainedStudies,
    workers: Annotated[
        int | None,
        number(least=1, help="Worker processes: 1, or on a Dask cluster one for each thread."),
    ],
    threads: Threads,
    lease: Lease,
    checkpoint_every: CheckpointEvery,
    patience: Patience,
    max_hours: MaxHours,
    storage: Storage,
    data_dir: DataDir,
    dask: Dask,
    adapt: Adapt,
    engine: Annotated[int | None, number(least=1, metavar="PID", hidden=True, help="")],
) -> None:
    """Train trials of studies in the store until none is waiting.

    Start one per core, on any number of machines that can connect to the store; a trial is trained
    by one worker at a time. Several studies are trained in the given order. `fdrnn study create`
    makes a study.

    For example:

        fdrnn worker jsb

        fdrnn worker jsb piano

        FDRNN_STORAGE=postgresql://host/fdrnn fdrnn worker jsb --workers 8
    """
    settings = _settings(threads, lease, checkpoint_every, patience, storage)
    on = _dask(dask, adapt, workers)
    if engine is not None:
        end_with(engine)

    def read() -> tuple[Store, list[list[Study]], list[str]]:
        store = open_store(storage)
        each = [chosen_studies(store, [study]) for study in studies]
        left = [one for several in each for one in several if not one.progress().complete]
        return store, each, sorted({one.definition.data for one in left})

    with remembered_interrupts():
        store, stored, needed = _patiently(read, settings)
        # Where nothing is left to train, neither a compiler nor the data are needed.
        if needed and dask is None:
            _require_toolchain()
            # Here and not by several workers at once, and with a progress bar.
            for data in needed:
                with announced(f"reading data set {data}"):
                    load(data, data_dir, progress=sys.stderr.isatty())
    n_workers = workers if dask else workers or 1
    deadline = _deadline(max_hours)
    as_json = engine is not None
    raise typer.Exit(
        _train(store, stored, storage, n_workers, settings, data_dir, deadline, on, as_json=as_json)
    )


def _requested(storage: str, study: str, *changes: Any) -> Definitions:
    try:
        return requested(study, *changes)
    except UnknownNameError as error:
        store = None
        # That the store cannot be read is not the mistake to report.
        with suppress(FdrnnError):
            store = find_store(storage)
        if store is None or not holds(store, study):
            raise
        raise OptionError(
            f"{error}; `fdrnn worker {study}` trains the study of this name in store {store.shown}"
        ) from error


def _dask(address: str | None, adapt: str | None, workers: int | None) -> _Dask | None:
    if address is None:
        if adapt is not None:
            raise OptionError("--adapt is for a cluster that --dask jobqueue makes: add --dask")
        return None
    if find_spec("distributed") is None:
        raise OptionError("--dask needs Dask, which is not installed: pip install 'fdrnn[dask]'")
    limits = None
    if adapt is not None:
        numbers = [int(part) if part.isdecimal() else -1 for part in adapt[:100].split(",")]
        if len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1] or numbers[1] == 0:
            raise OptionError(f"--adapt must be MIN,MAX, such as 2,32, got {shown(adapt)}")
        if workers is not None:
            raise OptionError("--workers and --adapt exclude each other; leave one out")
        limits = numbers[0], numbers[1]
    require_cluster(address, workers, limits)
    return _Dask(address, limits)


def _settings(
    threads: int, lease: float, checkpoint_every: float, patience: float | None, storage: str
) -> WorkerSettings:
    if patience is None:
        # A file that cannot be opened is mostly a mistake.
        patience = lease if Database(storage).file is None else 0.0
    return WorkerSettings(
        threads=threads, lease_s=lease, checkpoint_interval_s=checkpoint_every, patience_s=patience
    )


def _patiently(call: Callable[[], Result], settings: WorkerSettings) -> Result:
    def show(reason: str) -> None:
        typer.echo(
            f"fdrnn: {reason}; waiting for up to {settings.patience_s:g} s (--patience)", err=True
        )

    return with_patience(call, settings.patience_s, show)


def _deadline(max_hours: float | None) -> float:
    return math.inf if max_hours is None else time.monotonic() + 3600 * max_hours


def _train(
    store: Store,
    studies: Sequence[Sequence[Study]],
    storage: str,
    n_workers: int | None,
    settings: WorkerSettings,
    data_dir: Path | None,
    deadline: float,
    dask: _Dask | None = None,
    *,
    as_json: bool = False,
) -> int:
    """Train studies, of which those of a comparison are one item, and return the exit code."""
    followed = list(map(partial(_followed, store), _distinct(studies)))
    definitions = {study.name: study.definition for several in studies for study in several}
    noted: set[str] = set()

    def note(one: Followed) -> None:
        noted.update(one.studies if refresh_notes(_present(store, one.studies)) else ())
        # A server's connections are for the workers.
        store.close()

    def train(left: Sequence[Followed]) -> None:
        names = list(dict.fromkeys(name for one in left for name in one.studies))
        most_s = None if deadline == math.inf else max(deadline - time.monotonic(), 0.0)
        first_run = dask is None and not _has_compiled()
        shown_as: Display = (
            JsonDisplay() if as_json else make_display(left, first_run=first_run, on_complete=note)
        )
        with shown_as as display:
            if dask is None:
                interrupted = run_workers(
                    storage,
                    names,
                    n_workers,
                    data_dir=data_dir,
                    on_event=display.show,
                    on_stop=display.stopping,
                    settings=settings,
                    most_s=most_s,
                )
            else:
                title, data = left[0].title, definitions[names[0]].data
                order = order_of(title, data, Database(storage).url, data_dir, settings)
                with cluster_of(dask.address, n_workers, dask.adapt) as (cluster, n_tasks):
                    interrupted, errors = run_on_dask(
                        cluster, order, n_tasks, display=display, most_s=most_s
                    )
                if errors and not interrupted:
                    require_nothing_left(storage, names, errors)
        if interrupted and time.monotonic() >= deadline:
            typer.echo(f"fdrnn: --max-hours are over: {_what_is_left(left, definitions)}", err=True)
        if interrupted:
            # At once: the store may be what the user waits for.
            raise KeyboardInterrupt
        for one in left:
            if noted.isdisjoint(one.studies):
                note(one)

    def is_left(one: Followed) -> bool:
        return not one.total(_patiently(one.read, settings)).complete

    if dask is None:
        if left := list(filter(is_left, followed)):
            train(left)
    else:
        # Dask's workers get the data file of one study.
        for one in filter(is_left, followed):
            train([one])
    failed = [done for one in followed if (done := one.total(one.read())).n_failed]
    for done in failed:
        repeats = f" and {done.repeats_planned} repeats" if done.repeats_failed else ""
        typer.echo(
            f"fdrnn: study {done.study}: {done.n_failed} of {done.n_trials} trials{repeats} "
            f"failed; `fdrnn study status {done.study}` prints the errors",
            err=True,
        )
    return 1 if failed else 0


def _distinct(studies: Sequence[Sequence[Study]]) -> list[Sequence[Study]]:
    """Return the items without those whose studies are in another one."""
    names = [{study.name for study in several} for several in studies]
    return [
        several
        for k, several in enumerate(studies)
        if not any(
            names[k] < other or (names[k] == other and j < k) for j, other in enumerate(names)
        )
    ]


def _followed(store: Store, studies: Sequence[Study]) -> Followed:
    first = studies[0].definition
    title = first.name if len(studies) == 1 else comparison_of(first) or first.name

    def read() -> list[StudyProgress]:
        try:
            return [study.progress() for study in studies]
        finally:
            # A server's connections are for the workers.
            store.close()

    return Followed(title, tuple(study.name for study in studies), read)


def _present(store: Store, names: Iterable[str]) -> list[Study]:
    """Return the studies of these names that have not been deleted or renamed."""
    return [study for name in names if (study := store.find(name)) is not None]


def _what_is_left(left: Sequence[Followed], definitions: Mapping[str, StudyDefinition]) -> str:
    each = [one.total(one.read()) for one in left]
    if len(each) > 1:
        return total_line(each)
    (done,) = each
    max_epochs = definitions[left[0].studies[0]].training.max_epochs
    expected = f"; {time_left_line(done, max_epochs)}" if done.time_left else ""
    return f"{summary_line(done)}{expected}"


def _has_compiled() -> bool:
    from fdrnn.model.toolchain import has_compiled  # noqa: PLC0415 - as below

    return has_compiled()


def _require_toolchain() -> None:
    # Imports Theano, which a worker of a complete study does without.
    from fdrnn.model.toolchain import check_toolchain  # noqa: PLC0415

    check_toolchain()
