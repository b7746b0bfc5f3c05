"""All writes of a running trial, in a separate thread.

Training never waits for the store: epochs are collected and written in batches, with
checkpoints at intervals, and every write renews the trial's lease. During an outage they stay
collected, and are written when the store is available again.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from fdrnn.model import EpochRecord, TrialResult
from fdrnn.search.errors import StoreUnavailableError
from fdrnn.search.machine import describe_machine
from fdrnn.search.mirror.optuna_tables import Mirror
from fdrnn.search.work.lease import Lease
from fdrnn.search.work.outage import StoreWatch
from fdrnn.search.work.training import TrainingRun

STOP_PATIENCE_S = 4.0
"""Seconds after a stop within which training must end its epoch, or the store answer."""

_POLL_S = 0.5


class TrialJournal:
    """The thread that writes a trial from its claim to its end; a context manager.

    Every method but the context manager's returns without the store; `finish`, `release` and
    `fail` wait until their write is done, through any outage, but once `stop` is true no longer
    than `STOP_PATIENCE_S`.

    When `stop` turns true and training does not end its epoch within `STOP_PATIENCE_S`, because
    it compiles or scores a long test set, the thread itself releases the trial with the state
    after its last epoch.

    Parameters
    ----------
    lease
        The trial's lease.
    mirror
        Shows the trial's claim, some epochs and its end.
    watch
        Records whether the store answers.
    write_interval_s
        Seconds for which epochs may be collected.
    checkpoint_interval_s
        Seconds between two checkpoints. The first epoch of an attempt has one at once, so that
        every attempt that trains an epoch makes progress.
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
        self._trainer: TrainingRun | None = None
        self._changed = threading.Condition()
        self._records: list[EpochRecord] = []
        self._last_epoch = self._checkpointed_epoch = lease.epoch
        self._checkpoint: bytes | None = None
        self._written_at = _now_s()
        self._checkpointed_at = -math.inf
        self._ending: Callable[[], None] | None = None
        # One object, by which `_end` recognizes it.
        self._releasing: Callable[[], None] = self._release
        self._abandoned = False
        self._over = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="trial journal", daemon=True)

    # -- called by the training thread -----------------------------------------------------

    @property
    def interrupted(self) -> bool:
        """Whether training must end because nothing more can be written."""
        return self._over

    def __enter__(self) -> TrialJournal:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
        self._thread.join(STOP_PATIENCE_S if self._stop() else None)

    def attach(self, trainer: TrainingRun) -> None:
        """Set the trial's trainer, whose state is the checkpoint."""
        self._trainer = trainer
        # A trainer that could not be restored begins at epoch 0.
        self._last_epoch = self._checkpointed_epoch = trainer.epoch

    def add(self, record: EpochRecord) -> None:
        """Add the epoch that the trainer has just finished."""
        assert self._trainer is not None
        now = _now_s()
        due = now - self._checkpointed_at >= self._checkpoint_interval_s
        state = self._trainer.state() if due else None
        with self._changed:
            self._records.append(record)
            self._last_epoch = record.epoch
            if state is not None:
                self._set_checkpoint(state)
            self._changed.notify_all()

    def finish(self, result: TrialResult) -> bool:
        """Finish the trial: write its result.

        Returns
        -------
        bool
            False if it could not be written before the worker had to stop; the trial then resumes
            from its last checkpoint.

        Raises
        ------
        LeaseLostError
            If another worker has claimed the trial.
        StoreError
            If the store fails with an error that does not pass.
        """
        if not result.diverged:
            self._checkpoint_last_epoch()

        def write() -> None:
            self._lease.finish(result, describe_machine())
            self._mirror.ended(self._lease.config_index)

        return self._end(write)

    def release(self, trouble: str | None = None) -> bool:
        """Release the trial; returns and raises as `finish` does.

        Parameters
        ----------
        trouble
            The machine's trouble that ended the attempt, in one line. None where the worker
            stops: the last epoch then becomes the checkpoint.
        """
        if trouble is None:
            self._checkpoint_last_epoch()
            return self._end(self._releasing)
        return self._end(lambda: self._release(trouble))

    def pause(self) -> bool:
        """Make the trial pause with its last epoch as the checkpoint; as `finish` otherwise."""
        self._checkpoint_last_epoch()

        def write() -> None:
            self._lease.pause()
            self._mirror.waiting(self._lease.config_index)

        return self._end(write)

    def fail(self, error: str) -> bool:
        """Fail the trial with a program error's traceback; returns and raises as `finish` does."""

        def write() -> None:
            self._lease.fail(error)
            self._mirror.ended(self._lease.config_index)

        return self._end(write)

    def _end(self, write: Callable[[], None]) -> bool:
        with self._changed:
            self._ending = self._ending or write
            self._changed.notify_all()
            begun = _now_s()
            while not self._over:
                self._changed.wait(_POLL_S)
                if self._stop() and _now_s() - begun > STOP_PATIENCE_S:
                    return False
        if self._error is not None:
            raise self._error
        # False if the thread has released the trial in between.
        return self._ending is write

    def _release(self, trouble: str | None = None) -> None:
        self._lease.release(trouble)
        self._mirror.waiting(self._lease.config_index)

    def _set_checkpoint(self, state: bytes) -> None:
        self._checkpoint = state
        self._checkpointed_epoch = self._last_epoch
        self._checkpointed_at = _now_s()

    def _checkpoint_last_epoch(self) -> None:
        trainer, epoch = self._trainer, self._last_epoch
        if trainer is None or epoch <= self._checkpointed_epoch or trainer.epoch != epoch:
            return
        state = trainer.state()
        with self._changed:
            # Called from the other thread, training may have finished another epoch.
            if trainer.epoch == self._last_epoch == epoch:
                self._set_checkpoint(state)

    # -- run by the journal's thread -------------------------------------------------------

    def _run(self) -> None:
        try:
            self._mirror.claimed(self._lease.config_index)
            while not self._abandoned and not self._over:
                self._wait(self._seconds_to_write())
                self._check_stop()
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
        return self._written_at + min(interval_s, self._renew_interval_s) - _now_s()

    def _check_stop(self) -> None:
        if self._ending is not None or not self._stop():
            return
        now = _now_s()
        self._stop_seen_at = self._stop_seen_at or now
        if now - self._stop_seen_at >= STOP_PATIENCE_S:
            self._checkpoint_last_epoch()
            with self._changed:
                self._ending = self._ending or self._releasing

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
                    self._mirror.report(self._lease.config_index, records)
            elif ending is not None:
                ending()
                self._over = True
            else:
                self._lease.renew()
            self._written_at = _now_s()
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
        until = _now_s() + seconds
        while not self._abandoned and (left := until - _now_s()) > 0:
            if self._ending is not None and self._stop():
                # Little time is left to reconnect.
                left = min(left, _POLL_S)
                until = _now_s()
            self._wait(left)
            self._check_stop()


def _now_s() -> float:
    return time.monotonic()
