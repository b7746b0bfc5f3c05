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
from typing import Any, NamedTuple

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
# What decides, without the values that were drawn: a study may have many draws.
_DECISIVE: tuple[sa.ColumnElement[Any], ...] = (
    _TRIALS.trial_id,
    _TRIALS.study_id,
    _TRIALS.config_index,
    _TRIALS.state,
    _TRIALS.rung,
    _TRIALS.cohort,
    _TRIALS.valid_nll,
)


class _Curve(NamedTuple):
    """The epochs of a trial up to a rung: how many, and the lowest validation NLL."""

    n_epochs: int
    lowest_nll: float


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
    if not _may_be_due(connection, study_id):
        return False
    stored = connection.scalar(_definition(study_id).with_for_update())
    if stored is None:
        # The study was deleted meanwhile.
        return False
    definition = StudyDefinition.from_mapping(stored)
    # Not before the lock: another worker may just have decided.
    draws = connection.execute(
        sa.select(*_DECISIVE).where(_is_draw(study_id)).order_by(_TRIALS.config_index)
    ).all()
    return _decide(connection, definition, draws) or _settle_repeats(
        connection, study_id, definition, draws
    )


def _may_be_due(connection: sa.Connection, study_id: int) -> bool:
    """Return whether a trial pauses, or all draws have ended in a study with repeats.

    Without the lock, because all workers that find nothing to claim ask for it again and again.
    """
    states = {*connection.scalars(sa.select(_TRIALS.state).where(_is_draw(study_id)).distinct())}
    if TrialState.PAUSED in states:
        return True
    stored = connection.scalar(_definition(study_id)) or {}
    return bool(stored.get("repeats")) and all(state.ended for state in states)


def _definition(study_id: int) -> sa.Select[Any]:
    return sa.select(tables.studies.c.definition).where(tables.studies.c.study_id == study_id)


def _is_draw(study_id: int) -> sa.ColumnElement[bool]:
    return (_TRIALS.study_id == study_id) & _TRIALS.repeat_of.is_(None)


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
    if any(curves[trial.trial_id].n_epochs < last_epoch for trial in busy):
        return False
    # A failed trial counts among those that reached the rung and takes the place of none that
    # continues. Retried, it is ranked by its curve.
    lowest_nll = {
        trial.config_index: math.inf
        if trial.state == TrialState.FAILED
        else curves[trial.trial_id].lowest_nll
        for trial in reached
    }
    kept = set(definition.halving.survivors(lowest_nll))
    for trial in reached:
        if trial.rung > rung:
            continue
        if trial.config_index not in kept:
            if trial.state == TrialState.PAUSED:
                _prune(connection, definition, trial, rung, curves[trial.trial_id])
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
) -> dict[int, _Curve]:
    """Return the epochs up to a rung of the trials of a cohort that have reached it."""
    assert definition.halving is not None
    valid_nll = _EPOCHS[definition.training.valid_nll_column]
    query = (
        # NaN is stored as NULL, which the minimum leaves out.
        sa.select(_EPOCHS.trial_id, sa.func.count(), sa.func.min(valid_nll))
        .join(tables.trials, _TRIALS.trial_id == _EPOCHS.trial_id)
        # Not by the trials' keys: databases limit the number of parameters.
        .where(
            _TRIALS.study_id == reached[0].study_id,
            _TRIALS.repeat_of.is_(None),
            _TRIALS.cohort == reached[0].cohort,
            _TRIALS.rung >= rung,
            _EPOCHS.epoch <= definition.halving.rungs[rung],
        )
        .group_by(_EPOCHS.trial_id)
    )
    curves = {trial.trial_id: _Curve(0, math.inf) for trial in reached}
    for trial_id, n_epochs, nll in connection.execute(query):
        curves[trial_id] = _Curve(n_epochs, lowest([nll]))
    return curves


def _prune(
    connection: sa.Connection,
    definition: StudyDefinition,
    trial: sa.Row[Any],
    rung: int,
    curve: _Curve,
) -> None:
    assert definition.halving is not None
    valid_nll = _EPOCHS[definition.training.valid_nll_column]
    best = connection.execute(
        sa.select(_EPOCHS.epoch, _EPOCHS.valid_nll_counted, _EPOCHS.valid_nll_masked)
        .where(
            _EPOCHS.trial_id == trial.trial_id,
            _EPOCHS.epoch <= definition.halving.rungs[rung],
            valid_nll == curve.lowest_nll,
            valid_nll < math.inf,
        )
        .order_by(_EPOCHS.epoch)
        .limit(1)
    ).one_or_none()
    _update(
        connection,
        trial,
        state=TrialState.PRUNED,
        finished_at=now_s(),
        n_epochs=curve.n_epochs,
        best_epoch=0 if best is None else best.epoch,
        valid_nll=curve.lowest_nll,
        valid_nll_counted=None if best is None else best.valid_nll_counted,
        valid_nll_masked=None if best is None else best.valid_nll_masked,
    )


def _update(connection: sa.Connection, trial: sa.Row[Any], **values: Any) -> None:
    connection.execute(
        tables.trials.update().where(_TRIALS.trial_id == trial.trial_id).values(**values)
    )


def _settle_repeats(
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
    # Of an extended study, or one whose failed trials were retried: of what was selected before.
    waiting = _TRIALS.state == TrialState.WAITING
    stale = connection.execute(
        tables.trials.delete().where(ours, _TRIALS.repeat_of != index, waiting)
    ).rowcount
    there = {*connection.scalars(sa.select(_TRIALS.seed).where(ours, _TRIALS.repeat_of == index))}
    numbers = range(1, definition.repeats + 1)
    seeds = (repeat_seed(definition.seed, index, number) for number in numbers)
    last = connection.scalar(sa.select(sa.func.min(_TRIALS.config_index)).where(ours)) or 0
    drawn = sa.select(_TRIALS.hyperparameters).where(_TRIALS.trial_id == selected.trial_id)
    hyperparameters = connection.scalar(drawn)
    rows = [
        {
            "study_id": study_id,
            "config_index": min(last, 0) - position,
            "seed": seed,
            "hyperparameters": hyperparameters,
            "repeat_of": index,
        }
        for position, seed in enumerate((seed for seed in seeds if seed not in there), 1)
    ]
    if rows:
        connection.execute(tables.trials.insert(), rows)
    return bool(rows or stale)
