"""The seam between a worker and what it trains.

A worker knows data and trainers by the two functions of `Training` alone. The defaults load a
data set by name or path and train it with `fdrnn.model.trainer`; tests pass others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fdrnn.datasets import Dataset, load
from fdrnn.model import VARIANTS, EpochRecord, TrialResult
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.space import Choice


class Trainer(Protocol):
    """A training run as a worker sees it; `fdrnn.model.trainer.Trainer` is one."""

    @property
    def epoch(self) -> int:
        """Epochs finished."""

    @property
    def best_valid_nll(self) -> float:
        """Lowest validation NLL so far under the study's padding rule; infinite before one."""

    @property
    def finished(self) -> bool:
        """Whether the run is at its end."""

    def run_epoch(self, interrupted: Callable[[], bool]) -> EpochRecord:
        """Train one epoch; raise `TrainingInterrupted` soon after `interrupted` turns true."""

    def state(self) -> bytes:
        """Return the state after the last finished epoch."""

    def restore(self, state: bytes) -> None:
        """Go on from a state; raise `CheckpointError` if that is not possible."""

    def result(self) -> TrialResult:
        """Return the end of the finished run."""


LoadDataset = Callable[[str, Path | None], Dataset]
"""From a data set's name or path, and the folder of data files if the user names one."""

MakeTrainer = Callable[[Dataset, StudyDefinition, dict[str, Choice], int], Trainer]
"""From the data set, the study, a trial's hyperparameters and its seed."""


def load_dataset(name_or_path: str, data_dir: Path | None) -> Dataset:
    """Load a data set as `fdrnn.datasets.load` does."""
    return load(name_or_path, data_dir)


def make_trainer(
    dataset: Dataset,
    definition: StudyDefinition,
    hyperparameters: dict[str, Choice],
    seed: int,
) -> Trainer:
    """Make the trainer of a trial: a network of the study's variant in Theano."""
    from fdrnn.model import trainer  # noqa: PLC0415 - imports Theano, which only workers need

    variant = VARIANTS[definition.variant]
    return trainer.Trainer(
        dataset,
        variant.name,
        variant.hyperparameters(**hyperparameters),  # type: ignore[arg-type]
        definition.training,
        seed,
        definition.output,
    )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a worker loads its data and makes its trainers.

    Attributes
    ----------
    load_dataset, make_trainer
        Functions of a module's top level, since they travel to worker processes by name.
    """

    load_dataset: LoadDataset = load_dataset
    make_trainer: MakeTrainer = make_trainer
