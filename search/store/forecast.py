"""How long the rest of a study is likely to take.

A plain estimate from the times in the store, made anew at every look:

- a trial without epochs takes as long as the finished trials did on average;
- a trial that has trained e epochs needs, at its own seconds per epoch, as many more as those
  finished trials had left at epoch e that were longer than e, on average; where none was, as many
  as the patience allows, and never more than to the most epochs;
- before any trial has finished, each is taken to go to the most epochs, at its own seconds per
  epoch or the average of the others': a bound rather than an expectation.

The workers that hold a trial now end it, and each then takes the next one that waits; the last
one to end is the time left. Compilation, the test set's evaluation and workers that only wait are
not in it. Early on the estimate is low, because short trials finish first.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from fdrnn.search.store.tables import TrialState


@dataclass(frozen=True, kw_only=True)
class TrialTime:
    """What is known of a trial's time.

    Attributes
    ----------
    state
        Its state.
    held
        Whether a worker holds it, under a lease that has not expired.
    n_epochs
        Epochs trained.
    seconds
        Sum of their wall times.
    """

    state: TrialState
    held: bool
    n_epochs: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """The expected rest of a study.

    Attributes
    ----------
    seconds
        Until its last trial ends, with the workers that hold a trial now; None if there are none.
    worker_seconds
        The same for one worker alone: the sum over the trials.
    n_workers
        Workers that hold a trial.
    n_finished
        Finished trials on which this rests; with 0 it is a bound.
    """

    seconds: float | None
    worker_seconds: float
    n_workers: int
    n_finished: int


def time_left(trials: Sequence[TrialTime], max_epochs: int, patience: int) -> TimeLeft | None:
    """Estimate the rest of a study.

    Parameters
    ----------
    trials
        All its trials, in the order in which they are claimed.
    max_epochs, patience
        As of the study's `TrainingSettings`.

    Returns
    -------
    TimeLeft or None
        None if nothing is left to train, or no trial has trained an epoch yet.

    Examples
    --------
    Two trials took 10 epochs at 2 s and 20 at 1 s. One that runs, 5 epochs in at 3 s, is expected
    to need (5 + 15) / 2 more of them, 30 s, and one that waits 20 s, which the one worker
    trains afterwards:

    >>> time_left(
    ...     [
    ...         TrialTime(state=TrialState.FINISHED, held=False, n_epochs=10, seconds=20.0),
    ...         TrialTime(state=TrialState.FINISHED, held=False, n_epochs=20, seconds=20.0),
    ...         TrialTime(state=TrialState.RUNNING, held=True, n_epochs=5, seconds=15.0),
    ...         TrialTime(state=TrialState.WAITING, held=False, n_epochs=0, seconds=0.0),
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
        if not finished:
            rate = _rate(trial) if trial.n_epochs else usual_rate
            return rate * (max_epochs - trial.n_epochs)
        if not trial.n_epochs:
            return fmean(one.seconds for one in finished)
        beyond = [
            one.n_epochs - trial.n_epochs for one in finished if one.n_epochs > trial.n_epochs
        ]
        n_more = fmean(beyond) if beyond else min(patience, max_epochs - trial.n_epochs)
        return _rate(trial) * n_more

    busy = [rest(trial) for trial in left if trial.held]
    queue = [rest(trial) for trial in left if not trial.held]
    return TimeLeft(
        seconds=_last_end(busy, queue) if busy else None,
        worker_seconds=sum(busy) + sum(queue),
        n_workers=len(busy),
        n_finished=len(finished),
    )


def _rate(trial: TrialTime) -> float:
    return trial.seconds / trial.n_epochs


def _last_end(busy: Sequence[float], queue: Sequence[float]) -> float:
    # Whoever is free first takes the next one.
    ends = list(busy)
    heapq.heapify(ends)
    for seconds in queue:
        heapq.heappush(ends, heapq.heappop(ends) + seconds)
    return max(ends)
