"""``fdrnn store migrate``."""

from __future__ import annotations

import typer

from fdrnn.search import default_storage_url
from fdrnn.search.store.migrations import migrate


def migrate_store(storage: str | None) -> None:
    """Bring a store up to date and say what was done.

    Parameters
    ----------
    storage
        URL of the store; None for the default.
    """
    done = migrate(storage or default_storage_url())
    if not done.changes:
        typer.echo(f"store {done.store} has schema version {done.after} and needs no migration")
        return
    typer.echo(f"store {done.store}: schema version {done.before} -> {done.after}")
    for change in done.changes:
        typer.echo(f"  {change}")
