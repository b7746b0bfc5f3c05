"""Studies of a store: those that this fdrnn can read, and those that a command line names."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from functools import cache

import typer

from fdrnn.datasets.errors import UnknownNameError, shown
from fdrnn.search import ForeignStudyError, Store, Study
from fdrnn.search.design.comparison import comparison_studies
from fdrnn.studies import catalogue


def chosen_studies(store: Store, names: Sequence[str] = ()) -> list[Study]:
    """Return the studies that a user named, or all that this fdrnn can read, oldest first.

    Prints a line for each one that is left out.
    """
    if names:
        return store.studies(stored_names(store, names))
    studies = []
    for name in store.study_names():
        try:
            studies.append(store.study(name))
        except ForeignStudyError as error:
            _say(f"fdrnn: left out: {error}")
    return studies


def holds(store: Store, name: str) -> bool:
    """Return whether a store has a study, or a study of a comparison, of that name."""
    return not {name, *comparison_studies(name)}.isdisjoint(store.study_names())


def stored_names(store: Store, names: Iterable[str]) -> list[str]:
    """Return the names of studies that a command line gives.

    Raises
    ------
    UnknownNameError
        If one is the path of a study file, where the store's name of the study is needed.
    """
    checked = list(names)
    for given in filter(catalogue.is_path, checked):
        name = catalogue.name_of(given)
        if name is None or holds(store, given):
            continue
        if holds(store, name):
            hint = f"this command takes the study's name in store {store.shown}: {name}"
        else:
            hint = (
                f"store {store.shown} does not have its study {shown(name)}; `fdrnn study create "
                f"{shlex.quote(given)}` creates it"
            )
        raise UnknownNameError("study", given, (), hint)
    return checked


@cache
def _say(line: str) -> None:
    # Once: a command that watches the store reads it again and again.
    typer.echo(line, err=True)
