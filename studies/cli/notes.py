"""What optuna-dashboard tells of the studies of a store, brought up to date by commands."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from fdrnn.reports.dashboard_note import dashboard_page
from fdrnn.search import Store, StoreError
from fdrnn.search.mirror.notes import update_note
from fdrnn.search.store.frames import chosen_studies


def refresh_notes(store: Store, studies: Sequence[str] = ()) -> None:
    """Bring note and figure of studies up to date.

    No command fails by it: a store that cannot be written is told in one line.

    Parameters
    ----------
    store
        The store.
    studies
        Names in the store, or of comparisons; all of it if there are none.
    """
    for study in chosen_studies(store, studies):
        try:
            page = dashboard_page(store, study)
            update_note(store, study, page.note, page.figures)
        except StoreError as error:
            typer.echo(f"fdrnn: the note in optuna-dashboard stays as it was: {error}", err=True)
            return
