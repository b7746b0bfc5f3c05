"""Where a study stands."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from fdrnn.search import tables
from fdrnn.search.database import now_s
from fdrnn.search.store import Store


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
class StudyProgress:
    """Counts of a study's trials by state, and those that run or failed.

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
    running_trials, failed_trials
        The trials in these states, by configuration.
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


def study_progress(store: Store, study: str) -> StudyProgress:
    """Read where a study stands.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name.
    StoreError
        If the store fails.
    """
    stored = store.study(study)
    trials = tables.trials
    valid_nll = tables.epochs.c[f"valid_nll_{stored.definition.training.padding}"]
    mine = trials.c.study_id == stored.study_id
    counts = (
        sa.select(trials.c.state, sa.func.count().label("n_trials"))
        .where(mine)
        .group_by(trials.c.state)
    )
    diverged = sa.select(sa.func.count()).where(mine, trials.c.diverged)
    failed = (
        sa.select(trials.c.config_index, trials.c.error)
        .where(mine, trials.c.state == tables.FAILED)
        .order_by(trials.c.config_index)
    )
    running = (
        sa.select(
            *(trials.c[name] for name in ("config_index", "worker", "host", "pid", "attempt")),
            sa.func.count(tables.epochs.c.epoch).label("epoch"),
            sa.type_coerce(sa.func.min(valid_nll), sa.Double).label("best_valid_nll"),
            (now_s() - trials.c.lease_renewed).label("lease_age_s"),
            (trials.c.lease_expires - now_s()).label("lease_left_s"),
        )
        .join_from(trials, tables.epochs, isouter=True)
        .where(mine, trials.c.state == tables.RUNNING)
        .group_by(trials.c.trial_id)
        .order_by(trials.c.config_index)
    )
    with store.database.read() as connection:
        by_state = {row.state: row.n_trials for row in connection.execute(counts)}
        return StudyProgress(
            study=study,
            n_trials=sum(by_state.values()),
            waiting=by_state.get(tables.WAITING, 0),
            running=by_state.get(tables.RUNNING, 0),
            finished=by_state.get(tables.FINISHED, 0),
            failed=by_state.get(tables.FAILED, 0),
            diverged=connection.scalar(diverged) or 0,
            running_trials=tuple(
                RunningTrial(**row) for row in connection.execute(running).mappings()
            ),
            failed_trials=tuple(FailedTrial(*row) for row in connection.execute(failed)),
        )
