"""The progress of a study: counts by state, trials that need attention, the time left."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.store import tables
from fdrnn.search.store.forecast import TimeLeft, TrialTime, time_left
from fdrnn.search.store.tables import TrialState


@dataclass(frozen=True, kw_only=True)
class TrialProgress:
    """A trial that runs, has failed or has met trouble.

    Attributes
    ----------
    config_index
        Its configuration; negative for a repeat.
    repeat_of
        The configuration that it repeats, None if it is no repeat.
    state
        Its current state; the result of a finished one is unaffected by trouble.
    worker, host, pid
        The worker that trains it or has ended it, its machine and process; None if it waits.
    attempt
        The number of the last claim, from 1.
    epoch
        Epochs in the store.
    best_valid_nll
        The lowest validation NLL under the study's padding rule; None before there is one.
    lease_age_s
        Seconds since the lease was last renewed; None unless it runs.
    lease_left_s
        Seconds until it expires; negative once it has, and the next worker claims the trial.
    stalls
        Attempts in a row that ended without a later checkpoint; a running one is not counted.
    trouble
        What ended the last attempt that could report it; None if none could.
    error
        The traceback of a failed one.
    """

    config_index: int
    repeat_of: int | None
    state: TrialState
    worker: str | None
    host: str | None
    pid: int | None
    attempt: int
    epoch: int
    best_valid_nll: float | None
    lease_age_s: float | None
    lease_left_s: float | None
    stalls: int
    trouble: str | None
    error: str | None


@dataclass(frozen=True)
class SelectedTrial:
    """The finished trial with the lowest validation NLL.

    Attributes
    ----------
    config_index
        Its configuration.
    best_epoch
        The epoch with its lowest validation NLL.
    valid_nll
        The validation NLL there.
    """

    config_index: int
    best_epoch: int
    valid_nll: float


@dataclass(frozen=True, kw_only=True)
class StudyProgress:
    """The progress of a study: counts by state, trials that need attention, the time left.

    Attributes
    ----------
    study
        Name of the study.
    n_trials
        Number of configurations, the sum of the six states.
    waiting, running, paused, finished, pruned, failed
        Trials in each state.
    diverged
        Finished trials that diverged.
    selected
        The selected trial; None before one has finished.
    repeats_planned, repeats_left
        Repeats of the selected configuration, and those that have not ended; none is planned
        where no trial can be selected any more.
    repeats_failed
        Failed ones of these; an earlier selection's are in `failed_trials` alone.
    running_trials, failed_trials, troubled_trials
        The running and failed trials, and those of any state that met trouble, in order.
    worker_seconds
        Wall time of all epochs in the store, repeats included.
    time_left
        See `fdrnn.search.store.forecast`; None if nothing is left or nothing is known.
    """

    study: str
    n_trials: int
    waiting: int
    running: int
    paused: int = 0
    finished: int
    pruned: int = 0
    failed: int
    diverged: int
    selected: SelectedTrial | None = None
    repeats_planned: int = 0
    repeats_left: int = 0
    repeats_failed: int = 0
    worker_seconds: float = 0.0
    running_trials: tuple[TrialProgress, ...]
    failed_trials: tuple[TrialProgress, ...]
    troubled_trials: tuple[TrialProgress, ...]
    time_left: TimeLeft | None

    @property
    def n_failed(self) -> int:
        """Return the number of failed trials, and of failed repeats of the selected one."""
        return self.failed + self.repeats_failed

    @property
    def left(self) -> int:
        """Return the number of trials and repeats that have not ended."""
        return self.waiting + self.running + self.paused + self.repeats_left

    @property
    def complete(self) -> bool:
        """Return whether every trial and repeat has ended."""
        return not self.left


def progress_of(definition: StudyDefinition, rows: Sequence[sa.Row[Any]]) -> StudyProgress:
    """Return the progress of a study from its trials' rows, as `Study.progress` reads them."""
    draws = [row for row in rows if row.repeat_of is None]
    states = Counter(row.state for row in draws)
    selected = selected_row(draws)
    trials = [_trial(row) for row in rows]
    repeats_planned, repeats_left, repeats_failed = _repeats(definition, draws, rows, selected)
    return StudyProgress(
        study=definition.name,
        n_trials=len(draws),
        **{state.value: states[state] for state in TrialState},
        diverged=sum(bool(row.diverged) for row in draws),
        selected=selected
        and SelectedTrial(selected.config_index, selected.best_epoch, selected.valid_nll),
        repeats_planned=repeats_planned,
        repeats_left=repeats_left,
        repeats_failed=repeats_failed,
        worker_seconds=sum(row.seconds for row in rows),
        running_trials=tuple(trial for trial in trials if trial.state == TrialState.RUNNING),
        failed_trials=tuple(trial for trial in trials if trial.state == TrialState.FAILED),
        # A failed one's error says what ended its attempts.
        troubled_trials=tuple(
            trial
            for trial in trials
            if trial.trouble or (trial.stalls and trial.state != TrialState.FAILED)
        ),
        time_left=_time_left(definition, rows, repeats_left),
    )


def _time_left(
    definition: StudyDefinition, rows: Sequence[sa.Row[Any]], repeats_left: int
) -> TimeLeft | None:
    settings, halving = definition.training, definition.halving
    n_waiting = sum(row.repeat_of is not None and not row.state.ended for row in rows)
    # Repeats are not halved: they count as if they had passed every rung.
    n_rungs = 0 if halving is None else len(halving.rungs)
    repeat = TrialTime(
        state=TrialState.WAITING, leased=False, n_epochs=0, seconds=0.0, rung=n_rungs
    )
    times = [_time(row, row.rung if row.repeat_of is None else n_rungs) for row in rows]
    times += [repeat] * (repeats_left - n_waiting)
    return time_left(times, settings.max_epochs, settings.patience, halving)


def _repeats(
    definition: StudyDefinition,
    draws: Sequence[sa.Row[Any]],
    rows: Sequence[sa.Row[Any]],
    selected: sa.Row[Any] | None,
) -> tuple[int, int, int]:
    """Return how many repeats of the selected trial are planned, are left and have failed."""
    if selected is None:
        planned = 0 if all(row.state.ended for row in draws) else definition.repeats
        return planned, planned, 0
    # An extension may have selected another configuration than some repeat.
    states = [row.state for row in rows if row.repeat_of == selected.config_index]
    n_ended = sum(state.ended for state in states)
    n_left = max(definition.repeats - n_ended, 0)
    return definition.repeats, n_left, states.count(TrialState.FAILED)


def selected_row(draws: Iterable[Any]) -> Any | None:
    """Return the row of the finished trial with the lowest validation NLL, the first of several."""
    finished = [
        row for row in draws if row.state == TrialState.FINISHED and math.isfinite(row.valid_nll)
    ]
    return min(finished, key=lambda row: (row.valid_nll, row.config_index), default=None)


def selected_index(study_id: int) -> sa.ScalarSelect[int]:
    """Return the query of `selected_row` for the configuration's index, NULL if there is none."""
    trials = tables.trials.alias().c
    return (
        sa.select(trials.config_index)
        .where(
            trials.study_id == study_id,
            trials.repeat_of.is_(None),
            trials.state == TrialState.FINISHED,
            # NaN is stored as NULL.
            trials.valid_nll > -math.inf,
            trials.valid_nll < math.inf,
        )
        .order_by(trials.valid_nll, trials.config_index)
        .limit(1)
        .scalar_subquery()
    )


def total_progress(name: str, studies: Sequence[StudyProgress]) -> StudyProgress:
    """Return the counts of several studies together, such as those of a comparison.

    Parameters
    ----------
    name
        The name of the whole.
    studies
        The studies; the whole has no single trials and no time left.
    """
    counts = ("n_trials", *TrialState, "diverged", "repeats_planned", "repeats_left")
    counts += ("repeats_failed", "worker_seconds")
    return StudyProgress(
        study=name,
        **{count: sum(getattr(study, count) for study in studies) for count in counts},
        running_trials=(),
        failed_trials=(),
        troubled_trials=(),
        time_left=None,
    )


def _trial(row: sa.Row[Any]) -> TrialProgress:
    running = row.state == TrialState.RUNNING
    return TrialProgress(
        config_index=row.config_index,
        repeat_of=row.repeat_of,
        state=row.state,
        worker=row.worker,
        host=row.host,
        pid=row.pid,
        attempt=row.attempt,
        epoch=row.n_trained,
        best_valid_nll=row.best_valid_nll,
        lease_age_s=row.lease_age_s,
        lease_left_s=row.lease_left_s,
        # A claim counts the attempt that it begins.
        stalls=max(row.stalls - running, 0),
        trouble=row.trouble,
        error=row.error,
    )


def _time(row: sa.Row[Any], rung: int) -> TrialTime:
    return TrialTime(
        state=row.state,
        leased=row.state == TrialState.RUNNING and row.lease_left_s > 0,
        n_epochs=row.n_trained,
        seconds=row.seconds,
        rung=rung,
    )
