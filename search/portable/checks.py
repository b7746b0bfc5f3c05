"""Relations between the rows of a study, checked before they are inserted into a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from fdrnn.datasets import DataDescription
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.space import SPACES
from fdrnn.search.portable.codec import KEY, Row, carried, short_name
from fdrnn.search.store import tables
from fdrnn.search.store.tables import TrialState

STUDY_COLUMNS = tuple(column.name for column in carried(tables.studies) if column.name != "name")
"""The columns of a study's own row that a file has beside the name."""

_AT_REST = (TrialState.WAITING, TrialState.FINISHED, TrialState.FAILED)


def key_of(table: sa.Table, row: Row) -> tuple[Any, ...]:
    """Return the key of a row within its table: `KEY` first, then the other keys."""
    others = (column.name for column in table.primary_key if column.name != "trial_id")
    return (row[KEY], *(row[name] for name in others))


def require_a_study(
    definition: StudyDefinition, study: Row, rows: Mapping[sa.Table, Sequence[Row]]
) -> None:
    """Require that rows form a study.

    Parameters
    ----------
    definition
        The definition.
    study
        The study's own row, with the columns `STUDY_COLUMNS`.
    rows
        The rows of the other tables.

    Raises
    ------
    OutputMismatchError
        If the definition's output does not fit the data.
    ValueError, TypeError
        If a column of `study` is missing or unknown or its data no description of data; if trials
        are missing, run, or have a hyperparameter that the definition's space has not; if a row
        is listed twice or belongs to no trial.
    """
    if set(study) != set(STUDY_COLUMNS):
        raise ValueError(f"the study must have the keys {', '.join(STUDY_COLUMNS)}")
    definition.require_data(DataDescription(**study["data"]))
    trials = rows[tables.trials]
    indices = [trial[KEY] for trial in trials]
    if indices != list(range(definition.n_trials)):
        raise ValueError(f"trials must be 0 to {definition.n_trials - 1}, each once and in order")
    choices = {one.name: one.choices for one in SPACES[definition.space].parameters}
    for trial in trials:
        _require_a_trial(trial, choices)
    for table, some in rows.items():
        keys = [key_of(table, row) for row in some]
        if len(set(keys)) != len(keys):
            raise ValueError(f"a row of {short_name(table)} is listed twice")
        if not {row[KEY] for row in some} <= set(indices):
            raise ValueError(f"a row of {short_name(table)} belongs to no trial")


def _require_a_trial(trial: Row, choices: Mapping[str, Sequence[Any]]) -> None:
    if trial["state"] not in _AT_REST:
        raise ValueError(
            f"trial {trial[KEY]}: state must be {', '.join(_AT_REST)}, got {trial['state']!r}"
        )
    for name, value in dict(trial["hyperparameters"]).items():
        if value not in choices.get(name, ()):
            raise ValueError(f"trial {trial[KEY]}: {name} = {value!r} is not in the study's space")
