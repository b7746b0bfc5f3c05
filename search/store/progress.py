"""Where a study stands."""

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
    """A trial that a worker has claimed.

    Attributes
    ----------
    config_index
        Its configuration.
    worker, host, pid
        Who trains it, and where.
    attempt
        Number of the claim, from 1.
    epoch
        Epochs in the store.
    best_valid_nll
        Lowest validation NLL of these under the study's padding rule, None before there is one.
    lease_age_s
        Seconds since the lease was last renewed.
    lease_left_s
        Seconds until it expires; negative once it has, and the next worker takes the trial up.
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
    """A trial that met a program error.

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
    """A trial that the machines had trouble with.

    Attributes
    ----------
    config_index
        Its configuration.
    state
        Its state now; a finished one is none the worse for it.
    stalls
        Attempts in a row that ended without a later checkpoint, without the one that runs.
    trouble
        What ended an attempt last, as far as its worker could tell; None if it was killed.
    """

    config_index: int
    state: TrialState
    stalls: int
    trouble: str | None


@dataclass(frozen=True, kw_only=True)
class StudyProgress:
    """Counts of a study's trials by state, those that need a look, and the time left.

    Attributes
    ----------
    study
        Name of the study.
    n_trials
        Configurations drawn, the sum of the four states.
    waiting, running, finished, failed
        Trials in each state.
    diverged
        Finished trials that diverged.
    running_trials, failed_trials, troubled_trials
        The trials in these states, and those that met trouble in any, by configuration.
    time_left
        See `fdrnn.search.store.forecast`; None where nothing is left or nothing is known.
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
        """Trials that wait or run."""
        return self.waiting + self.running

    @property
    def complete(self) -> bool:
        """Whether no trial waits or runs."""
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


def total(name: str, studies: Sequence[StudyProgress]) -> StudyProgress:
    """Return where several studies stand together, such as those of a comparison.

    Parameters
    ----------
    name
        What they are called together.
    studies
        The studies; trials that need a look are left to them, and so is the time left.
    """
    counts = ("n_trials", "waiting", "running", "finished", "failed", "diverged")
    return StudyProgress(
        study=name,
        **{count: sum(getattr(one, count) for one in studies) for count in counts},
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
    # A claim counts its own attempt.
    own = 1 if row.state == TrialState.RUNNING else 0
    return max(int(row.stalls) - own, 0)


def _time(row: sa.Row[Any]) -> TrialTime:
    return TrialTime(
        state=row.state,
        held=row.state == TrialState.RUNNING and row.lease_left_s > 0,
        n_epochs=row.n_trained,
        seconds=row.seconds,
    )
