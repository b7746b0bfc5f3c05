"""Numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fdrnn.search.store.forecast import TimeLeft, TrialTime, time_left
from fdrnn.search.store.tables import TrialState


def ended(n_epochs: int, seconds: float, state: TrialState = TrialState.FINISHED) -> TrialTime:
    return TrialTime(state=state, leased=False, n_epochs=n_epochs, seconds=seconds)


def runs(n_epochs: int, seconds: float) -> TrialTime:
    return TrialTime(state=TrialState.RUNNING, leased=True, n_epochs=n_epochs, seconds=seconds)


def given_up(n_epochs: int, seconds: float) -> TrialTime:
    return TrialTime(state=TrialState.RUNNING, leased=False, n_epochs=n_epochs, seconds=seconds)


WAITS = TrialTime(state=TrialState.WAITING, leased=False, n_epochs=0, seconds=0.0)


def left(*trials: TrialTime) -> TimeLeft | None:
    return time_left(trials, max_epochs=100, patience=30)


@pytest.mark.parametrize(
    ("trials", "seconds", "worker_seconds"),
    [
        # One that waits takes as long as the finished ones on average: (20 + 40) / 2.
        ([ended(10, 20.0), ended(20, 40.0), runs(19, 19.0), WAITS], 1.0 + 30.0, 31.0),
        # At epoch 12 only the trial of 20 epochs was longer, by 8; here 3 s each.
        ([ended(10, 20.0), ended(20, 40.0), runs(12, 36.0)], 24.0, 24.0),
        # At epoch 4 they had 6 and 16 left: 11 epochs at 0.5 s.
        ([ended(10, 20.0), ended(20, 40.0), runs(4, 2.0)], 5.5, 5.5),
        # None was longer than 50: as many more as the patience, 30 at 2 s.
        ([ended(10, 20.0), runs(50, 100.0)], 60.0, 60.0),
        # The same at 95 of at most 100 epochs: 5 at 2 s.
        ([ended(10, 20.0), runs(95, 190.0)], 10.0, 10.0),
        # Two workers end after 30 and 60 s; three of 20 s begin at 30, 50 and 60: the last at 80.
        (
            [ended(10, 20.0), runs(50, 50.0), runs(50, 100.0), WAITS, WAITS, WAITS],
            80.0,
            30.0 + 60.0 + 60.0,
        ),
        # A trial whose lease expired waits for the worker, and goes on where it was.
        ([ended(10, 20.0), runs(50, 50.0), given_up(8, 8.0)], 30.0 + 2.0, 32.0),
        # Failed trials are neither left nor an example.
        (
            [ended(10, 20.0), ended(90, 900.0, TrialState.FAILED), runs(9, 9.0), WAITS],
            1.0 + 20.0,
            21.0,
        ),
    ],
)
def test_by_hand(trials: Sequence[TrialTime], seconds: float, worker_seconds: float) -> None:
    expected = left(*trials)
    assert expected is not None
    assert expected.seconds == pytest.approx(seconds)
    assert expected.worker_seconds == pytest.approx(worker_seconds)
    assert expected.n_workers == sum(trial.leased for trial in trials)
    assert expected.n_finished == sum(trial.state == TrialState.FINISHED for trial in trials)


def test_a_bound_before_any_has_finished() -> None:
    # To epoch 100: 80 at 2 s, 60 at 1 s, and one from the start at the average, 1.5 s; the
    # second worker ends first and takes it: 60 + 150.
    assert left(runs(20, 40.0), runs(40, 40.0), WAITS) == TimeLeft(
        seconds=210.0, worker_seconds=160.0 + 60.0 + 150.0, n_workers=2, n_finished=0
    )


def test_without_workers_there_is_work_and_no_time() -> None:
    assert left(ended(10, 20.0), given_up(5, 5.0), WAITS) == TimeLeft(
        seconds=None, worker_seconds=5.0 + 20.0, n_workers=0, n_finished=1
    )


@pytest.mark.parametrize(
    "trials",
    [[], [WAITS], [runs(0, 0.0), WAITS], [ended(10, 20.0)], [ended(3, 2.0, TrialState.FAILED)]],
)
def test_nothing_known_or_nothing_left(trials: list[TrialTime]) -> None:
    assert left(*trials) is None
