"""``fdrnn study status``, ``retry`` and ``list``."""

from __future__ import annotations

import contextlib

import typer

from fdrnn.search import (
    Store,
    StoreError,
    StoreUnavailableError,
    WorkerSettings,
    default_storage_url,
    open_store,
    study_progress,
)
from fdrnn.search.design.comparison import comparison_of
from fdrnn.search.store.database import Database
from fdrnn.search.store.frames import chosen_studies, named_studies
from fdrnn.search.work.claiming import requeue_expired
from fdrnn.search.work.outage import StoreWatch
from fdrnn.studies import catalogue
from fdrnn.studies.cli.readable import readable_studies
from fdrnn.studies.cli.status_view import StudyStatus, summary_line
from fdrnn.studies.cli.tables import print_table
from fdrnn.studies.cli.watch import Statuses, follow, require_interval, view

_INTERRUPTED = 130


def show_status(
    study: str | None, storage: str | None, *, watched: bool, every_s: float, as_json: bool
) -> int:
    """Print how far a study is, or every study of the store.

    Parameters
    ----------
    study
        Its name in the store, or a comparison's; None for all.
    storage
        URL of the store; None for the default.
    watched
        Whether to go on until nothing waits or runs, or Ctrl-C.
    every_s
        Seconds between two looks.
    as_json
        Whether to print JSON, a line for each look.

    Returns
    -------
    int
        Exit code: 1 if trials have failed; 130 after Ctrl-C.

    Raises
    ------
    OptionError
        If `every_s` is no time to wait.
    """
    require_interval(every_s)
    # Two looks may lie further apart than a lease is long: that is no sleep.
    watch = StoreWatch(WorkerSettings().lease_s + 2.0 * every_s)

    def look() -> list[StudyStatus]:
        # Opened anew each time: a store that was away need not be the same connection.
        store = open_store(storage or default_storage_url())
        try:
            names = chosen_studies(store, [] if study is None else [study])
            return [_taken_up(store, StudyStatus.read(store, name), watch) for name in names]
        finally:
            store.close()

    def read() -> list[StudyStatus]:
        try:
            statuses = look()
        except StoreUnavailableError as error:
            watch.missed(error)
            raise
        watch.reached()
        return statuses

    statuses: Statuses = read()
    shown = Database(storage or default_storage_url()).shown
    try:
        with view(shown, watched=watched, as_json=as_json) as viewer:
            viewer.show(statuses)
            if watched:
                statuses = follow(statuses, read, viewer, every_s)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 1 if any(status.progress.failed for status in statuses) else 0


def _taken_up(store: Store, status: StudyStatus, watch: StoreWatch) -> StudyStatus:
    """Let trials whose leases have expired wait again, where the store may be written."""
    expired = any(trial.lease_left_s < 0 for trial in status.progress.running_trials)
    # Holders that slept as this process did, or lost the store as it did, are about to renew.
    if not expired or not watch.trusts_expiry:
        return status
    name = status.progress.study
    with contextlib.suppress(StoreError):
        requeue_expired(store.database, store.study(name).study_id)
    return StudyStatus.read(store, name)


def retry_failed(study: str, storage: str | None) -> None:
    """Let the failed trials of a study, or of a comparison, wait again.

    Parameters
    ----------
    study
        Its name in the store.
    storage
        URL of the store; None for the default.
    """
    store = open_store(storage or default_storage_url())
    n_retried = 0
    for name in named_studies(store, study):
        study_id = store.study(name).study_id
        n_retried += store.study(name).retry_failed()
        requeue_expired(store.database, study_id)
    typer.echo(f"{n_retried} failed trials of study {study} wait again; `fdrnn run` trains them")


def list_studies(storage: str | None) -> None:
    """Print the project's own study definitions and the studies of a store.

    Parameters
    ----------
    storage
        URL of the store; None for the default, which need not be there yet.
    """
    typer.echo("Study definitions that `fdrnn run` knows by name:")
    print_table(
        ("study", "data", "variant", "space", "trials", "most epochs"),
        [_listed(name) for name in catalogue.names()],
    )
    try:
        store = open_store(storage or default_storage_url())
    except StoreError as error:
        if storage is not None:
            raise
        typer.echo(f"\n{error}")
        return
    typer.echo(f"\nIn store {store.database.shown}:")
    for name in readable_studies(store):
        typer.echo(f"  {summary_line(study_progress(store, name))}")


def _listed(name: str) -> tuple[str, ...]:
    definitions = catalogue.find_all(name)
    first, n = definitions[0], len(definitions)
    compared = comparison_of(first) is not None
    return (
        name,
        first.data,
        f"{n} variants" if compared else first.variant,
        "-" if compared else first.space,
        f"{n} x {first.n_trials}" if compared else str(first.n_trials),
        str(first.training.max_epochs),
    )
