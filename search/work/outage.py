"""Outages of the store as one worker sees them: when to retry, and which leases to trust after."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from fdrnn.search.errors import PatienceError, StoreAddressError, StoreUnavailableError

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 30.0
_POLL_S = 0.2

Result = TypeVar("Result")


class StoreWatch:
    """Whether the store is available, as the callers report it.

    Pauses between tries double up to a third of a lease and at most half a minute, with jitter,
    so that many workers do not reconnect at the same moment. After an outage, and after this
    process itself was asleep (stopped, or its machine suspended), other workers' expired leases
    are not trusted for one lease length: those workers may be alive and about to renew. A process
    that has not reached the store for half a lease counts as asleep.

    Parameters
    ----------
    lease_s
        Length of a lease in seconds.
    on_outage
        Called with the reason when an outage begins.
    on_reconnected
        Called with its length in seconds when it ends.
    """

    def __init__(
        self,
        lease_s: float,
        on_outage: Callable[[str], None] = lambda reason: None,
        on_reconnected: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._lease_s = lease_s
        self._on_outage = on_outage
        self._on_reconnected = on_reconnected
        self._lock = threading.Lock()
        self._n_missed = 0
        self._outage_since = 0.0
        self._last_reached: float | None = None
        self._trust_from = 0.0

    @property
    def unavailable(self) -> bool:
        """Whether the last try failed."""
        return self._n_missed > 0

    @property
    def trusts_expiry(self) -> bool:
        """Whether an expired lease means that its worker has had the time to renew it."""
        now = _now_s()
        return not self.unavailable and not self._was_asleep(now) and now >= self._trust_from

    def reached(self) -> None:
        """Record that the store answered."""
        with self._lock:
            now = _now_s()
            n_missed, self._n_missed = self._n_missed, 0
            if n_missed or self._was_asleep(now):
                self._trust_from = now + self._lease_s
            self._last_reached = now
        if n_missed:
            self._on_reconnected(now - self._outage_since)

    def _was_asleep(self, now: float) -> bool:
        return self._last_reached is not None and now - self._last_reached > self._lease_s / 2

    def missed(self, error: StoreUnavailableError) -> float:
        """Record that the store did not answer, and return the seconds until the next try."""
        with self._lock:
            first = not self._n_missed
            if first:
                self._outage_since = _now_s()
            self._n_missed += 1
            doubled = _FIRST_PAUSE_S * 2.0 ** min(self._n_missed, 16)
            longest = min(doubled, self._lease_s / 3, _LONGEST_PAUSE_S)
        if first:
            self._on_outage(str(error))
        return random.uniform(longest / 2, longest)

    def persist(self, call: Callable[[], Result], stop: Callable[[], bool]) -> Result | None:
        """Call until the store answers.

        Parameters
        ----------
        call
            The call, which may be repeated.
        stop
            Ends the tries once true.

        Returns
        -------
        Result or None
            The call's result; None if it was stopped before there was one.
        """
        while not stop():
            try:
                result = call()
            except StoreUnavailableError as error:
                until = time.monotonic() + self.missed(error)
                while not stop() and time.monotonic() < until:
                    time.sleep(_POLL_S)
                continue
            self.reached()
            return result
        return None


def with_patience(
    call: Callable[[], Result], patience_s: float, on_wait: Callable[[str], None]
) -> Result:
    """Call until the store answers, for a limited time.

    Parameters
    ----------
    call
        The call, which may be repeated.
    patience_s
        Seconds after which no further try begins; 0 for a single one.
    on_wait
        Called with the reason before the first pause.

    Raises
    ------
    PatienceError
        If the store has not answered.
    StoreAddressError
        If its address, user, password or database is refused.
    StoreUnavailableError
        If it has not answered the single try.
    """
    watch = StoreWatch(patience_s, on_wait if patience_s else lambda reason: None)
    until = time.monotonic() + patience_s
    while True:
        try:
            return call()
        except StoreUnavailableError as error:
            if not patience_s or isinstance(error, StoreAddressError):
                raise
            pause_s = watch.missed(error)
            if time.monotonic() + pause_s > until:
                raise PatienceError(
                    f"{error}; it was waited for {patience_s:g} s (--patience)"
                ) from error
            time.sleep(pause_s)


def _now_s() -> float:
    # Unlike the monotonic clock, this one also counts while the machine is suspended.
    return time.clock_gettime(time.CLOCK_BOOTTIME)
