"""``fdrnn run`` and ``fdrnn worker``: the commands that train."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated

import typer

from fdrnn.datasets import load
from fdrnn.datasets.errors import FdrnnError, UnknownNameError, shown
from fdrnn.reports.document.writing import require_writable
from fdrnn.search import (
    Store,
    Study,
    WorkerSettings,
    find_store,
    open_store,
)
from fdrnn.search.store.database import Database
from fdrnn.studies.cli.creation import Definitions, any_left, create, requested, require_one
from fdrnn.studies.cli.engine_cluster import require_cluster
from fdrnn.studies.cli.engine_task import end_with
from fdrnn.studies.cli.interrupts import remembered_interrupts
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
    StoredStudies,
    StudySources,
    Threads,
    Trials,
    commands,
    number,
    option,
)
from fdrnn.studies.cli.phases import announced
from fdrnn.studies.cli.readable import chosen_studies, holds
from fdrnn.studies.cli.report import report_results
from fdrnn.studies.cli.training import DaskOptions, TrainingOptions, patiently, present, train
from fdrnn.studies.errors import OptionError

app = commands()


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
        changed = partial(
            requested, trials=trials, epochs=epochs, name=name, repeats=repeats, seed=seed
        )
        requests = [_requested(storage, study, partial(changed, study)) for study in studies]
        if dask is None and patiently(lambda: any_left(requests, storage), settings):
            _require_toolchain()
        require_writable(output)
        store = patiently(lambda: create(requests, storage, data_dir), settings)
    names = [definition.name for definitions in requests for definition in definitions]
    stored = [[store.study(one.name) for one in definitions] for definitions in requests]
    options = TrainingOptions(
        storage=storage,
        n_workers=workers,
        settings=settings,
        data_dir=data_dir,
        deadline=_deadline(max_hours),
        dask=on,
    )
    code = train(store, stored, options)
    left = patiently(lambda: [study.name for study in present(store, names)], settings)
    if gone := ", ".join(name for name in names if name not in left):
        typer.echo(f"fdrnn: deleted or renamed meanwhile, and not reported: {gone}", err=True)
    if left:
        report_results(store, left, output, page=page)
    raise typer.Exit(code)


@app.command()
def worker(
    studies: StoredStudies,
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
    """Train trials of studies in the store until none waits or runs.

    Start one per core, on any number of machines that can connect to the store; a trial is trained
    by one worker at a time. A worker without a trial waits for those of others, which it resumes
    if they stop. Several studies are trained in the given order. `fdrnn study create`
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
        store, stored, needed = patiently(read, settings)
        # Where nothing is left to train, neither a compiler nor the data are needed.
        if needed and dask is None:
            _require_toolchain()
            # Here and not by several workers at once, and with a progress bar.
            for data in needed:
                with announced(f"reading data set {data}"):
                    load(data, data_dir, progress=sys.stderr.isatty())
    options = TrainingOptions(
        storage=storage,
        n_workers=workers if dask else workers or 1,
        settings=settings,
        data_dir=data_dir,
        deadline=_deadline(max_hours),
        dask=on,
        as_json=engine is not None,
    )
    code = train(store, stored, options)
    # The command that an engine belongs to counts the failed trials itself.
    raise typer.Exit(code if engine is None else 0)


def _requested(storage: str, study: str, request: Callable[[], Definitions]) -> Definitions:
    try:
        return request()
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


def _dask(address: str | None, adapt: str | None, workers: int | None) -> DaskOptions | None:
    if address is None:
        if adapt is not None:
            raise OptionError("--adapt is for a cluster that --dask jobqueue makes: add --dask")
        return None
    limits = None
    if adapt is not None:
        numbers = [int(part) if part.isdecimal() else -1 for part in adapt[:100].split(",")]
        if len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1] or numbers[1] == 0:
            raise OptionError(f"--adapt must be MIN,MAX, such as 2,32, got {shown(adapt)}")
        if workers is not None:
            raise OptionError("--workers and --adapt exclude each other; leave one out")
        limits = numbers[0], numbers[1]
    require_cluster(address, workers, limits)
    return DaskOptions(address, limits)


def _settings(
    threads: int, lease: float, checkpoint_every: float, patience: float | None, storage: str
) -> WorkerSettings:
    if patience is None:
        # A file that cannot be opened is mostly a mistake.
        patience = lease if Database(storage).file is None else 0.0
    return WorkerSettings(
        threads=threads, lease_s=lease, checkpoint_interval_s=checkpoint_every, patience_s=patience
    )


def _deadline(max_hours: float | None) -> float:
    return math.inf if max_hours is None else time.monotonic() + 3600 * max_hours


def _require_toolchain() -> None:
    # Imports Theano, which a worker of a complete study does without.
    from fdrnn.model.toolchain import check_toolchain  # noqa: PLC0415

    check_toolchain()
