"""What a study would cost on this machine, measured on the first minibatches of a few draws."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from fdrnn.datasets import Dataset, chunk
from fdrnn.model import TrainingInterrupted
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.space import Configuration
from fdrnn.search.work.training import make_trainer

_BUDGET_S = 2.0
_LEAST_MINIBATCHES = 3


@dataclass(frozen=True)
class CostEstimate:
    """The cost of a study without its validation, which is cheap beside the training.

    Attributes
    ----------
    epoch_s
        Seconds that an epoch trains, on average over the draws measured.
    most_epochs
        Epochs of all trials together where none ends by its patience.
    """

    epoch_s: float
    most_epochs: float

    @property
    def most_worker_s(self) -> float:
        """Return the seconds that one worker would train at most."""
        return self.epoch_s * self.most_epochs


def estimate_cost(
    definition: StudyDefinition, dataset: Dataset, draws: Sequence[Configuration]
) -> CostEstimate:
    """Train a few draws for about two seconds each; nothing is stored.

    Parameters
    ----------
    definition
        The study.
    dataset
        Its data.
    draws
        The configurations to measure, at least one.

    Raises
    ------
    ToolchainError
        If the network cannot be compiled on this machine.
    """
    max_epochs, halving = definition.training.max_epochs, definition.halving
    expected = max_epochs if halving is None else halving.expected_epochs(0, max_epochs)
    return CostEstimate(
        epoch_s=fmean(_epoch_s(definition, dataset, one) for one in draws),
        most_epochs=definition.n_trials * expected + definition.repeats * max_epochs,
    )


def _epoch_s(definition: StudyDefinition, dataset: Dataset, drawn: Configuration) -> float:
    *_, settings = definition.split(drawn.hyperparameters)
    n_chunks = len(chunk(dataset.train, settings.chunk_length).frames)
    begun: list[float] = []

    def interrupted() -> bool:
        begun.append(time.perf_counter())
        # The first minibatch touches memory for the first time.
        return len(begun) > _LEAST_MINIBATCHES and begun[-1] - begun[1] > _BUDGET_S

    trainer = make_trainer(dataset, definition, drawn.hyperparameters, drawn.seed)
    try:
        return trainer.run_epoch(interrupted).seconds
    except TrainingInterrupted:
        minibatch_s = (begun[-1] - begun[1]) / (len(begun) - 2)
        return minibatch_s * math.ceil(n_chunks / settings.batch_size)
