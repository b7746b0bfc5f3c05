"""The forecast of the time that the rest of a study takes.

A plain estimate from the times in the store, recomputed at every read:

- a trial without epochs takes as long as the finished trials did on average;
- a trial that has trained e epochs needs, at its own seconds per epoch, as many more as the
  finished trials longer than e had left at epoch e, on average; where none was longer, as many as
  the patience allows, and never more than to the most epochs;
- before any trial has finished, each is assumed to reach the most epochs, at its own seconds per
  epoch or the average of the others': a bound rather than an expectation;
- under halving a trial trains to its next rung, and beyond each further rung with the probability
  `Halving.keep`.

The workers that train a trial now end it, and each then claims the next one that waits; the last
one to end is the time left. Compilation, the test set's evaluation and idle workers are not
counted. Early on the estimate is low, because short trials finish first.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from fdrnn.search.design.halving import Halving
from fdrnn.search.store.tables import TrialState


@dataclass(frozen=True, kw_only=True)
class TrialTime:
    """The time of a trial so far.

    Attributes
    ----------
    state
        Its state.
    leased
        Whether a worker trains it, under a lease that has not expired.
    n_epochs
        Epochs trained.
    seconds
        Sum of their wall times.
    rung
        Rungs of the study's halving that it has passed.
    """

    state: TrialState
    leased: bool
    n_epochs: int
    seconds: float
    rung: int = 0


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """The expected time left of a study.

    Attributes
    ----------
    seconds
        Until its last trial ends, with the workers that train a trial now; None if there are none.
    worker_seconds
        The time of one worker alone: the sum over the trials.
    n_workers
        Workers that train a trial.
    n_finished
        Finished trials behind the estimate; with 0 it is a bound.
    """

    seconds: float | None
    worker_seconds: float
    n_workers: int
    n_finished: int


def time_left(
    trials: Sequence[TrialTime], max_epochs: int, patience: int, halving: Halving | None = None
) -> TimeLeft | None:
    """Estimate the time left of a study.

    Parameters
    ----------
    trials
        All its trials, in the order of claims.
    max_epochs, patience
        The study's, as in `TrainingSettings`.
    halving
        The study's; None without.

    Returns
    -------
    TimeLeft or None
        None if nothing is left to train, or no trial has trained an epoch yet.

    Examples
    --------
    Two trials took 10 epochs at 2 s and 20 at 1 s. One that runs, 5 epochs in at 3 s, is expected
    to need (5 + 15) / 2 more epochs, 30 s, and one that waits 20 s, which the one worker trains
    afterwards:

    >>> time_left(
    ...     [
    ...         TrialTime(state=TrialState.FINISHED, leased=False, n_epochs=10, seconds=20.0),
    ...         TrialTime(state=TrialState.FINISHED, leased=False, n_epochs=20, seconds=20.0),
    ...         TrialTime(state=TrialState.RUNNING, leased=True, n_epochs=5, seconds=15.0),
    ...         TrialTime(state=TrialState.WAITING, leased=False, n_epochs=0, seconds=0.0),
    ...     ],
    ...     max_epochs=300,
    ...     patience=30,
    ... )
    TimeLeft(seconds=50.0, worker_seconds=50.0, n_workers=1, n_finished=2)
    """
    left = [trial for trial in trials if not trial.state.ended]
    begun = [trial for trial in trials if trial.n_epochs]
    finished = [trial for trial in begun if trial.state == TrialState.FINISHED]
    if not left or not begun:
        return None
    usual_rate = fmean(map(_rate, begun))

    def rest(trial: TrialTime) -> float:
        if halving is not None and halving.next_rung(trial.rung) is not None:
            rate = _rate(trial) if trial.n_epochs else usual_rate
            n_expected = halving.expected_epochs(trial.rung, max_epochs)
            return rate * max(n_expected - trial.n_epochs, 0.0)
        if not finished:
            rate = _rate(trial) if trial.n_epochs else usual_rate
            return rate * (max_epochs - trial.n_epochs)
        if not trial.n_epochs:
            return fmean(other.seconds for other in finished)
        longer = [other.n_epochs for other in finished if other.n_epochs > trial.n_epochs]
        n_left = max_epochs - trial.n_epochs
        n_more = fmean(longer) - trial.n_epochs if longer else min(patience, n_left)
        return _rate(trial) * n_more

    busy = [rest(trial) for trial in left if trial.leased]
    queue = [rest(trial) for trial in left if not trial.leased]
    return TimeLeft(
        seconds=_last_end(busy, queue) if busy else None,
        worker_seconds=sum(busy) + sum(queue),
        n_workers=len(busy),
        n_finished=len(finished),
    )


def _rate(trial: TrialTime) -> float:
    return trial.seconds / trial.n_epochs


def _last_end(busy: Sequence[float], queue: Sequence[float]) -> float:
    # The first worker that is free claims the next one.
    ends = list(busy)
    heapq.heapify(ends)
    for seconds in queue:
        heapq.heappush(ends, heapq.heappop(ends) + seconds)
    return max(ends)
