"""The progress of a study: counts by state, trials that need attention, the time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.store.forecast import TimeLeft, TrialTime, time_left
from fdrnn.search.store.tables import TrialState


@dataclass(frozen=True, kw_only=True)
class RunningTrial:
    """A trial that a worker trains.

    Attributes
    ----------
    config_index
        Its configuration.
    worker, host, pid
        The worker that trains it, its machine and process.
    attempt
        The number of the claim, from 1.
    epoch
        Epochs in the store.
    best_valid_nll
        The lowest validation NLL under the study's padding rule; None before there is one.
    lease_age_s
        Seconds since the lease was last renewed.
    lease_left_s
        Seconds until it expires; negative once it has, and the next worker claims the trial.
    """

    config_index: int
    worker: str
    host: str
    pid: int
    attempt: int
    epoch: int
    best_valid_nll: float | None
    lease_age_s: float
    lease_left_s: float


@dataclass(frozen=True)
class FailedTrial:
    """A trial that failed by a program error.

    Attributes
    ----------
    config_index
        Its configuration.
    error
        The traceback.
    """

    config_index: int
    error: str


@dataclass(frozen=True, kw_only=True)
class TroubledTrial:
    """A trial whose attempts trouble of a machine has ended.

    Attributes
    ----------
    config_index
        Its configuration.
    state
        Its current state; the result of a finished one is unaffected.
    stalls
        Attempts in a row that ended without a later checkpoint; a running one is not counted.
    trouble
        What ended the last attempt that could report it; None if none could.
    """

    config_index: int
    state: TrialState
    stalls: int
    trouble: str | None


@dataclass(frozen=True, kw_only=True)
class StudyProgress:
    """The progress of a study: counts by state, trials that need attention, the time left.

    Attributes
    ----------
    study
        Name of the study.
    n_trials
        Number of configurations, the sum of the four states.
    waiting, running, finished, failed
        Trials in each state.
    diverged
        Finished trials that diverged.
    running_trials, failed_trials, troubled_trials
        The running and failed trials, and those of any state that met trouble, in order.
    time_left
        See `fdrnn.search.store.forecast`; None if nothing is left or nothing is known.
    """

    study: str
    n_trials: int
    waiting: int
    running: int
    finished: int
    failed: int
    diverged: int
    running_trials: tuple[RunningTrial, ...]
    failed_trials: tuple[FailedTrial, ...]
    troubled_trials: tuple[TroubledTrial, ...]
    time_left: TimeLeft | None

    @property
    def left(self) -> int:
        """Return the number of trials that wait or run."""
        return self.waiting + self.running

    @property
    def complete(self) -> bool:
        """Return whether no trial waits or runs."""
        return not self.left


def progress_of(definition: StudyDefinition, rows: Sequence[sa.Row[Any]]) -> StudyProgress:
    """Return the progress of a study from its trials' rows, as `Study.progress` reads them."""
    settings = definition.training
    states = Counter(row.state for row in rows)
    return StudyProgress(
        study=definition.name,
        n_trials=len(rows),
        waiting=states[TrialState.WAITING],
        running=states[TrialState.RUNNING],
        finished=states[TrialState.FINISHED],
        failed=states[TrialState.FAILED],
        diverged=sum(bool(row.diverged) for row in rows),
        running_trials=tuple(_running(row) for row in rows if row.state == TrialState.RUNNING),
        failed_trials=tuple(
            FailedTrial(row.config_index, row.error)
            for row in rows
            if row.state == TrialState.FAILED
        ),
        troubled_trials=tuple(
            TroubledTrial(
                config_index=row.config_index,
                state=row.state,
                stalls=_past_stalls(row),
                trouble=row.trouble,
            )
            for row in rows
            # A failed one's error says what ended its attempts.
            if row.trouble or (_past_stalls(row) and row.state != TrialState.FAILED)
        ),
        time_left=time_left([_time(row) for row in rows], settings.max_epochs, settings.patience),
    )


def total_progress(name: str, studies: Sequence[StudyProgress]) -> StudyProgress:
    """Return the counts of several studies together, such as those of a comparison.

    Parameters
    ----------
    name
        The name of the whole.
    studies
        The studies; the whole lists no single trials and has no time left.
    """
    counts = ("n_trials", "waiting", "running", "finished", "failed", "diverged")
    return StudyProgress(
        study=name,
        **{count: sum(getattr(study, count) for study in studies) for count in counts},
        running_trials=(),
        failed_trials=(),
        troubled_trials=(),
        time_left=None,
    )


def _running(row: sa.Row[Any]) -> RunningTrial:
    return RunningTrial(
        config_index=row.config_index,
        worker=row.worker,
        host=row.host,
        pid=row.pid,
        attempt=row.attempt,
        epoch=row.n_trained,
        best_valid_nll=row.best_valid_nll,
        lease_age_s=row.lease_age_s,
        lease_left_s=row.lease_left_s,
    )


def _past_stalls(row: sa.Row[Any]) -> int:
    # A claim counts the attempt that it begins.
    own = 1 if row.state == TrialState.RUNNING else 0
    return max(int(row.stalls) - own, 0)


def _time(row: sa.Row[Any]) -> TrialTime:
    return TrialTime(
        state=row.state,
        leased=row.state == TrialState.RUNNING and row.lease_left_s > 0,
        n_epochs=row.n_trained,
        seconds=row.seconds,
    )
