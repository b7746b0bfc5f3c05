"""The cost of a store: wall time of a study's writes beside its training."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from fdrnn.datasets import Dataset
from fdrnn.model import FastDropoutHyperparameters, TrainingSettings
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.distributions import Value
from fdrnn.search.design.space import SPACES
from fdrnn.search.store.store import open_store
from fdrnn.search.work.creation import create_study
from fdrnn.search.work.events import EventKind, WorkerEvent
from fdrnn.search.work.settings import WorkerSettings
from fdrnn.search.work.training import Training, TrainingRun
from fdrnn.search.work.worker import run_worker


@dataclass(frozen=True, kw_only=True)
class StoreCost:
    """The cost of the store in a trial on SQLite, over all epochs but the first.

    Attributes
    ----------
    epochs_s
        Wall time of the epochs: training, validation, spectral radii.
    store_s
        Wall time between the epochs, and the processor time of the threads that write during
        them: curves, checkpoints, leases, Optuna.
    """

    epochs_s: float
    store_s: float

    @property
    def ratio(self) -> float:
        """The ratio of the store's time to the epochs'."""
        return self.store_s / self.epochs_s


def time_store(
    dataset: Dataset, hyperparameters: FastDropoutHyperparameters, n_epochs: int
) -> StoreCost:
    """Time the store in a study of one trial, trained in this process in a temporary store."""

    def make_trainer(
        data: Dataset, definition: StudyDefinition, drawn: dict[str, Value], seed: int
    ) -> TrainingRun:
        from fdrnn.model import trainer  # noqa: PLC0415 - imports Theano

        return trainer.Trainer(data, definition.variant, hyperparameters, definition.training, seed)

    events: list[tuple[float, float, WorkerEvent]] = []

    def record(event: WorkerEvent) -> None:
        # An epoch's event comes from the thread that trains; the others' time is the writers'.
        others_s = time.process_time() - time.thread_time()
        events.append((time.perf_counter(), others_s, event))

    training = Training(load_dataset=lambda name, folder: dataset, make_trainer=make_trainer)
    definition = StudyDefinition(
        name="benchmark",
        data=dataset.name,
        variant="fast_dropout",
        space=SPACES["table2"],
        n_trials=1,
        seed=0,
        training=TrainingSettings(max_epochs=n_epochs, patience=n_epochs),
    )
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.sqlite3'}"
        store = open_store(url, create=True)
        create_study(store, definition, dataset.description)
        store.close()
        settings = WorkerSettings(training=training)
        run_worker(url, definition.name, on_event=record, settings=settings)
    epochs = [event for event in events if event[2].kind is EventKind.EPOCH]
    (begun, others_before, _), (ended, others_after, _) = epochs[0], epochs[-1]
    epochs_s = sum(event.seconds for _, _, event in epochs[1:])
    between_s = ended - begun - epochs_s
    return StoreCost(epochs_s=epochs_s, store_s=between_s + others_after - others_before)
