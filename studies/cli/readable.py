"""Studies of a store that this fdrnn can read."""

from __future__ import annotations

import typer

from fdrnn.search import ForeignStudyError, Store, Study


def readable_studies(store: Store) -> list[Study]:
    """Return a store's studies, oldest first; print a line for each unreadable one."""
    studies = []
    for name in store.study_names():
        try:
            studies.append(store.study(name))
        except ForeignStudyError as error:
            typer.echo(f"fdrnn: left out: {error}", err=True)
    return studies
