from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from fdrnn.search import StoreUnavailableError
from fdrnn.search.errors import PatienceError, StoreAddressError
from fdrnn.search.work import outage as outage_module
from fdrnn.search.work.outage import StoreWatch, with_patience

AWAY = StoreUnavailableError("store db: connection refused")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(outage_module, "_now_s", made)
    return made


def test_an_outage_is_told_once_with_its_reason_and_its_length(clock: Clock) -> None:
    told: list[object] = []
    watch = StoreWatch(60.0, told.append, told.append)
    watch.reached()
    assert not watch.unavailable
    for _ in range(3):
        watch.missed(AWAY)
        clock.now_s += 7.0
    assert watch.unavailable
    watch.reached()
    watch.reached()
    assert told == ["store db: connection refused", 21.0]


@pytest.mark.parametrize(("lease_s", "longest_s"), [(60.0, 20.0), (6.0, 2.0), (3600.0, 30.0)])
def test_pauses_grow_with_jitter_and_are_bounded(lease_s: float, longest_s: float) -> None:
    runs = []
    for _ in range(20):
        watch = StoreWatch(lease_s)
        runs.append([watch.missed(AWAY) for _ in range(40)])
    for n, pauses in enumerate(zip(*runs, strict=True)):
        bound = min(0.25 * 2.0 ** (n + 1), longest_s)
        assert all(bound / 2 <= pause <= bound for pause in pauses)
        assert len(set(pauses)) > 1
    watch.reached()
    assert watch.missed(AWAY) <= 0.5


def test_after_an_outage_expired_leases_are_not_trusted_for_one_lease_length(clock: Clock) -> None:
    watch = StoreWatch(60.0)
    assert watch.trusts_expiry
    watch.reached()
    watch.missed(AWAY)
    clock.now_s += 300.0
    assert not watch.trusts_expiry
    watch.reached()
    for passed_s in (25.0, 25.0, 9.0):
        clock.now_s += passed_s
        watch.reached()
        assert not watch.trusts_expiry
    clock.now_s += 1.0
    assert watch.trusts_expiry


def test_a_process_that_was_asleep_does_not_trust_them_either(clock: Clock) -> None:
    watch = StoreWatch(60.0)
    for _ in range(3):
        watch.reached()
        clock.now_s += 20.0
        assert watch.trusts_expiry
    clock.now_s += 3600.0
    # Not even before it has reached the store again: a claim may come first.
    assert not watch.trusts_expiry
    watch.reached()
    assert not watch.trusts_expiry
    for _ in range(3):
        clock.now_s += 20.0
        watch.reached()
    assert watch.trusts_expiry


def failing(times: int) -> Callable[[], str]:
    tries = itertools.count()

    def call() -> str:
        if next(tries) < times:
            raise AWAY
        return "done"

    return call


def test_persisting_repeats_the_call_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage_module, "_FIRST_PAUSE_S", 0.001)
    watch = StoreWatch(60.0)
    assert watch.persist(failing(3), lambda: False) == "done"
    assert not watch.unavailable


def test_persisting_ends_when_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage_module, "_FIRST_PAUSE_S", 0.001)
    watch = StoreWatch(60.0)
    stop = itertools.chain([False] * 5, itertools.repeat(True))
    assert watch.persist(failing(1000), lambda: next(stop)) is None
    assert watch.unavailable


def test_other_errors_are_not_repeated() -> None:
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        StoreWatch(60.0).persist(broken, lambda: False)


def test_a_call_is_repeated_as_long_as_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.now_s += seconds

    monkeypatch.setattr(outage_module.time, "monotonic", clock)
    monkeypatch.setattr(outage_module.time, "sleep", sleep)
    told: list[str] = []

    def answer_at(at_s: float) -> str:
        if clock.now_s < at_s:
            raise AWAY
        return "an answer"

    start = clock.now_s
    assert with_patience(lambda: answer_at(start + 30.0), 60.0, told.append) == "an answer"
    assert told == [str(AWAY)]
    assert 30.0 <= sum(pauses) <= 60.0
    until = clock.now_s + 60.0
    with pytest.raises(PatienceError, match=r"connection refused; it was waited for 60 s"):
        with_patience(lambda: answer_at(until + 1.0), 60.0, told.append)
    assert clock.now_s <= until
    with pytest.raises(StoreUnavailableError) as caught:
        with_patience(lambda: answer_at(until + 1.0), 0.0, told.append)
    assert caught.value is AWAY
    assert len(told) == 2


def test_a_refused_address_is_not_waited_for() -> None:
    refused = StoreAddressError("store db: no such host")

    def call() -> None:
        raise refused

    with pytest.raises(StoreAddressError) as caught:
        with_patience(call, 60.0, pytest.fail)
    assert caught.value is refused
