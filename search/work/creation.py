"""Creation of studies: their configurations are drawn once, from the study's seed."""

from __future__ import annotations

from dataclasses import replace

from fdrnn.datasets import DataDescription, is_path
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.rules import require_effects
from fdrnn.search.design.sampler import draw
from fdrnn.search.design.space import Configuration
from fdrnn.search.errors import StudyConflictError
from fdrnn.search.mirror.optuna_tables import Mirror
from fdrnn.search.store.store import Store
from fdrnn.search.store.study import Study
from fdrnn.search.work.claiming import requeue_expired


def create_study(store: Store, definition: StudyDefinition, data: DataDescription) -> Study:
    """Create a study, or extend the one of its name, and return it.

    Any number of processes may do so at once. A study of that name with the same definition and
    data is unchanged, but for expired leases, whose trials are requeued. A larger number of
    trials adds trials; a smaller one is refused.

    Parameters
    ----------
    store
        The store.
    definition
        The study's definition.
    data
        The description of its data set. A study in the store keeps its data file's path where
        another file has the same content.

    Returns
    -------
    Study
        The study in the store.

    Raises
    ------
    DefinitionError
        If a new study draws a setting that has no effect (`fdrnn.search.design.rules`).
    OutputMismatchError
        If the definition's output does not fit the data.
    StudyConflictError
        If the study differs from the one in the store in more than what extends it
        (`StudyDefinition.differences`), or repeats are added to a study of failed trials.
    StoreError
        If the store fails.
    """
    definition.require_data(data)
    study = store.find(definition.name)
    definition = _as_stored(study, definition, data)
    if study is None or _extension(study, definition) != study.definition:
        with store.database.exclusive():
            _create_or_extend(store, definition, data)
        study = store.study(definition.name)
        # Another process may have created it in the meantime.
        definition = _as_stored(study, definition, data)
    _require_same(store, definition, data, study)
    requeue_expired(store.database, study.study_id)
    Mirror(study).sync()
    return study


def require_creatable(
    store: Store | None, definition: StudyDefinition, data: DataDescription
) -> None:
    """Check that `create_study` creates or extends a study; nothing is written.

    Parameters
    ----------
    store
        The store; None if it is still to be made.
    definition, data
        As for `create_study`, with its errors.
    """
    definition.require_data(data)
    study = None if store is None else store.find(definition.name)
    if study is None:
        _require_effects(definition)
    elif store is not None:
        _require_extendable(store, _as_stored(study, definition, data), data, study)


def _as_stored(
    study: Study | None, definition: StudyDefinition, data: DataDescription
) -> StudyDefinition:
    """Return a definition with the store's path of a data file that has the same content."""
    if study is None or data.fingerprint != study.data.fingerprint:
        return definition
    if not (is_path(definition.data) and is_path(study.definition.data)):
        return definition
    return replace(definition, data=study.definition.data)


def _create_or_extend(store: Store, definition: StudyDefinition, data: DataDescription) -> None:
    study = store.find(definition.name)
    definition = _as_stored(study, definition, data)
    if study is None:
        _require_effects(definition)
        store.add_study(definition, data, _draw(definition, first=0))
        return
    _require_extendable(store, definition, data, study)
    extended = _extension(study, definition)
    if extended != study.definition:
        store.extend_study(study, extended, _draw(extended, first=study.definition.n_trials))


def _require_effects(definition: StudyDefinition) -> None:
    require_effects(definition.space, definition.variant, definition.output, definition.training)


def _require_extendable(
    store: Store, definition: StudyDefinition, data: DataDescription, study: Study
) -> None:
    _require_same(store, definition, data, study)
    if definition.repeats <= study.definition.repeats:
        return
    progress = study.progress()
    if progress.complete and study.selected is None:
        raise StudyConflictError(
            f"study {study.name!r} has no trial to repeat: of {progress.n_trials} trials "
            f"{progress.failed} failed and {progress.diverged} diverged; "
            + (
                f"`fdrnn study retry {study.name}` retries those that failed"
                if progress.failed
                else "draw more with --trials, or change the definition and its name"
            )
        )


def _extension(study: Study, wanted: StudyDefinition) -> StudyDefinition:
    if wanted.differences(study.definition):
        return study.definition
    return study.definition.extended_by(wanted)


def _draw(definition: StudyDefinition, first: int) -> list[Configuration]:
    indices = range(first, definition.n_trials)
    return draw(definition.space, definition.seed, indices)


def _require_same(
    store: Store, definition: StudyDefinition, data: DataDescription, study: Study
) -> None:
    differences = definition.differences(study.definition)
    if data.fingerprint != study.data.fingerprint:
        differences.append(
            f"contents of data set {definition.data!r}: here {data.fingerprint[:12]}..., "
            f"in the store {study.data.fingerprint[:12]}..."
        )
    fewer_trials = definition.n_trials < study.definition.n_trials
    if fewer_trials:
        differences.append(
            f"n_trials: here {definition.n_trials}, in the store {study.definition.n_trials}"
        )
    # An extension by an option is not remembered: the next command must give it, too.
    options = f" --trials {study.definition.n_trials}" if fewer_trials else ""
    max_epochs = study.definition.training.max_epochs
    if definition.training.max_epochs < max_epochs:
        options += f" --epochs {max_epochs}"
    way_out = "use the study as it is in the store" + (options and f", with{options}")
    if differences:
        raise StudyConflictError(
            f"study {definition.name!r} in store {store.shown} differs: "
            f"{'; '.join(differences)}; keep both by another name (--name) or another store "
            f"(--storage), or {way_out}"
        )
