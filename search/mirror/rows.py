"""Rows of Optuna's tables, written by statements of ours.

Optuna's interface writes one value in a transaction, and deletes a study by reading all of it.
These statements write many in one, which may be that of our own tables. They fit the version of
Optuna's tables that `fdrnn.search.mirror.optuna_tables.open_mirror` requires.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy.dialects import postgresql, sqlite

_STUDIES: sa.Table = models.StudyModel.__table__
_TRIALS: sa.Table = models.TrialModel.__table__
_STUDY_ATTRIBUTES: sa.Table = models.StudyUserAttributeModel.__table__
_TRIAL_ATTRIBUTES: sa.Table = models.TrialUserAttributeModel.__table__
_CURVES: sa.Table = models.TrialIntermediateValueModel.__table__
_VALUES: sa.Table = models.TrialValueModel.__table__
_PARAMETERS: sa.Table = models.TrialParamModel.__table__


def delete_study(connection: sa.Connection, name: str) -> None:
    """Delete a study, if it is there.

    Parameters
    ----------
    connection
        A connection within a transaction; so for the other functions.
    name
        The study's name.
    """
    if not sa.inspect(connection).has_table(_STUDIES.name):
        return
    study_id = connection.scalar(
        sa.select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == name)
    )
    trial_ids = sa.select(_TRIALS.c.trial_id).where(_TRIALS.c.study_id == study_id)
    for table in reversed(models.BaseModel.metadata.sorted_tables):
        if "trial_id" in table.c:
            connection.execute(table.delete().where(table.c.trial_id.in_(trial_ids)))
        elif "study_id" in table.c:
            connection.execute(table.delete().where(table.c.study_id == study_id))


def rename_study(connection: sa.Connection, name: str, new: str) -> None:
    """Rename a study, if it is there."""
    if sa.inspect(connection).has_table(_STUDIES.name):
        ours = _STUDIES.c.study_name == name
        connection.execute(_STUDIES.update().where(ours).values(study_name=new))


def set_study_attributes(
    connection: sa.Connection, study_id: int, attributes: Mapping[str, Any]
) -> None:
    """Set user attributes of a study, whose key in Optuna's tables is given."""
    _upsert(connection, _STUDY_ATTRIBUTES, ("study_id", "key"), _rows(study_id, attributes))


def add_trials(
    connection: sa.Connection,
    study_id: int,
    trials: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    distributions: Mapping[str, BaseDistribution],
) -> None:
    """Add trials that wait; the caller excludes other processes.

    Parameters
    ----------
    connection
        A connection within a transaction.
    study_id
        The study's key in Optuna's tables.
    trials
        Of each trial, the hyperparameters and the user attributes by name.
    distributions
        Distributions of the hyperparameters by name.
    """
    of_study = _TRIALS.c.study_id == study_id
    begin = connection.scalar(sa.select(sa.func.count()).where(of_study)) or 0
    numbers = range(begin, begin + len(trials))
    new = {"study_id": study_id, "state": TrialState.WAITING}
    connection.execute(_TRIALS.insert(), [{**new, "number": number} for number in numbers])
    added = sa.select(_TRIALS.c.number, _TRIALS.c.trial_id).where(
        of_study, _TRIALS.c.number >= begin
    )
    keys = dict(connection.execute(added).all())
    texts = {name: distribution_to_json(one) for name, one in distributions.items()}
    parameters, attributes = [], []
    for number, (values, of_user) in zip(numbers, trials, strict=True):
        for name, value in values.items():
            stored = distributions[name].to_internal_repr(value)
            parameters.append((keys[number], name, stored, texts[name]))
        attributes += _rows(keys[number], of_user)
    _upsert(connection, _PARAMETERS, ("trial_id", "param_name"), parameters)
    _upsert(connection, _TRIAL_ATTRIBUTES, ("trial_id", "key"), attributes)


class MirroredTrial(NamedTuple):
    """A trial in Optuna's tables: its key, its state, and its value if that is finite."""

    trial_id: int
    state: TrialState
    value: float | None


def trials_by_attribute(
    connection: sa.Connection, study_id: int, key: str
) -> dict[Any, MirroredTrial]:
    """Return trials by a user attribute, the last one with each value."""
    attributes = _TRIAL_ATTRIBUTES.c
    found = connection.execute(
        sa.select(attributes.value_json, _TRIALS.c.trial_id, _TRIALS.c.state, _VALUES.c.value)
        .join(_TRIALS, attributes.trial_id == _TRIALS.c.trial_id)
        .outerjoin(_VALUES, _VALUES.c.trial_id == _TRIALS.c.trial_id)
        .where(_TRIALS.c.study_id == study_id, attributes.key == key)
        .order_by(_TRIALS.c.trial_id)
    )
    return {json.loads(text): MirroredTrial(*trial) for text, *trial in found}


def write_trial(
    connection: sa.Connection,
    trial_id: int,
    curve: Mapping[int, float],
    attributes: Mapping[str, Any],
) -> None:
    """Set intermediate values and user attributes of a trial, whatever its state.

    Parameters
    ----------
    connection
        A connection within a transaction.
    trial_id
        The trial's key in Optuna's tables.
    curve
        Values by step.
    attributes
        User attributes by key.
    """
    stored_form = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
    values = [(trial_id, step, *stored_form(value)) for step, value in curve.items()]
    _upsert(connection, _CURVES, ("trial_id", "step"), values)
    _upsert(connection, _TRIAL_ATTRIBUTES, ("trial_id", "key"), _rows(trial_id, attributes))


def _rows(owner: int, attributes: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [(owner, key, json.dumps(value)) for key, value in attributes.items()]


def _upsert(
    connection: sa.Connection,
    table: sa.Table,
    unique: tuple[str, str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Write rows with every column of a table but its first, which the database numbers."""
    if not rows:
        return
    names = table.c.keys()[1:]
    # Other processes may write the same rows at the same time.
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    changed = {name: insert.excluded[name] for name in names if name not in unique}
    connection.execute(
        insert.on_conflict_do_update(index_elements=unique, set_=changed),
        [dict(zip(names, row, strict=True)) for row in rows],
    )
