"""Commands that train: ``fdrnn run`` and ``fdrnn worker``."""
# ruff: noqa: PLC0415 - as in `fdrnn.studies.cli.app`

from __future__ import annotations

from typing import Annotated

import typer

from fdrnn.studies.cli.interrupts import remembered_interrupts
from fdrnn.studies.cli.options import (
    DEFAULT_OUTPUT,
    CheckpointEvery,
    DataDir,
    Epochs,
    Lease,
    Name,
    Output,
    Storage,
    StoredStudies,
    StudySources,
    Threads,
    Trials,
)

app = typer.Typer()


@app.command()
def run(
    studies: StudySources,
    trials: Trials = None,
    epochs: Epochs = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Worker processes; without it as many as the usable cores have room for.",
            show_default=False,
        ),
    ] = None,
    threads: Threads = 1,
    lease: Lease = 60.0,
    checkpoint_every: CheckpointEvery = 60.0,
    name: Name = None,
    storage: Storage = None,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Create studies, train their trials, one study after the other, report Table 1.

    Ctrl-C stops cleanly: each worker keeps the state of its trial in the store, and the same
    command goes on from there. A study that is complete is only reported. A comparison's name
    stands for a study of each of its variants, trained by the same workers.

    For example:

        fdrnn run bach --trials 4 --epochs 20

        fdrnn run compare-bach --epochs 10

        fdrnn run jsb jsb-plain --data-dir ~/music --workers 8

        fdrnn run bach --epochs 5 --name bach-short
    """
    with remembered_interrupts():
        from fdrnn.studies.cli.training import Request, WorkerOptions, run_studies

    requests = [Request(study, trials, epochs, name, storage, data_dir) for study in studies]
    options = WorkerOptions(
        n_workers=workers, threads=threads, lease_s=lease, checkpoint_interval_s=checkpoint_every
    )
    raise typer.Exit(run_studies(requests, options, output))


@app.command()
def worker(
    study: StoredStudies,
    workers: Annotated[int, typer.Option(metavar="N", help="Worker processes.")] = 1,
    threads: Threads = 1,
    lease: Lease = 60.0,
    checkpoint_every: CheckpointEvery = 60.0,
    storage: Storage = None,
    data_dir: DataDir = None,
) -> None:
    """Train trials of a study, or of a comparison, of the store until none waits.

    Start as many as there are cores, on as many machines as reach the store; none trains a trial
    that another has. The study is made with `fdrnn study create`.

    For example:

        fdrnn worker jsb

        FDRNN_STORAGE=postgresql+psycopg://host/fdrnn fdrnn worker jsb --workers 8
    """
    with remembered_interrupts():
        from fdrnn.studies.cli.training import WorkerOptions, run_worker

    options = WorkerOptions(
        n_workers=workers, threads=threads, lease_s=lease, checkpoint_interval_s=checkpoint_every
    )
    raise typer.Exit(run_worker(study, options, storage, data_dir))
