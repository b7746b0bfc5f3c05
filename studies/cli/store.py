"""``fdrnn store``: the store itself."""

from __future__ import annotations

from typing import Annotated

import typer

from fdrnn.search import check_store, open_store
from fdrnn.search import migrate as migrate_store
from fdrnn.studies.cli.options import AnyStudies, Storage, commands, option
from fdrnn.studies.cli.readable import chosen_studies
from fdrnn.studies.cli.tables import print_table
from fdrnn.studies.cli.units import file_size

app = commands("Migrate, check and prune a store.")


@app.command()
def migrate(storage: Storage) -> None:
    """Migrate the store's tables to the version that this fdrnn reads.

    Studies keep everything and can be resumed. The store's own tables change in one transaction,
    which is refused while workers train; Optuna's are upgraded, or created where they are
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


@app.command()
def check(storage: Storage) -> None:
    """Check the store's file, rows and arrays; nothing is written.

    Prints a line for each finding, with the way to fix it: damage of a SQLite file, rows that break
    a rule or contradict each other, checkpoints, parameters and samples whose digests differ. The
    exit code is then 1. A study that needs a missing plug-in or another fdrnn is named as not
    checked; it is no finding.
    """
    store = open_store(storage)
    findings, unchecked = check_store(store)
    for line in unchecked:
        typer.echo(f"fdrnn: not checked: {line}", err=True)
    for finding in findings:
        typer.echo(finding)
    if findings:
        raise typer.Exit(1)
    typer.echo(f"store {store.shown}: no damage found{' in the rest' if unchecked else ''}")


@app.command()
def prune(
    studies: AnyStudies,
    dry_run: Annotated[
        bool, option("--dry-run", default=False, help="Only print what would be deleted.")
    ],
    storage: Storage,
) -> None:
    """Delete the checkpoints of finished and pruned trials, which only an extension needs.

    Such trials resume from them when the study is extended by more epochs or patience, or by a
    halving that keeps more; without them they are trained from the start. Results, curves and
    trained parameters stay. SQLite reuses the space; `VACUUM` makes the file smaller.

    For example:

        fdrnn store prune --dry-run

        fdrnn store prune jsb
    """
    store = open_store(storage)
    rows = []
    for study in chosen_studies(store, studies):
        number, n_bytes = study.last_states()
        rows.append((study.name, str(number), file_size(n_bytes)))
        if not dry_run:
            study.drop_last_states()
    print_table(("study", "checkpoints", "size" if dry_run else "size, deleted"), rows, n_text=1)
