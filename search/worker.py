"""A worker: claims waiting trials of a study and trains them until none is left.

A worker never makes up trials. It renews the lease of its trial by a thread, writes epochs in
batches and checkpoints in between, and stops at once, leaving the trial as the last checkpoint
has it, when another worker has taken the trial over.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from fdrnn.datasets import Dataset
from fdrnn.datasets.errors import FdrnnError
from fdrnn.model import CheckpointError, EpochRecord, TrainingInterrupted
from fdrnn.search.errors import LeaseLostError, StoreError, StudyConflictError
from fdrnn.search.events import EventKind, WorkerEvent
from fdrnn.search.journal import TrialJournal
from fdrnn.search.lease import (
    Lease,
    LeaseKeeper,
    WorkerIdentity,
    claim,
    seconds_to_expiry,
    this_worker,
)
from fdrnn.search.machine import describe_machine, limit_blas_threads
from fdrnn.search.mirror import Mirror
from fdrnn.search.store import Store, StoredStudy, open_store
from fdrnn.search.training import Trainer, Training

OnEvent = Callable[[WorkerEvent], None]

_STOP_POLL_S = 0.2
_LEAST_WAIT_S = 0.05


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How a worker uses the store and the machine; nothing but `threads` changes a result.

    Attributes
    ----------
    lease_s
        Seconds after which a trial whose worker is silent may be taken up by another.
    checkpoint_interval_s
        Seconds between two checkpoints; there is one more when the worker is stopped.
    write_interval_s
        Seconds for which epochs may be collected before they are written.
    wait_s
        Seconds at most between two looks at the trials of other workers.
    threads
        Threads of the linear algebra, at least 1. Another number changes the last bits.
    training
        How data are loaded and trainers made.

    Raises
    ------
    ValueError
        If a number is not positive (`write_interval_s` and `checkpoint_interval_s` may be 0).
    """

    lease_s: float = 60.0
    checkpoint_interval_s: float = 60.0
    write_interval_s: float = 2.0
    wait_s: float = 2.0
    threads: int = 1
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        for key, positive in (
            ("lease_s", True),
            ("wait_s", True),
            ("checkpoint_interval_s", False),
            ("write_interval_s", False),
        ):
            value = getattr(self, key)
            if value < 0 or (positive and value == 0):
                rule = "positive" if positive else "at least 0"
                raise ValueError(f"{key} must be {rule}, got {value!r}")
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")


def work(
    store_url: str,
    study: str,
    *,
    data_dir: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_event: OnEvent = lambda event: None,
    settings: WorkerSettings | None = None,
) -> None:
    """Train waiting trials of a study, in this process, until none waits and none runs.

    The process keeps to the settings' number of BLAS threads. While trials of other workers run,
    it waits for them to end, or takes them up when their leases expire.

    Parameters
    ----------
    store_url
        The store.
    study
        Name of a study in it.
    data_dir
        Folder of data files, if the user names one.
    stop
        Asked often, also between minibatches; once true, the trial is checkpointed and released
        and the function returns.
    on_event
        Called with each event, in this thread.
    settings
        How the store is used; None for the defaults.

    Raises
    ------
    FdrnnError
        If the store or the data set fails, or nothing can be trained on this machine. A trial
        in hand is released, or left to its lease where the store is gone.
    """
    settings = settings or WorkerSettings()
    limit_blas_threads(settings.threads)
    store = open_store(store_url)
    try:
        stored = store.study(study)
        dataset = _load(stored, data_dir, settings.training)
        mirror = Mirror(store.database, stored)
        mirror.sync()
        _Worker(store, stored, dataset, mirror, stop, on_event, settings).run()
        mirror.sync()
    finally:
        store.close()


def _load(stored: StoredStudy, data_dir: Path | None, training: Training) -> Dataset:
    dataset = training.load_dataset(stored.definition.data, data_dir)
    if dataset.fingerprint != stored.data.fingerprint:
        raise StudyConflictError(
            f"data set {stored.definition.data!r} is not the one that study "
            f"{stored.definition.name!r} was made for: here {dataset.fingerprint[:12]}..., in the "
            f"store {stored.data.fingerprint[:12]}...; check --data-dir"
        )
    return dataset


@dataclass
class _Worker:
    store: Store
    stored: StoredStudy
    dataset: Dataset
    mirror: Mirror
    stop: Callable[[], bool]
    on_event: OnEvent
    settings: WorkerSettings
    identity: WorkerIdentity = field(default_factory=this_worker)

    def run(self) -> None:
        database, study_id = self.store.database, self.stored.study_id
        idle = False
        while not self.stop():
            lease = claim(database, study_id, self.identity, self.settings.lease_s)
            if lease is not None:
                idle = False
                self.train(lease)
                continue
            left_s = seconds_to_expiry(database, study_id)
            if left_s is None:
                return
            if not idle:
                self.tell(EventKind.WAITING)
                idle = True
            self.sleep(max(min(left_s, self.settings.wait_s), _LEAST_WAIT_S))

    def sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.stop() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _STOP_POLL_S))

    def train(self, lease: Lease) -> None:
        self.mirror.started(lease.config_index)
        try:
            with LeaseKeeper(lease) as keeper:
                self.run_trial(lease, keeper)
        except LeaseLostError as error:
            self.tell(EventKind.LOST, lease, text=str(error))

    def run_trial(self, lease: Lease, keeper: LeaseKeeper) -> None:
        def interrupted() -> bool:
            return keeper.lost or self.stop()

        try:
            # Told before the trainer is made, because a first one compiles its network.
            self.tell(EventKind.CLAIMED, lease)
            trainer = self.restored_trainer(lease)
            journal = TrialJournal(
                lease,
                trainer,
                self.settings.write_interval_s,
                self.settings.checkpoint_interval_s,
            )
            with contextlib.suppress(TrainingInterrupted):
                while not trainer.finished and not interrupted():
                    record = trainer.run_epoch(interrupted)
                    journal.add(record)
                    self.mirror.report(lease.config_index, record)
                    self.tell(EventKind.EPOCH, lease, trainer, record)
            if trainer.finished:
                self.finish(lease, journal, trainer)
            else:
                self.release(lease, journal, trainer)
        except (LeaseLostError, StoreError):
            raise
        except (FdrnnError, OSError, MemoryError):
            # The machine's trouble and no verdict on the trial: another one may train it.
            lease.release()
            self.mirror.released(lease.config_index)
            raise
        except Exception as error:
            lease.fail(traceback.format_exc())
            self.mirror.ended(lease.config_index)
            self.tell(EventKind.FAILED, lease, text=f"{type(error).__name__}: {error}")

    def restored_trainer(self, lease: Lease) -> Trainer:
        def fresh() -> Trainer:
            make = self.settings.training.make_trainer
            return make(self.dataset, self.stored.definition, lease.hyperparameters, lease.seed)

        trainer = fresh()
        if lease.checkpoint is None:
            return trainer
        try:
            trainer.restore(lease.checkpoint)
        except CheckpointError as error:
            lease.restart()
            self.tell(EventKind.RESTARTED, lease, text=str(error))
            return fresh()
        return trainer

    def finish(self, lease: Lease, journal: TrialJournal, trainer: Trainer) -> None:
        journal.flush()
        result = trainer.result()
        lease.finish(result, describe_machine())
        self.mirror.ended(lease.config_index)
        text = "diverged" if result.diverged else ""
        self.tell(EventKind.FINISHED, lease, trainer, text=text)

    def release(self, lease: Lease, journal: TrialJournal, trainer: Trainer) -> None:
        journal.checkpoint()
        lease.release()
        self.mirror.released(lease.config_index)
        self.tell(EventKind.RELEASED, lease, trainer)

    def tell(
        self,
        kind: EventKind,
        lease: Lease | None = None,
        trainer: Trainer | None = None,
        record: EpochRecord | None = None,
        text: str = "",
    ) -> None:
        event = WorkerEvent(worker=self.identity.name, kind=kind, text=text)
        if lease is not None:
            event = replace(event, config_index=lease.config_index, epoch=lease.epoch)
        if trainer is not None:
            event = replace(event, epoch=trainer.epoch, best_valid_nll=trainer.best_valid_nll)
        if record is not None:
            counted = self.stored.definition.training.padding == "counted"
            valid_nll = record.valid_nll_counted if counted else record.valid_nll_masked
            event = replace(event, valid_nll=valid_nll, seconds=record.seconds)
        self.on_event(event)
