"""Studies that a user asks for: their definitions with what options replace, made in a store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import typer

from fdrnn.datasets import DataDescription, load
from fdrnn.reports.numbers.text import plural
from fdrnn.search import (
    Store,
    Study,
    StudyDefinition,
    create_study,
    find_store,
    open_store,
)
from fdrnn.search.design.comparison import comparison_of, study_name
from fdrnn.search.work.creation import require_creatable
from fdrnn.studies import catalogue
from fdrnn.studies.cli.notes import refresh_notes
from fdrnn.studies.cli.phases import announced
from fdrnn.studies.errors import OptionError

Definitions = tuple[StudyDefinition, ...]
"""Of one study, or of all studies of a comparison."""


def require_one(name: str | None, studies: Sequence[str]) -> None:
    """Raise OptionError if a name is given to several studies."""
    if name is not None and len(studies) > 1:
        raise OptionError(f"--name names one study, got {len(studies)}; give them one by one")


def requested(
    study: str,
    *,
    trials: int | None = None,
    epochs: int | None = None,
    name: str | None = None,
    repeats: int | None = None,
    seed: int | None = None,
) -> Definitions:
    """Return the definition of a study, or those of a comparison, as options change them.

    Parameters
    ----------
    study
        Name or path of the definition.
    trials, epochs, name, repeats, seed
        What replaces ``n_trials``, ``max_epochs``, the name, ``repeats`` and ``seed``; None for
        nothing. Rungs of a halving that `epochs` does not reach are left out.
    """

    def changed(definition: StudyDefinition) -> StudyDefinition:
        if trials is not None:
            definition = replace(definition, n_trials=trials)
        if epochs is not None:
            training = replace(definition.training, max_epochs=epochs)
            halving = definition.halving and definition.halving.below(epochs)
            definition = replace(definition, training=training, halving=halving)
        if repeats is not None:
            definition = replace(definition, repeats=repeats)
        if seed is not None:
            definition = replace(definition, seed=seed)
        if name is not None:
            compared = comparison_of(definition) is not None
            new = study_name(name, definition.variant) if compared else name
            definition = replace(definition, name=new)
        return definition

    return tuple(map(changed, catalogue.find_all(study)))


def any_left(requests: Sequence[Definitions], storage: str) -> bool:
    """Return whether a study is missing in a store, or not complete as it is requested.

    Parameters
    ----------
    requests
        The definitions of each study or comparison.
    storage
        URL of the store, which is not made.
    """
    store = find_store(storage)
    if store is None:
        return True
    try:
        return not all(_is_complete(store, one) for definitions in requests for one in definitions)
    finally:
        store.close()


def create(requests: Sequence[Definitions], storage: str, data_dir: Path | None) -> Store:
    """Create or extend studies, and print what the store now holds.

    Parameters
    ----------
    requests
        The definitions of each study or comparison.
    storage
        URL of the store, which is made where it is missing.
    data_dir
        Folder with data files; None where they are cached or fetched.
    """
    # A mistake in a definition or in data makes no store, and changes no study.
    existing = find_store(storage)
    described = [_describe(existing, definitions, data_dir) for definitions in requests]
    _require_creatable(existing, requests, described)
    store = existing or open_store(storage, create=True)
    for definitions, data in zip(requests, described, strict=True):
        _create(store, definitions, data)
    return store


def _require_creatable(
    store: Store | None,
    requests: Sequence[Definitions],
    described: Sequence[DataDescription | None],
) -> None:
    wanted: dict[str, StudyDefinition] = {}
    for definitions, data in zip(requests, described, strict=True):
        for definition in definitions:
            if wanted.setdefault(definition.name, definition) != definition:
                raise OptionError(
                    f"two different definitions of study {definition.name!r} are given; give one, "
                    "or run them one by one with --name"
                )
            if data is not None:
                require_creatable(store, definition, data)


def _describe(
    store: Store | None, definitions: Definitions, data_dir: Path | None
) -> DataDescription | None:
    # The data are not needed where nothing is left to train.
    if store is not None and all(_is_complete(store, definition) for definition in definitions):
        return None
    with announced(f"reading data set {definitions[0].data}"):
        dataset = load(definitions[0].data, data_dir, progress=sys.stderr.isatty())
    for definition in definitions:
        definition.require_data(dataset.description)
    return dataset.description


def _is_complete(store: Store, definition: StudyDefinition) -> bool:
    study = store.find(definition.name)
    return study is not None and study.definition == definition and study.progress().complete


def _create(store: Store, definitions: Definitions, data: DataDescription | None) -> None:
    first = definitions[0]
    what = f"study {first.name}: {plural(first.n_trials, 'trial')} in store {store.shown}"
    if len(definitions) > 1:
        what = (
            f"comparison {comparison_of(first)}: {len(definitions)} studies of "
            f"{plural(first.n_trials, 'trial')} in store {store.shown}"
        )
    if data is None:
        typer.echo(f"{what}, all have ended", err=True)
        return
    refresh_notes([_created(store, definition, data) for definition in definitions])
    typer.echo(what, err=True)
    if data.note:
        typer.echo(f"{data.title}: {data.note}", err=True)


def _created(store: Store, definition: StudyDefinition, data: DataDescription) -> Study:
    """Create or extend a study; say what an extension changes and which results it takes away."""
    before = store.find(definition.name)
    if before is None:
        return create_study(store, definition, data)
    n_finished = before.progress().finished
    study = create_study(store, definition, data)
    if changes := _changes(before.definition, study.definition):
        n_again = n_finished - study.progress().finished
        again = f"; no result of {plural(n_again, 'trial')} until trained further"
        changed = f"study {study.name} is extended: {', '.join(changes)}"
        typer.echo(f"{changed}{again if n_again > 0 else ''}", err=True)
    return study


def _changes(before: StudyDefinition, after: StudyDefinition) -> list[str]:
    """Return what an extension can change, as ``"max_epochs 30 instead of 3"``."""

    def values(definition: StudyDefinition) -> dict[str, object]:
        training, halving = definition.training, definition.halving
        return {
            "n_trials": definition.n_trials,
            "repeats": definition.repeats,
            "max_epochs": training.max_epochs,
            "patience": training.patience,
            "halving": "none" if halving is None else f"at {[*halving.rungs]}, keep {halving.keep}",
        }

    old, new = values(before), values(after)
    return [f"{key} {new[key]} instead of {old[key]}" for key in new if new[key] != old[key]]
