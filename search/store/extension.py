"""Extending a study: what a changed definition makes of the trials that are in the store.

A trial that ended at a limit that is now higher waits again and resumes from its last state, if
that is still in the store, or begins anew. A trial that a wider halving would not have pruned
pauses again at its rung until that is decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from fdrnn.model import TrialResult
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.distributions import Value
from fdrnn.search.store import tables
from fdrnn.search.store.tables import TrialState

_TRIALS = tables.trials.c

RESULT = (
    "diverged",
    "n_epochs",
    "best_epoch",
    "valid_nll",
    "valid_nll_counted",
    "valid_nll_masked",
)
"""Columns of a trial's result, by the names of `fdrnn.model.TrialResult`."""

NO_RESULT: dict[str, Any] = dict.fromkeys(("finished_at", *RESULT))
"""Columns of a trial that has not ended."""


def reopen_trials(
    connection: sa.Connection, study_id: int, stored: StudyDefinition, extended: StudyDefinition
) -> None:
    """Make trials wait or pause again that the extended definition trains further.

    Parameters
    ----------
    connection
        A transaction that writes.
    study_id
        The study.
    stored, extended
        Its definition before and after.
    """
    ours = _TRIALS.study_id == study_id
    reopened = [
        row.trial_id
        for row in connection.execute(
            sa.select(tables.trials).where(ours, _TRIALS.state == TrialState.FINISHED)
        )
        if is_continued(row, row.hyperparameters, stored, extended)
    ]
    # One statement a trial: databases limit the number of parameters.
    keys = [{"key": trial_id} for trial_id in reopened]
    if keys:
        # First, so that the trial's row is locked while samples of it may be kept.
        connection.execute(
            _again(_TRIALS.trial_id == sa.bindparam("key"), TrialState.WAITING), keys
        )
        for table in (tables.test_sequences, tables.parameters, tables.samples):
            connection.execute(table.delete().where(table.c.trial_id == sa.bindparam("key")), keys)
    before, after = stored.halving, extended.halving
    # Further rungs alone prune the same trials again.
    if before is not None and (after is None or after.keep > before.keep):
        paused = TrialState.WAITING if after is None else TrialState.PAUSED
        connection.execute(_again(ours & (_TRIALS.state == TrialState.PRUNED), paused))


def is_continued(
    ended: sa.Row[Any] | TrialResult,
    drawn: Mapping[str, Value],
    before: StudyDefinition,
    after: StudyDefinition,
) -> bool:
    """Return whether a trial that ended under one definition is trained further by another.

    Parameters
    ----------
    ended
        The end of the trial.
    drawn
        The trial's values by name.
    before, after
        The definition that the trial ended under, and the other.
    """
    n_epochs, without_progress = ended.n_epochs, ended.n_epochs - (ended.best_epoch or 0)
    (*_, old), (*_, new) = before.split(drawn), after.split(drawn)
    return (
        not ended.diverged
        and n_epochs < new.max_epochs
        and without_progress < new.patience
        and (n_epochs >= old.max_epochs or without_progress >= old.patience)
    )


def _again(which: sa.ColumnElement[bool], state: TrialState) -> sa.Update:
    values = tables.WAITING_AGAIN | NO_RESULT | {"state": state, "stalls": 0}
    return tables.trials.update().where(which).values(values)
