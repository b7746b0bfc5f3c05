"""Notes of studies in optuna-dashboard, updated by the commands that change a study."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from fdrnn.reports.dashboard_note import dashboard_page
from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.search import StoreError, Study
from fdrnn.search.mirror.notes import update_note


def refresh_notes(studies: Iterable[Study]) -> bool:
    """Read studies of a store, and update their notes as `write_notes` does."""
    return write_notes(map(read, studies))


def write_notes(studies: Iterable[Evidence]) -> bool:
    """Update note and figure of the studies of a report, and return whether all were updated.

    A store that cannot be read or written is reported in one line and fails no command.
    """
    try:
        for evidence in studies:
            page = dashboard_page(evidence)
            update_note(evidence.study, page.note, page.figures)
    except StoreError as error:
        typer.echo(f"fdrnn: the note in optuna-dashboard was not updated: {error}", err=True)
        return False
    return True
