"""The command ``fdrnn`` with trainers that make up their numbers instead of using Theano."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from fake_study import FakeTrainer, settings

from fdrnn.datasets import Dataset
from fdrnn.model import EpochRecord
from fdrnn.search import StudyDefinition, Training

FAIL = "FAKE_FAIL"
"""Environment variable: if set, every trial meets a program error."""

LOG_LEVEL = "FAKE_LOG_LEVEL"
"""Environment variable: what this process and its workers log to the standard error."""

if LOG_LEVEL in os.environ:
    logging.basicConfig(level=os.environ[LOG_LEVEL], force=True)
    # SQLAlchemy sets its own level.
    logging.getLogger("sqlalchemy").setLevel(os.environ[LOG_LEVEL])


class Trainer(FakeTrainer):
    def run_epoch(self, interrupted: Callable[[], bool]) -> EpochRecord:
        if FAIL in os.environ:
            raise ZeroDivisionError("made up")
        return super().run_epoch(interrupted)


def make_trainer(
    data: Dataset, definition: StudyDefinition, hyperparameters: dict[str, object], seed: int
) -> Trainer:
    return Trainer(seed, definition.training.max_epochs)


if __name__ == "__main__":
    # Not above: every worker's process imports this module, too.
    from fdrnn.search import run_workers
    from fdrnn.search.models import verification
    from fdrnn.studies.cli import main, run, training

    fake = settings(training=Training(make_trainer=make_trainer))
    training.run_workers = lambda *arguments, **options: run_workers(
        *arguments, **{**options, "settings": fake}
    )
    verification.Training = lambda: fake.training
    run._require_toolchain = lambda: None
    training._has_compiled = lambda: True
    main()
