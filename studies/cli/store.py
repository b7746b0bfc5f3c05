"""``fdrnn store``: the store itself."""

from __future__ import annotations

import typer

from fdrnn.search import migrate as migrate_store
from fdrnn.studies.cli.options import Storage, commands

app = commands("Migrate a store of an earlier fdrnn.")


@app.command()
def migrate(storage: Storage) -> None:
    """Migrate the store's tables to the version that this fdrnn reads.

    Studies keep everything and can be resumed. The store's own tables change in one transaction,
    which is refused while workers train; Optuna's are upgraded, or made again where they are
    missing. An earlier fdrnn cannot read the store afterwards: copy the file, or dump the
    database, first.
    """
    done = migrate_store(storage)
    if not done.changes:
        typer.echo(f"store {done.store} has schema version {done.after} and needs no migration")
        return
    typer.echo(f"store {done.store}: schema version {done.before} -> {done.after}")
    for change in done.changes:
        typer.echo(f"  {change}")
