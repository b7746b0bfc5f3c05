"""``fdrnn study status``, ``retry`` and ``list``."""

from __future__ import annotations

import typer

from fdrnn.search import (
    StoreError,
    StudyProgress,
    default_storage_url,
    open_store,
    selected,
    study_progress,
    trials,
)
from fdrnn.studies import catalogue
from fdrnn.studies.cli.tables import print_table


def summary_line(progress: StudyProgress) -> str:
    """Say how far a study is.

    Parameters
    ----------
    progress
        Its counts.

    Returns
    -------
    str
        For example ``"study jsb: 5 of 32 trials finished (1 diverged), 2 running, 25 waiting"``.
    """
    diverged = f" ({progress.diverged} diverged)" if progress.diverged else ""
    others = [
        f"{count} {state}"
        for count, state in (
            (progress.running, "running"),
            (progress.waiting, "waiting"),
            (progress.failed, "failed"),
        )
        if count
    ]
    done = f"{progress.finished} of {progress.n_trials} trials finished{diverged}"
    return f"study {progress.study}: {', '.join([done, *others])}"


def show_status(study: str, storage: str | None) -> int:
    """Print how far a study is.

    Parameters
    ----------
    study
        Its name in the store.
    storage
        URL of the store; None for the default.

    Returns
    -------
    int
        Exit code: 1 if trials have failed.
    """
    store = open_store(storage or default_storage_url())
    stored = store.study(study)
    progress = study_progress(store, study)
    definition, settings = stored.definition, stored.definition.training
    typer.echo(summary_line(progress))
    typer.echo(
        f"data {definition.data}, variant {definition.variant}, space {definition.space}, "
        f"seed {definition.seed}, at most {settings.max_epochs} epochs, patience "
        f"{settings.patience}, padding {settings.padding}; made with fdrnn {stored.code_version} "
        f"on {stored.created_at:%Y-%m-%d %H:%M} UTC"
    )
    table = trials(store, study)
    best = selected(table)
    if best is not None:
        row = table[table["config_index"] == best].iloc[0]
        typer.echo(
            f"lowest validation NLL: {row['valid_nll']:.3f}, trial {best}, epoch "
            f"{row['best_epoch']}"
        )
    if progress.running_trials:
        print_table(
            ("trial", "worker", "attempt", "epoch", "best validation NLL", "last sign of life"),
            [
                (
                    str(trial.config_index),
                    trial.worker,
                    str(trial.attempt),
                    str(trial.epoch),
                    "-" if trial.best_valid_nll is None else f"{trial.best_valid_nll:.3f}",
                    f"{trial.lease_age_s:.0f} s ago" + _expired(trial.lease_left_s),
                )
                for trial in progress.running_trials
            ],
        )
    for failed in progress.failed_trials:
        typer.echo(f"\ntrial {failed.config_index} failed:\n{failed.error.rstrip()}")
    return 1 if progress.failed else 0


def retry_failed(study: str, storage: str | None) -> None:
    """Let the failed trials of a study wait again.

    Parameters
    ----------
    study
        Its name in the store.
    storage
        URL of the store; None for the default.
    """
    store = open_store(storage or default_storage_url())
    n_retried = store.requeue_failed(store.study(study).study_id)
    typer.echo(f"{n_retried} failed trials of study {study} wait again; `fdrnn run` trains them")


def list_studies(storage: str | None) -> None:
    """Print the project's own study definitions and the studies of a store.

    Parameters
    ----------
    storage
        URL of the store; None for the default, which need not be there yet.
    """
    typer.echo("Study definitions that `fdrnn run` knows by name:")
    definitions = [catalogue.find(name) for name in catalogue.names()]
    print_table(
        ("study", "data", "variant", "space", "trials", "most epochs"),
        [
            (
                definition.name,
                definition.data,
                definition.variant,
                definition.space,
                str(definition.n_trials),
                str(definition.training.max_epochs),
            )
            for definition in definitions
        ],
    )
    try:
        store = open_store(storage or default_storage_url())
    except StoreError as error:
        if storage is not None:
            raise
        typer.echo(f"\n{error}")
        return
    typer.echo(f"\nIn store {store.database.shown}:")
    for name in store.study_names():
        typer.echo(f"  {summary_line(study_progress(store, name))}")


def _expired(lease_left_s: float) -> str:
    return ", given up: the next worker takes it" if lease_left_s < 0 else ""
