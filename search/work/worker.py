"""A worker: claims waiting trials of one or more studies and trains them until none is left.

A worker never creates trials. All writes of a trial go through a separate thread
(`fdrnn.search.work.journal`), so that training continues during an outage of the store. When
another worker has claimed the trial, training stops at once and the last checkpoint stays.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fdrnn.datasets import Dataset
from fdrnn.datasets.errors import FdrnnError, error_line
from fdrnn.model import CheckpointError, EpochRecord, ToolchainError, TrainingInterrupted
from fdrnn.search.errors import LeaseLostError, StoreError, StoreUnavailableError
from fdrnn.search.machine import limit_threads
from fdrnn.search.mirror.optuna_tables import Mirror
from fdrnn.search.store.store import Store, open_store
from fdrnn.search.store.study import Study
from fdrnn.search.work.claiming import WorkerIdentity, claim, seconds_to_claim, this_worker
from fdrnn.search.work.events import EventKind, WorkerEvent
from fdrnn.search.work.journal import TrialJournal
from fdrnn.search.work.lease import Lease
from fdrnn.search.work.outage import Result, StoreWatch
from fdrnn.search.work.settings import WorkerSettings
from fdrnn.search.work.training import Training, TrainingRun

OnEvent = Callable[[WorkerEvent], None]

MOST_TROUBLES = 3
"""Releases in a row because of the machine's trouble after which a worker ends."""

_STOP_POLL_S = 0.2
_TROUBLE_PAUSE_S = 2.0
_LEAST_WAIT_S = 0.05


def run_worker(
    store_url: str,
    studies: str | Sequence[str],
    *,
    data_dir: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_event: OnEvent = lambda event: None,
    settings: WorkerSettings | None = None,
    patient: bool = False,
) -> None:
    """Train waiting trials of studies, in this process, until none waits and none runs.

    The studies are trained in the given order: the next one begins when no trial of those before
    it waits. While other workers' trials run, the worker waits for them to end, or claims them
    when their leases expire. The process keeps to the settings' number of threads.

    Parameters
    ----------
    store_url
        The URL of the store.
    studies
        The names of studies in it, or one name.
    data_dir
        The folder of data files; None where they are cached or fetched.
    stop
        Called often, also between minibatches and from another thread; once it returns true, the
        trial is checkpointed and released and the function returns.
    on_event
        Called with each event, one at a time, in this thread or the one that writes.
    settings
        The settings; None for the defaults.
    patient
        Whether to wait for a store that is unavailable at the beginning, too, and to leave out
        studies that it does not have.

    Raises
    ------
    FdrnnError
        If the store cannot be opened or fails with an error that does not pass, the data set
        fails, or nothing can be trained on this machine. The current trial is released, or left
        to its lease. An outage of the store after the beginning is waited for.
    OSError, MemoryError
        If the machine's trouble released trials `MOST_TROUBLES` times in a row.
    """
    settings = settings or WorkerSettings()
    limit_threads(settings.threads)
    names = (studies,) if isinstance(studies, str) else tuple(studies)
    _Worker(store_url, names, data_dir, stop, on_event, settings, patient).work()


def load_study_data(study: Study, data_dir: Path | None, training: Training) -> Dataset:
    """Load the data set of a study.

    Parameters
    ----------
    study
        The study.
    data_dir
        The folder of data files; None where they are cached or fetched.
    training
        The functions that load it.

    Raises
    ------
    StudyConflictError
        If the data are not those that the study was created for.
    """
    dataset = training.load_dataset(study.definition.data, data_dir)
    study.require_data(dataset.description)
    return dataset


@dataclass(frozen=True, eq=False)
class _LoadedStudy:
    study: Study
    dataset: Dataset
    mirror: Mirror


@dataclass(frozen=True, eq=False)
class _Claimed:
    study: _LoadedStudy
    lease: Lease

    @property
    def pause_at(self) -> float:
        """Return the epoch of the trial's next rung, infinity if there is none."""
        # Repeats are never compared.
        halving = None if self.lease.config_index < 0 else self.lease.definition.halving
        rung = None if halving is None else halving.next_rung(self.lease.rung)
        return math.inf if rung is None else rung


@dataclass(eq=False)
class _Worker:
    store_url: str
    names: tuple[str, ...]
    data_dir: Path | None
    stop: Callable[[], bool]
    on_event: OnEvent
    settings: WorkerSettings
    patient: bool
    identity: WorkerIdentity = field(default_factory=this_worker)
    reporting: threading.Lock = field(default_factory=threading.Lock)
    troubles: int = 0
    store: Store = field(init=False)
    studies: list[_LoadedStudy] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = StoreWatch(self.settings.lease_s, self.on_outage, self.on_reconnected)

    def open(self) -> bool:
        self.store = open_store(self.store_url)
        try:
            self.load_studies()
            self.sync()
        except BaseException:
            self.store.close()
            raise
        return True

    def load_studies(self) -> None:
        loaded: dict[str, Dataset] = {}
        self.studies = []
        for name in self.names:
            # A pool has found all; one may have been deleted or renamed before this worker began.
            study = self.store.find(name) if self.patient else self.store.study(name)
            if study is None:
                continue
            study.require_version()
            data = study.definition.data
            if data in loaded:
                study.require_data(loaded[data].description)
            else:
                loaded[data] = load_study_data(study, self.data_dir, self.settings.training)
            self.studies.append(_LoadedStudy(study, loaded[data], Mirror(study)))

    def sync(self) -> None:
        for study in self.studies:
            study.mirror.sync()

    def work(self) -> None:
        opened = self.watch.persist(self.open, self.stop) if self.patient else self.open()
        if not opened:
            return
        try:
            self.claim_and_train()
            self.persist(self.sync)
        finally:
            self.store.close()

    def persist(self, call: Callable[[], Result]) -> Result | None:
        def tried() -> Result:
            try:
                return call()
            except StoreUnavailableError:
                # Between two tries, others may wait for this very connection.
                self.store.close()
                raise

        return self.watch.persist(tried, self.stop)

    def claim_and_train(self) -> None:
        idle = False
        claimed = self.first_claim()
        while not self.stop():
            if claimed is not None:
                idle = False
                self.train(claimed)
            else:
                left_s = self.persist(self.seconds_to_claim)
                if left_s is None:
                    # Another worker's last draw may have ended since the claim: repeats are due.
                    claimed = self.persist(self.claim)
                    if claimed is None and self.persist(self.seconds_to_claim) is None:
                        break
                    continue
                if not idle:
                    self.report(EventKind.WAITING)
                    idle = True
                # An expired lease that was not claimed is one whose expiry is not trusted.
                # After a longer wait this process would count as asleep.
                longest_s = min(self.settings.wait_s, self.settings.lease_s / 4)
                self.sleep(longest_s if left_s < 0 else max(min(left_s, longest_s), _LEAST_WAIT_S))
            claimed = self.persist(self.claim)
        if claimed is not None:
            # Stopped between the claim and the training; the lease would expire in any case.
            with contextlib.suppress(LeaseLostError, StoreError):
                claimed.lease.release()

    def first_claim(self) -> _Claimed | None:
        # It shows whether the store can be written at all.
        try:
            return self.claim()
        except StoreUnavailableError:
            if not self.patient:
                raise
        return self.persist(self.claim)

    def claim(self) -> _Claimed | None:
        for loaded in self.studies:
            lease = claim(
                self.store.database,
                loaded.study.study_id,
                self.identity,
                self.settings.lease_s,
                created_at=loaded.study.created_at,
                claim_expired=self.watch.trusts_expiry,
            )
            if lease is not None:
                return _Claimed(loaded, lease)
        return None

    def seconds_to_claim(self) -> float | None:
        database = self.store.database
        studies = [loaded.study for loaded in self.studies]
        each = [seconds_to_claim(database, one.study_id, one.created_at) for one in studies]
        return min((left_s for left_s in each if left_s is not None), default=None)

    def sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.stop() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _STOP_POLL_S))

    def train(self, claimed: _Claimed) -> None:
        journal = TrialJournal(
            claimed.lease,
            claimed.study.mirror,
            self.watch,
            self.settings.write_interval_s,
            self.settings.checkpoint_interval_s,
            self.stop,
        )
        try:
            with journal:
                self.run_trial(claimed, journal)
        except LeaseLostError:
            self.report(EventKind.LOST, claimed)

    def run_trial(self, claimed: _Claimed, journal: TrialJournal) -> None:
        def interrupted() -> bool:
            return journal.interrupted or self.stop()

        trainer = None
        try:
            # Reported before the trainer exists, because the first one compiles its network.
            self.report(EventKind.CLAIMED, claimed)
            trainer = self.restored_trainer(claimed)
            journal.attach(trainer)
            self.report(EventKind.COMPILED, claimed, trainer)
            pause_at = claimed.pause_at
            with contextlib.suppress(TrainingInterrupted):
                while not (trainer.finished or trainer.epoch >= pause_at or interrupted()):
                    record = trainer.run_epoch(interrupted)
                    journal.add(record)
                    self.troubles = 0
                    self.report(EventKind.EPOCH, claimed, trainer, record)
            result = trainer.result() if trainer.finished and not journal.interrupted else None
        except (LeaseLostError, StoreError):
            raise
        except (FdrnnError, OSError, MemoryError) as error:
            if not self.stop():
                self.release_for_trouble(claimed, journal, error)
            # A signal to all processes of the group ends a compiler, too.
            elif journal.release():
                self.report(EventKind.RELEASED, claimed)
        except Exception as error:
            journal.fail(traceback.format_exc())
            self.report(EventKind.FAILED, claimed, text=error_line(error))
        else:
            if result is not None and journal.finish(result):
                text = "diverged" if result.diverged else ""
                self.report(EventKind.FINISHED, claimed, trainer, text=text)
            elif result is None and trainer.epoch >= pause_at and journal.pause():
                self.report(EventKind.PAUSED, claimed, trainer)
            elif journal.release():
                self.report(EventKind.RELEASED, claimed, trainer)

    def release_for_trouble(
        self, claimed: _Claimed, journal: TrialJournal, error: Exception
    ) -> None:
        # It says nothing about the trial: another machine may train it.
        text = error_line(error)
        journal.release(f"{self.identity.name}: {text}")
        self.report(EventKind.TROUBLE, claimed, text=text)
        self.troubles += 1
        # A full disk fails a compilation, too.
        passing = not isinstance(error, FdrnnError) or isinstance(error, ToolchainError)
        if not passing or self.troubles >= MOST_TROUBLES:
            raise error
        self.sleep(_TROUBLE_PAUSE_S * self.troubles)

    def restored_trainer(self, claimed: _Claimed) -> TrainingRun:
        loaded, lease = claimed.study, claimed.lease

        def fresh() -> TrainingRun:
            make = self.settings.training.make_trainer
            return make(loaded.dataset, lease.definition, lease.hyperparameters, lease.seed)

        trainer = fresh()
        if lease.checkpoint is None:
            return trainer
        try:
            trainer.restore(lease.checkpoint)
        except CheckpointError as error:
            self.watch.persist(lease.restart, self.stop)
            self.report(EventKind.RESTARTED, claimed, text=str(error))
            return fresh()
        return trainer

    def on_outage(self, reason: str) -> None:
        self.report(EventKind.OUTAGE, text=reason)

    def on_reconnected(self, seconds: float) -> None:
        self.report(EventKind.RECONNECTED, text=f"after {seconds:.0f} s", seconds=seconds)

    def report(
        self,
        kind: EventKind,
        claimed: _Claimed | None = None,
        trainer: TrainingRun | None = None,
        record: EpochRecord | None = None,
        text: str = "",
        seconds: float = 0.0,
    ) -> None:
        event = WorkerEvent(worker=self.identity.name, kind=kind, text=text, seconds=seconds)
        if claimed is not None:
            lease = claimed.lease
            event = replace(
                event,
                study=claimed.study.study.name,
                config_index=lease.config_index,
                epoch=lease.epoch,
                max_epochs=lease.definition.training.max_epochs,
            )
        if trainer is not None:
            event = replace(event, epoch=trainer.epoch, best_valid_nll=trainer.best_valid_nll)
        if claimed is not None and record is not None:
            settings = claimed.study.study.definition.training
            valid_nll = settings.valid_nll(record.valid_nll_counted, record.valid_nll_masked)
            event = replace(event, valid_nll=valid_nll, seconds=record.seconds)
        with self.reporting:
            self.on_event(event)
