"""All of a running trial's traffic with the store, in a thread of its own.

Training never waits for the store: epochs are collected and written in batches, with
checkpoints at intervals, and every write renews the trial's lease. While the store is away they
stay collected, and are written when it is back.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from types import TracebackType

from fdrnn.model import EpochRecord, TrialResult
from fdrnn.search.errors import StoreUnavailableError
from fdrnn.search.machine import describe_machine
from fdrnn.search.mirror.optuna_tables import Mirror
from fdrnn.search.work.lease import Lease
from fdrnn.search.work.outage import StoreWatch
from fdrnn.search.work.training import Trainer

STOP_PATIENCE_S = 4.0
"""Seconds after a stop within which training must yield, or the store answer."""

_POLL_S = 0.5


class TrialJournal:
    """The thread that writes a trial from its claim to its end; a context manager.

    Every method but the context manager's returns without the store; `finish`, `release`, `fail`
    and `give_back` wait until their write is done, through any outage, but once `stop` is true
    no longer than `STOP_PATIENCE_S`.

    When `stop` turns true and training does not yield within `STOP_PATIENCE_S`, because it
    compiles or scores a long test set, the thread itself puts the trial back as its last epoch
    left it.

    Parameters
    ----------
    lease
        The trial's lease.
    mirror
        Shown the trial's start, some epochs and its end.
    watch
        Told whether the store answers.
    write_interval_s
        Seconds for which epochs may be collected.
    checkpoint_interval_s
        Seconds between two checkpoints. The first epoch of an attempt has one at once, so that
        every attempt that comes so far leaves the trial further than it was.
    stop
        Whether the worker is to stop.

    Examples
    --------
    ::

        with TrialJournal(lease, mirror, watch, 2.0, 60.0, stop) as journal:
            journal.attach(trainer)
            while not trainer.finished and not journal.interrupted:
                journal.add(trainer.run_epoch(lambda: journal.interrupted))
            journal.finish(trainer.result())
    """

    def __init__(
        self,
        lease: Lease,
        mirror: Mirror,
        watch: StoreWatch,
        write_interval_s: float,
        checkpoint_interval_s: float,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._lease = lease
        self._mirror = mirror
        self._watch = watch
        self._write_interval_s = write_interval_s
        self._renew_interval_s = lease.lease_s / 3
        self._checkpoint_interval_s = checkpoint_interval_s
        self._stop = stop
        self._stop_seen_at: float | None = None
        self._trainer: Trainer | None = None
        self._changed = threading.Condition()
        self._records: list[EpochRecord] = []
        self._last_epoch = self._checkpointed_epoch = lease.epoch
        self._checkpoint: bytes | None = None
        self._written_at = time.monotonic()
        self._checkpointed_at = -math.inf
        self._ending: Callable[[], None] | None = None
        # One object, by which the ending asked for is known again.
        self._putting_back: Callable[[], None] = self._release
        self._abandoned = False
        self._over = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="trial journal", daemon=True)

    # -- from the training thread ----------------------------------------------------------

    @property
    def interrupted(self) -> bool:
        """Whether training is to end because nothing more can be written."""
        return self._over

    def __enter__(self) -> TrialJournal:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
        self._thread.join(STOP_PATIENCE_S if self._stop() else None)

    def attach(self, trainer: Trainer) -> None:
        """Take the trial's trainer, whose state is the checkpoint."""
        self._trainer = trainer
        # One that could not be restored begins anew.
        self._last_epoch = self._checkpointed_epoch = trainer.epoch

    def add(self, record: EpochRecord) -> None:
        """Take the epoch just finished; the trainer stands after it."""
        assert self._trainer is not None
        now = time.monotonic()
        due = now - self._checkpointed_at >= self._checkpoint_interval_s
        state = self._trainer.state() if due else None
        with self._changed:
            self._records.append(record)
            self._last_epoch = record.epoch
            if state is not None:
                self._set_checkpoint(state)
            self._changed.notify_all()

    def finish(self, result: TrialResult) -> bool:
        """Write the end of the run.

        Returns
        -------
        bool
            False if it could not be written before the worker had to stop; the trial then goes
            on from its last checkpoint.

        Raises
        ------
        LeaseLostError
            If another worker has taken the trial over.
        StoreError
            If the store fails for good.
        """

        def write() -> None:
            self._lease.finish(result, describe_machine())
            self._mirror.ended(self._lease.config_index)

        return self._end(write)

    def release(self) -> bool:
        """Put the trial back with its last epoch as the checkpoint; as `finish` otherwise."""
        self._checkpoint_last_epoch()
        return self._end(self._putting_back)

    def give_back(self, trouble: str) -> bool:
        """Put the trial back because of the machine's trouble; as `finish` otherwise."""

        def write() -> None:
            self._lease.give_back(trouble)
            self._mirror.released(self._lease.config_index)

        return self._end(write)

    def fail(self, error: str) -> bool:
        """Record a program error's traceback; as `finish` otherwise."""

        def write() -> None:
            self._lease.fail(error)
            self._mirror.ended(self._lease.config_index)

        return self._end(write)

    def _end(self, write: Callable[[], None]) -> bool:
        with self._changed:
            self._ending = self._ending or write
            self._changed.notify_all()
            begun = time.monotonic()
            while not self._over:
                self._changed.wait(_POLL_S)
                if self._stop() and time.monotonic() - begun > STOP_PATIENCE_S:
                    return False
        if self._error is not None:
            raise self._error
        # A trial that this thread put back meanwhile has not come to the end asked for.
        return self._ending is write

    def _release(self) -> None:
        self._lease.release()
        self._mirror.released(self._lease.config_index)

    def _set_checkpoint(self, state: bytes) -> None:
        self._checkpoint = state
        self._checkpointed_epoch = self._last_epoch
        self._checkpointed_at = time.monotonic()

    def _checkpoint_last_epoch(self) -> None:
        trainer, epoch = self._trainer, self._last_epoch
        if trainer is None or epoch <= self._checkpointed_epoch or trainer.epoch != epoch:
            return
        state = trainer.state()
        with self._changed:
            # Called from the other thread, training may have gone on meanwhile.
            if trainer.epoch == self._last_epoch == epoch:
                self._set_checkpoint(state)

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._mirror.started(self._lease.config_index)
            while not self._abandoned and not self._over:
                self._wait(self._seconds_to_write())
                self._look_at_stop()
                if self._seconds_to_write() <= 0:
                    self._write()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _wait(self, seconds: float) -> None:
        with self._changed:
            if seconds > 0 and not self._abandoned:
                self._changed.wait(min(seconds, _POLL_S))

    def _seconds_to_write(self) -> float:
        if self._ending is not None or self._checkpoint is not None:
            return 0.0
        interval_s = self._write_interval_s if self._records else self._renew_interval_s
        return self._written_at + min(interval_s, self._renew_interval_s) - time.monotonic()

    def _look_at_stop(self) -> None:
        if self._ending is not None or not self._stop():
            return
        now = time.monotonic()
        self._stop_seen_at = self._stop_seen_at or now
        if now - self._stop_seen_at >= STOP_PATIENCE_S:
            self._checkpoint_last_epoch()
            with self._changed:
                self._ending = self._ending or self._putting_back

    def _write(self) -> None:
        with self._changed:
            checkpoint, ending = self._checkpoint, self._ending
            # A checkpoint belongs to the last epoch in the store, so later ones wait.
            n_records = len(self._records)
            if checkpoint is not None:
                n_records -= self._last_epoch - self._checkpointed_epoch
            records = self._records[:n_records]
        try:
            if records or checkpoint is not None:
                self._lease.write(records, checkpoint, describe_machine() if checkpoint else None)
                self._forget(records, checkpoint)
                if records:
                    self._mirror.report(self._lease.config_index, records[-1])
            elif ending is not None:
                ending()
                self._over = True
            else:
                self._lease.renew()
            self._written_at = time.monotonic()
        except StoreUnavailableError as error:
            self._pause(self._watch.missed(error))
            return
        self._watch.reached()

    def _forget(self, records: list[EpochRecord], checkpoint: bytes | None) -> None:
        with self._changed:
            del self._records[: len(records)]
            if self._checkpoint is checkpoint:
                self._checkpoint = None

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._abandoned and (left := until - time.monotonic()) > 0:
            if self._ending is not None and self._stop():
                # Little time is left to find the store back.
                left = min(left, _POLL_S)
                until = time.monotonic()
            self._wait(left)
            self._look_at_stop()
