"""A worker: claims waiting trials of one or more studies and trains them until none is left.

A worker never makes up trials. All that a trial writes goes through a thread of its own
(`fdrnn.search.work.journal`), so that training goes on while the store is away. A worker stops at
once, leaving the trial as the last checkpoint has it, when another has taken the trial over.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fdrnn.datasets import Dataset
from fdrnn.datasets.errors import FdrnnError, error_line
from fdrnn.model import CheckpointError, EpochRecord, ToolchainError, TrainingInterrupted
from fdrnn.search.errors import (
    LeaseLostError,
    StoreError,
    StoreUnavailableError,
)
from fdrnn.search.machine import limit_blas_threads
from fdrnn.search.mirror.optuna_tables import Mirror
from fdrnn.search.store.store import Store, open_store
from fdrnn.search.store.study import Study
from fdrnn.search.work.claiming import WorkerIdentity, claim, seconds_to_expiry, this_worker
from fdrnn.search.work.events import EventKind, WorkerEvent
from fdrnn.search.work.journal import TrialJournal
from fdrnn.search.work.lease import Lease
from fdrnn.search.work.outage import Result, StoreWatch
from fdrnn.search.work.settings import WorkerSettings
from fdrnn.search.work.training import Trainer, Training

OnEvent = Callable[[WorkerEvent], None]

MOST_TROUBLES = 3
"""Times in a row that a worker puts a trial back for its machine's trouble before it gives up."""

_STOP_POLL_S = 0.2
_TROUBLE_PAUSE_S = 2.0
_LEAST_WAIT_S = 0.05


def work(
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

    Studies are taken in the order given: the next is begun when no trial of those before it
    waits. The process keeps to the settings' number of BLAS threads. While trials of other
    workers run, it waits for them to end, or takes them up when their leases expire.

    Parameters
    ----------
    store_url
        The store.
    studies
        Names of studies in it, or one name.
    data_dir
        Folder of data files, if the user names one.
    stop
        Asked often, also between minibatches and from another thread; once true, the trial is
        checkpointed and released and the function returns.
    on_event
        Called with each event, one at a time, in this thread or the one that writes.
    settings
        How the store is used; None for the defaults.
    patient
        Whether to wait for a store that is away at the beginning, too.

    Raises
    ------
    FdrnnError
        If the store cannot be opened or fails for good, the data set fails, or nothing can be
        trained on this machine. A trial in hand is put back, or left to its lease where the
        store is gone. A store that is only away, once it was there, is waited for.
    OSError, MemoryError
        If the machine's trouble put trials back `MOST_TROUBLES` times in a row.
    """
    settings = settings or WorkerSettings()
    limit_blas_threads(settings.threads)
    names = (studies,) if isinstance(studies, str) else tuple(studies)
    _Worker(store_url, names, data_dir, stop, on_event, settings, patient).work()


def load_study_data(stored: Study, data_dir: Path | None, training: Training) -> Dataset:
    """Load the data set of a study.

    Parameters
    ----------
    stored
        The study.
    data_dir
        Folder with data files; None where they are cached or fetched.
    training
        How it is loaded.

    Raises
    ------
    StudyConflictError
        If the data are not those for which the study was made.
    """
    dataset = training.load_dataset(stored.definition.data, data_dir)
    stored.require_data(dataset.description)
    return dataset


@dataclass(frozen=True, eq=False)
class _Study:
    """A study that is worked on."""

    stored: Study
    dataset: Dataset
    mirror: Mirror


@dataclass(frozen=True, eq=False)
class _Held:
    """A claimed trial and its study."""

    study: _Study
    lease: Lease


class _Worker:
    def __init__(
        self,
        store_url: str,
        names: tuple[str, ...],
        data_dir: Path | None,
        stop: Callable[[], bool],
        on_event: OnEvent,
        settings: WorkerSettings,
        patient: bool,
    ) -> None:
        self.store_url = store_url
        self.names = names
        self.data_dir = data_dir
        self.stop = stop
        self.on_event = on_event
        self.settings = settings
        self.patient = patient
        self.identity: WorkerIdentity = this_worker()
        self.watch = StoreWatch(settings.lease_s, self.tell_away, self.tell_back)
        self.telling = threading.Lock()
        self.troubles = 0
        self.store: Store
        self.studies: list[_Study] = []

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
        stored = [self.store.study(name) for name in self.names]
        # Those of a comparison have the same data.
        loaded: dict[str, Dataset] = {}
        self.studies = []
        for one in stored:
            data = one.definition.data
            if data in loaded:
                one.require_data(loaded[data].description)
            else:
                loaded[data] = load_study_data(one, self.data_dir, self.settings.training)
            self.studies.append(_Study(one, loaded[data], Mirror(self.store.database, one)))

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
                # Between two tries it may be the very connection that others wait for.
                self.store.close()
                raise

        return self.watch.persist(tried, self.stop)

    def claim_and_train(self) -> None:
        idle = False
        held = self.first_claim()
        while not self.stop():
            if held is not None:
                idle = False
                self.train(held)
            else:
                left_s = self.persist(self.seconds_to_expiry)
                if left_s is None:
                    break
                if not idle:
                    self.tell(EventKind.WAITING)
                    idle = True
                # An expired lease that was not taken is one that is not trusted to have expired.
                # After a longer wait this process would count as asleep.
                longest_s = min(self.settings.wait_s, self.settings.lease_s / 4)
                self.sleep(longest_s if left_s < 0 else max(min(left_s, longest_s), _LEAST_WAIT_S))
            held = self.persist(self.claim)
        if held is not None:
            # Told to stop between the claim and the training; it would expire in any case.
            with contextlib.suppress(StoreError):
                held.lease.release()

    def first_claim(self) -> _Held | None:
        # It shows whether the store can be written at all.
        try:
            return self.claim()
        except StoreUnavailableError:
            if not self.patient:
                raise
        return self.persist(self.claim)

    def claim(self) -> _Held | None:
        for study in self.studies:
            lease = claim(
                self.store.database,
                study.stored.study_id,
                self.identity,
                self.settings.lease_s,
                take_expired=self.watch.trusts_expiry,
            )
            if lease is not None:
                return _Held(study, lease)
        return None

    def seconds_to_expiry(self) -> float | None:
        database = self.store.database
        each = [seconds_to_expiry(database, study.stored.study_id) for study in self.studies]
        return min((left_s for left_s in each if left_s is not None), default=None)

    def sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.stop() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _STOP_POLL_S))

    def train(self, held: _Held) -> None:
        journal = TrialJournal(
            held.lease,
            held.study.mirror,
            self.watch,
            self.settings.write_interval_s,
            self.settings.checkpoint_interval_s,
            self.stop,
        )
        try:
            with journal:
                self.run_trial(held, journal)
        except LeaseLostError:
            self.tell(EventKind.LOST, held)

    def run_trial(self, held: _Held, journal: TrialJournal) -> None:
        def interrupted() -> bool:
            return journal.interrupted or self.stop()

        trainer = None
        try:
            # Told before the trainer is made, because a first one compiles its network.
            self.tell(EventKind.CLAIMED, held)
            trainer = self.restored_trainer(held)
            journal.attach(trainer)
            with contextlib.suppress(TrainingInterrupted):
                while not trainer.finished and not interrupted():
                    record = trainer.run_epoch(interrupted)
                    journal.add(record)
                    self.troubles = 0
                    self.tell(EventKind.EPOCH, held, trainer, record)
            result = trainer.result() if trainer.finished and not journal.interrupted else None
        except (LeaseLostError, StoreError):
            raise
        except (FdrnnError, OSError, MemoryError) as error:
            if self.stop():
                # A signal to all processes of the group ends a compiler, too.
                if journal.release():
                    self.tell(EventKind.RELEASED, held)
                return
            self.give_back(held, journal, error)
        except Exception as error:
            journal.fail(traceback.format_exc())
            self.tell(EventKind.FAILED, held, text=error_line(error))
        else:
            if result is not None and journal.finish(result):
                text = "diverged" if result.diverged else ""
                self.tell(EventKind.FINISHED, held, trainer, text=text)
            elif journal.release():
                self.tell(EventKind.RELEASED, held, trainer)

    def give_back(self, held: _Held, journal: TrialJournal, error: Exception) -> None:
        # The machine's trouble and no verdict on the trial: another one may train it.
        text = error_line(error)
        journal.give_back(f"{self.identity.name}: {text}")
        self.tell(EventKind.TROUBLE, held, text=text)
        self.troubles += 1
        # A compilation fails for a full disk, too.
        passing = not isinstance(error, FdrnnError) or isinstance(error, ToolchainError)
        if not passing or self.troubles >= MOST_TROUBLES:
            raise error
        self.sleep(_TROUBLE_PAUSE_S * self.troubles)

    def restored_trainer(self, held: _Held) -> Trainer:
        study, lease = held.study, held.lease

        def fresh() -> Trainer:
            make = self.settings.training.make_trainer
            return make(study.dataset, study.stored.definition, lease.hyperparameters, lease.seed)

        trainer = fresh()
        if lease.checkpoint is None:
            return trainer
        try:
            trainer.restore(lease.checkpoint)
        except CheckpointError as error:
            self.watch.persist(lease.restart, self.stop)
            self.tell(EventKind.RESTARTED, held, text=str(error))
            return fresh()
        return trainer

    def tell_away(self, reason: str) -> None:
        self.tell(EventKind.AWAY, text=reason)

    def tell_back(self, seconds: float) -> None:
        self.tell(EventKind.BACK, text=f"after {seconds:.0f} s", seconds=seconds)

    def tell(
        self,
        kind: EventKind,
        held: _Held | None = None,
        trainer: Trainer | None = None,
        record: EpochRecord | None = None,
        text: str = "",
        seconds: float = 0.0,
    ) -> None:
        event = WorkerEvent(worker=self.identity.name, kind=kind, text=text, seconds=seconds)
        if held is not None:
            lease = held.lease
            event = replace(event, config_index=lease.config_index, epoch=lease.epoch)
            if len(self.studies) > 1:
                event = replace(event, study=held.study.stored.definition.name)
        if trainer is not None:
            event = replace(event, epoch=trainer.epoch, best_valid_nll=trainer.best_valid_nll)
        if held is not None and record is not None:
            settings = held.study.stored.definition.training
            valid_nll = settings.valid_nll(record.valid_nll_counted, record.valid_nll_masked)
            event = replace(event, valid_nll=valid_nll, seconds=record.seconds)
        with self.telling:
            self.on_event(event)
