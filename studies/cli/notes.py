"""The notes in optuna-dashboard, updated by commands."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from fdrnn.reports.dashboard_note import dashboard_page
from fdrnn.reports.numbers.findings import Findings, read_evidence
from fdrnn.search import Store, StoreError
from fdrnn.search.mirror.notes import update_note


def refresh_notes(store: Store, studies: Sequence[str]) -> None:
    """Update note and figure of studies, named by their names or their comparison's.

    A store that cannot be read or written is reported in one line, and no command fails by it.
    """
    try:
        write_notes(store, read_evidence(store, studies))
    except StoreError as error:
        _warn(error)


def write_notes(store: Store, findings: Findings) -> None:
    """Update note and figure of the studies of a report, as `refresh_notes` does."""
    try:
        for name, evidence in findings.studies.items():
            page = dashboard_page(evidence)
            update_note(store, name, page.note, page.figures)
    except StoreError as error:
        _warn(error)


def _warn(error: StoreError) -> None:
    typer.echo(f"fdrnn: the note in optuna-dashboard was not updated: {error}", err=True)
