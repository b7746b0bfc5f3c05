"""Studies of a store that this fdrnn can read."""

from __future__ import annotations

import typer

from fdrnn.search import ForeignStudyError, Store


def readable_studies(store: Store) -> list[str]:
    """Return the names of a store's studies, oldest first, but for those of another fdrnn.

    Each of these is told in a line on the standard error.
    """
    names = []
    for name in store.study_names():
        try:
            store.study(name)
        except ForeignStudyError as error:
            typer.echo(f"fdrnn: left out: {error}", err=True)
        else:
            names.append(name)
    return names
