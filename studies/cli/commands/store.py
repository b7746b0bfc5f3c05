"""Commands of ``fdrnn store``."""
# ruff: noqa: PLC0415 - as in `fdrnn.studies.cli.app`

from __future__ import annotations

import typer

from fdrnn.studies.cli.options import (
    Storage,
)

app = typer.Typer(no_args_is_help=True, help="Bring a store of an earlier fdrnn up to date.")


@app.command("migrate")
def store_migrate(storage: Storage = None) -> None:
    """Bring the store's tables to the version that this fdrnn reads.

    Studies keep everything and go on. The store's own tables change in one transaction, refused
    while workers hold trials; Optuna's are upgraded, and made again where they are missing.
    An earlier fdrnn cannot read the store afterwards: copy the file, or dump the database, first.
    """
    from fdrnn.studies.cli.migrating import migrate_store

    migrate_store(storage)
