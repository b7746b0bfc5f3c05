"""Studies of a store that this fdrnn can read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import typer

from fdrnn.search import ForeignStudyError, Store, Study


def chosen_studies(store: Store, names: Sequence[str] = ()) -> list[Study]:
    """Return the studies that a user named, or all that this fdrnn can read, oldest first.

    Prints a line for each one that is left out.
    """
    if names:
        return store.studies(names)
    studies = []
    for name in store.study_names():
        try:
            studies.append(store.study(name))
        except ForeignStudyError as error:
            _say(f"fdrnn: left out: {error}")
    return studies


@cache
def _say(line: str) -> None:
    # Once: a command that watches the store reads it again and again.
    typer.echo(line, err=True)
