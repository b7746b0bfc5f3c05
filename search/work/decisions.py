"""Decisions between the claims of a study's trials: those of halving, and its repeats.

Whoever finds no trial to claim takes the decision that is due, in the transaction of the claim and
under a lock on the study's row. It depends on the curves in the store alone (`Halving`), so that
any number of workers, on any machines, after any crash, come to the same. A decision is never
revoked: a trial that comes to a rung later, because a user retried it or the study was extended,
is ranked among all that have reached the rung and continues if it is among the best of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.halving import lowest
from fdrnn.search.design.sampler import repeat_seed
from fdrnn.search.store import tables
from fdrnn.search.store.database import now_s
from fdrnn.search.store.progress import selected_row
from fdrnn.search.store.tables import TrialState

_TRIALS = tables.trials.c
_EPOCHS = tables.epochs.c


def settle(connection: sa.Connection, study_id: int) -> bool:
    """Take the decisions of halving that are due and add the repeats that are due.

    Parameters
    ----------
    connection
        A transaction that writes.
    study_id
        The study, of which no trial waits.

    Returns
    -------
    bool
        Whether anything was changed, so that a trial may wait now.
    """
    study = sa.select(tables.studies.c.definition).where(tables.studies.c.study_id == study_id)
    stored = connection.execute(study.with_for_update()).scalar_one_or_none()
    if stored is None:
        # The study was deleted meanwhile.
        return False
    definition = StudyDefinition.from_mapping(stored)
    # Not before the lock: another worker may just have decided.
    draws = connection.execute(
        sa.select(tables.trials)
        .where(_TRIALS.study_id == study_id, _TRIALS.repeat_of.is_(None))
        .order_by(_TRIALS.config_index)
    ).all()
    return _decide(connection, definition, draws) or _add_repeats(
        connection, study_id, definition, draws
    )


def _decide(
    connection: sa.Connection, definition: StudyDefinition, draws: Sequence[sa.Row[Any]]
) -> bool:
    if definition.halving is None:
        # The study was extended by leaving out its halving.
        paused = [trial for trial in draws if trial.state == TrialState.PAUSED]
        for trial in paused:
            _update(connection, trial, state=TrialState.WAITING)
        return bool(paused)
    cohorts: dict[int, list[sa.Row[Any]]] = defaultdict(list)
    for trial in draws:
        cohorts[trial.cohort].append(trial)
    return any(_decide_cohort(connection, definition, cohort) for cohort in cohorts.values())


def _decide_cohort(
    connection: sa.Connection, definition: StudyDefinition, cohort: Sequence[sa.Row[Any]]
) -> bool:
    """Decide the lowest rung at which trials of a cohort pause; return whether there was one."""
    assert definition.halving is not None
    paused = [trial for trial in cohort if trial.state == TrialState.PAUSED]
    if not paused:
        return False
    rung = min(trial.rung for trial in paused)
    busy = [t for t in cohort if not t.state.ended and t.state != TrialState.PAUSED]
    if any(trial.rung <= rung for trial in busy):
        return False
    reached = [trial for trial in cohort if trial.rung >= rung]
    last_epoch = definition.halving.rungs[rung]
    curves = _curves(connection, definition, reached, rung)
    # In an extended study, a trial that has passed the rung may be training again from its start.
    if any(len(curves[trial.trial_id]) < last_epoch for trial in busy):
        return False
    # A failed trial counts among those that reached the rung and takes the place of none that
    # continues. Retried, it is ranked by its curve.
    lowest_nll = {
        trial.config_index: math.inf
        if trial.state == TrialState.FAILED
        else lowest(_nlls(curves[trial.trial_id]))
        for trial in reached
    }
    kept = set(definition.halving.survivors(lowest_nll))
    for trial in reached:
        if trial.rung > rung:
            continue
        if trial.config_index not in kept:
            if trial.state == TrialState.PAUSED:
                _prune(connection, trial, curves[trial.trial_id])
        elif trial.state not in {TrialState.FAILED, TrialState.PRUNED}:
            # One that has ended before the rung stays in the comparison at the next.
            state = TrialState.WAITING if trial.state == TrialState.PAUSED else trial.state
            _update(connection, trial, rung=rung + 1, state=state)
    return True


def _curves(
    connection: sa.Connection,
    definition: StudyDefinition,
    reached: Sequence[sa.Row[Any]],
    rung: int,
) -> dict[int, list[Any]]:
    """Return the epochs up to a rung of the trials of a cohort that have reached it."""
    assert definition.halving is not None
    column = _EPOCHS[definition.training.valid_nll_column]
    query = (
        sa.select(
            _EPOCHS.trial_id,
            _EPOCHS.epoch,
            column.label("valid_nll"),
            _EPOCHS.valid_nll_counted,
            _EPOCHS.valid_nll_masked,
        )
        .join(tables.trials, _TRIALS.trial_id == _EPOCHS.trial_id)
        # Not by the trials' keys: databases limit the number of parameters.
        .where(
            _TRIALS.study_id == reached[0].study_id,
            _TRIALS.repeat_of.is_(None),
            _TRIALS.cohort == reached[0].cohort,
            _TRIALS.rung >= rung,
            _EPOCHS.epoch <= definition.halving.rungs[rung],
        )
        .order_by(_EPOCHS.trial_id, _EPOCHS.epoch)
    )
    curves: dict[int, list[Any]] = {trial.trial_id: [] for trial in reached}
    for row in connection.execute(query):
        curves[row.trial_id].append(row)
    return curves


def _nlls(curve: Sequence[sa.Row[Any]]) -> list[float]:
    return [epoch.valid_nll for epoch in curve]


def _prune(connection: sa.Connection, trial: sa.Row[Any], curve: Sequence[sa.Row[Any]]) -> None:
    lowest_nll = lowest(_nlls(curve))
    best = next((epoch for epoch in curve if epoch.valid_nll == lowest_nll < math.inf), None)
    _update(
        connection,
        trial,
        state=TrialState.PRUNED,
        finished_at=now_s(),
        n_epochs=len(curve),
        best_epoch=0 if best is None else best.epoch,
        valid_nll=lowest_nll,
        valid_nll_counted=None if best is None else best.valid_nll_counted,
        valid_nll_masked=None if best is None else best.valid_nll_masked,
    )


def _update(connection: sa.Connection, trial: sa.Row[Any], **values: Any) -> None:
    connection.execute(
        tables.trials.update().where(_TRIALS.trial_id == trial.trial_id).values(**values)
    )


def _add_repeats(
    connection: sa.Connection,
    study_id: int,
    definition: StudyDefinition,
    draws: Sequence[sa.Row[Any]],
) -> bool:
    if not definition.repeats or not all(trial.state.ended for trial in draws):
        return False
    selected = selected_row(draws)
    if selected is None:
        return False
    ours, index = _TRIALS.study_id == study_id, selected.config_index
    there = {*connection.scalars(sa.select(_TRIALS.seed).where(ours, _TRIALS.repeat_of == index))}
    numbers = range(1, definition.repeats + 1)
    seeds = (repeat_seed(definition.seed, index, number) for number in numbers)
    last = connection.scalar(sa.select(sa.func.min(_TRIALS.config_index)).where(ours)) or 0
    rows = [
        {
            "study_id": study_id,
            "config_index": min(last, 0) - position,
            "seed": seed,
            "hyperparameters": selected.hyperparameters,
            "repeat_of": index,
        }
        for position, seed in enumerate((seed for seed in seeds if seed not in there), 1)
    ]
    if rows:
        connection.execute(tables.trials.insert(), rows)
    return bool(rows)
