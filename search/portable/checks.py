"""Relations between the rows of a study, checked before they are inserted into a store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.portable.codec import KEY, Row, carried, short_name
from fdrnn.search.store import tables
from fdrnn.search.store.checking import broken_rules, contradictions
from fdrnn.search.store.rules import checked, described
from fdrnn.search.store.samples import samples_of
from fdrnn.search.store.tables import TrialState

STUDY_COLUMNS = tuple(column.name for column in carried(tables.studies) if column.name != "name")
"""The columns of a study's own row that a file has beside the name."""

_EPOCH_COLUMNS = {KEY, *(column.name for column in carried(tables.epochs))}
_AT_REST = tuple(state for state in TrialState if state != TrialState.RUNNING)


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
        If a column of `study` is missing, unknown or breaks its rule; if trials are missing, run,
        have other hyperparameters than a draw from the definition's space, a result that
        contradicts itself, other epochs than 1 to the last, or samples that do not fit the data;
        if a row is listed twice or belongs to no trial.
    """
    if set(study) != set(STUDY_COLUMNS):
        raise ValueError(f"the study must have the keys {', '.join(STUDY_COLUMNS)}")
    for name, value in study.items():
        checked(tables.studies.c[name], value)
    data = described(study["data"])
    definition.require_data(data)
    trials = rows[tables.trials]
    indices = [trial[KEY] for trial in trials]
    draws = [trial[KEY] for trial in trials if trial["repeat_of"] is None]
    if draws != list(range(definition.n_trials)):
        raise ValueError(f"trials must be 0 to {definition.n_trials - 1}, each once and in order")
    for table, some in rows.items():
        keys = [key_of(table, row) for row in some]
        if len(set(keys)) != len(keys):
            raise ValueError(f"a row of {short_name(table)} is listed twice")
        if not {row[KEY] for row in some} <= set(indices):
            raise ValueError(f"a row of {short_name(table)} belongs to no trial")
    # Measurements become columns beside those of the epochs.
    for row in rows[tables.measurements]:
        if row["name"] in _EPOCH_COLUMNS:
            raise ValueError(f"a measurement must not be called {row['name']!r}")
    _require_rules(trials)
    of_trial = {table: _by_trial(some) for table, some in rows.items()}
    for trial in trials:
        try:
            own = {table: grouped[trial[KEY]] for table, grouped in of_trial.items()}
            _require_a_trial(definition, trial, own)
            samples_of(trial[KEY], own[tables.samples], data.n_features)
        except (ValueError, TypeError) as error:
            raise ValueError(f"trial {trial[KEY]}: {error}") from error


def _by_trial(rows: Sequence[Row]) -> Mapping[int, list[Row]]:
    grouped: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row[KEY]].append(row)
    return grouped


def _require_a_trial(
    definition: StudyDefinition, trial: Row, rows: Mapping[sa.Table, Sequence[Row]]
) -> None:
    if trial["state"] not in _AT_REST:
        raise ValueError(f"state must be {', '.join(_AT_REST)}, got {trial['state']!r}")
    counts = {
        "n_rows": len(rows[tables.epochs]),
        "last_epoch": max((row["epoch"] for row in rows[tables.epochs]), default=None),
        "n_tested": len(rows[tables.test_sequences]),
        "saved_epoch": max(
            (row["epoch"] for row in rows.get(tables.checkpoints, ())), default=None
        ),
    }
    for fault in contradictions(definition, trial | counts):
        raise ValueError(fault)


def _require_rules(trials: Sequence[Row]) -> None:
    """Require that rows of trials keep to the rules of the store's table."""
    with sa.create_engine("sqlite://").begin() as connection:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        tables.metadata.create_all(connection, tables=[tables.studies, tables.trials])
        connection.execute(tables.trials.insert(), [{"study_id": 0, **trial} for trial in trials])
        for line in broken_rules(connection, tables.trials):
            raise ValueError(line)
