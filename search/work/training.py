"""The interface between a worker and what it trains.

A worker knows data and trainers by the two functions of `Training` alone. The defaults load a
data set by name or path and train it with `fdrnn.model.trainer`; tests pass others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fdrnn.datasets import Dataset, load
from fdrnn.model import EpochRecord, TrialResult
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.distributions import Value

if TYPE_CHECKING:
    from fdrnn.model.trainer import Trainer


class TrainingRun(Protocol):
    """A training run as a worker sees it; `fdrnn.model.trainer.Trainer` is one."""

    @property
    def epoch(self) -> int:
        """Epochs finished."""

    @property
    def best_valid_nll(self) -> float:
        """Lowest validation NLL so far under the study's padding rule; infinite before one."""

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""

    def run_epoch(self, interrupted: Callable[[], bool]) -> EpochRecord:
        """Train one epoch; raise `TrainingInterrupted` soon after `interrupted` turns true."""

    def state(self) -> bytes:
        """Return the state after the last finished epoch."""

    def restore(self, state: bytes) -> None:
        """Resume from a state; raise `CheckpointError` if that is not possible."""

    def result(self) -> TrialResult:
        """Return the result of the finished run."""


LoadDataset = Callable[[str, Path | None], Dataset]
"""Loads a data set by its name or path, from the folder of data files if there is one."""

MakeTrainer = Callable[[Dataset, StudyDefinition, dict[str, Value], int], TrainingRun]
"""Creates a trainer of the data set, the study, a trial's drawn values and its seed."""


def make_trainer(
    dataset: Dataset,
    definition: StudyDefinition,
    hyperparameters: dict[str, Value],
    seed: int,
) -> Trainer:
    """Return the trainer of a trial: a network of the study's variant in Theano."""
    from fdrnn.model import trainer  # noqa: PLC0415 - imports Theano, which only workers need

    values, of_output, settings = definition.split(hyperparameters)
    return trainer.Trainer(
        dataset, definition.variant, values, settings, seed, definition.output, of_output
    )


@dataclass(frozen=True, kw_only=True)
class Training:
    """The functions by which a worker loads its data and creates its trainers.

    Attributes
    ----------
    load_dataset, make_trainer
        Functions at the top level of a module, because they are pickled by name.
    """

    load_dataset: LoadDataset = load
    make_trainer: MakeTrainer = make_trainer
