"""Notes of studies in optuna-dashboard, updated by the commands that change a study."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import typer

from fdrnn.reports.dashboard_note import dashboard_page
from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.search import EventKind, Store, StoreError, Study, WorkerEvent
from fdrnn.search.mirror.notes import update_note


class CompletionNotes:
    """Updates the notes of studies that are trained together, each when its study is complete.

    Parameters
    ----------
    store, studies
        The studies, and their store.
    """

    def __init__(self, store: Store, studies: Iterable[Study]) -> None:
        self._store = store
        self._left = {study.name: study for study in studies}

    def show(self, event: WorkerEvent) -> None:
        """Update the note of the event's study if its last trial has ended."""
        study = self._left.get(event.study)
        if study is None or event.kind not in {EventKind.FINISHED, EventKind.FAILED}:
            return
        with suppress(StoreError):
            try:
                complete = study.progress().complete
            finally:
                # A server's connections are for the workers.
                self._store.close()
            if complete:
                refresh_notes([self._left.pop(event.study)])

    def finish(self) -> None:
        """Update the notes that are left."""
        refresh_notes(self._left.values())


def refresh_notes(studies: Iterable[Study]) -> None:
    """Read studies of a store, and update their notes as `write_notes` does."""
    write_notes(map(read, studies))


def write_notes(studies: Iterable[Evidence]) -> None:
    """Update note and figure of the studies of a report.

    A store that cannot be read or written is reported in one line and fails no command.
    """
    try:
        for evidence in studies:
            page = dashboard_page(evidence)
            update_note(evidence.study, page.note, page.figures)
    except StoreError as error:
        typer.echo(f"fdrnn: the note in optuna-dashboard was not updated: {error}", err=True)
