"""A study that needs no Theano: a data set of noise and trainers that make up their numbers.

The numbers of a trial follow from its seed and the epoch alone, so that an undisturbed run can
be computed beside any disturbed one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from fdrnn.datasets import Dataset
from fdrnn.model import (
    CheckpointError,
    EpochRecord,
    TrainingInterrupted,
    TrainingSettings,
    TrialResult,
)
from fdrnn.search import SPACES, Store, StudyDefinition, Training, WorkerSettings
from fdrnn.search.store import tables

EPOCH_S = "FAKE_EPOCH_S"
"""Environment variable: seconds that an epoch takes, for tests that disturb one."""

LAST_EPOCH = "FAKE_LAST_EPOCH"
"""Environment variable: after this epoch the next one lasts until somebody stops it."""


def elapse(store: Store, seconds: float) -> None:
    """Let time pass for every lease of a store: it expires `seconds` earlier."""
    expires = tables.trials.c.lease_expires
    with store.database.write() as connection:
        connection.execute(sa.update(tables.trials).values(lease_expires=expires - seconds))


def number(seed: int, epoch: int, name: str) -> float:
    digest = hashlib.sha256(f"{seed} {epoch} {name}".encode()).digest()
    return 1.0 + int.from_bytes(digest[:6], "big") / 2**48


def record(seed: int, epoch: int) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_nll=number(seed, epoch, "train"),
        valid_nll_counted=number(seed, epoch, "counted"),
        valid_nll_masked=number(seed, epoch, "masked"),
        spectral_radius=number(seed, epoch, "radius"),
        spectral_radius_squared=number(seed, epoch, "squared"),
        gradient_norm=number(seed, epoch, "norm"),
        seconds=0.25,
        measurements={"test_nll_pooled": number(seed, epoch, "test")},
    )


def curve_row(seed: int, epoch: int) -> dict[str, float]:
    """The row of `curves` that an epoch makes, but for its configuration."""
    columns = vars(record(seed, epoch)).copy()
    measured: dict[str, float] = columns.pop("measurements")
    return columns | measured


def result(seed: int, n_epochs: int) -> TrialResult:
    records = [record(seed, epoch) for epoch in range(1, n_epochs + 1)]
    best = min(records, key=lambda one: one.valid_nll_counted)
    return TrialResult(
        diverged=seed % 5 == 0,
        n_epochs=n_epochs,
        best_epoch=best.epoch,
        valid_nll=best.valid_nll_counted,
        valid_nll_counted=best.valid_nll_counted,
        valid_nll_masked=best.valid_nll_masked,
        test_nll_sums=np.array([number(seed, 0, "first"), 3 * number(seed, 0, "second"), 0.0]),
        test_steps=np.array([1, 3, 0]),
        parameters={
            "W_rec": np.full((2, 3), number(seed, best.epoch, "W"), np.float32),
            "b_h": np.arange(3, dtype=np.float32),
        },
    )


class FakeTrainer:
    def __init__(self, seed: int, n_epochs: int) -> None:
        self.seed = seed
        self.n_epochs = n_epochs
        self.epoch = 0
        self.best_valid_nll = float("inf")

    @property
    def finished(self) -> bool:
        return self.epoch >= self.n_epochs

    def run_epoch(self, interrupted: Callable[[], bool]) -> EpochRecord:
        held = self.epoch >= float(os.environ.get(LAST_EPOCH, "inf"))
        until = math.inf if held else time.monotonic() + float(os.environ.get(EPOCH_S, "0"))
        while time.monotonic() < until:
            if interrupted():
                raise TrainingInterrupted
            time.sleep(0.002)
        self.epoch += 1
        finished = record(self.seed, self.epoch)
        self.best_valid_nll = min(self.best_valid_nll, finished.valid_nll_counted)
        return finished

    def state(self) -> bytes:
        return json.dumps([self.seed, self.epoch, self.best_valid_nll]).encode()

    def restore(self, state: bytes) -> None:
        try:
            seed, self.epoch, self.best_valid_nll = json.loads(state)
        except ValueError as error:
            raise CheckpointError("the checkpoint is damaged") from error
        assert seed == self.seed

    def result(self) -> TrialResult:
        return result(self.seed, self.n_epochs)


def dataset() -> Dataset:
    frames = np.random.default_rng(0).integers(0, 2, (4, 5, 3), dtype=np.uint8)
    return Dataset(
        name="noise",
        title="Noise",
        train=(frames[0],),
        valid=(frames[1],),
        test=(frames[2], frames[3]),
    )


DATA = dataset().description


def load_noise(name_or_path: str, data_dir: Path | None) -> Dataset:
    return dataset()


def make_fake_trainer(
    data: Dataset, definition: StudyDefinition, hyperparameters: dict[str, object], seed: int
) -> FakeTrainer:
    return FakeTrainer(seed, definition.training.max_epochs)


def definition(name: str = "noise", n_trials: int = 6, n_epochs: int = 4) -> StudyDefinition:
    return StudyDefinition(
        name=name,
        data="noise",
        variant="fast_dropout",
        space=SPACES["table2"],
        n_trials=n_trials,
        seed=7,
        training=TrainingSettings(max_epochs=n_epochs),
    )


def settings(**changes: object) -> WorkerSettings:
    quick = {
        "lease_s": 5.0,
        "checkpoint_interval_s": 0.0,
        "write_interval_s": 0.0,
        "wait_s": 0.2,
        "training": Training(load_dataset=load_noise, make_trainer=make_fake_trainer),
    }
    return WorkerSettings(**(quick | changes))  # type: ignore[arg-type]
