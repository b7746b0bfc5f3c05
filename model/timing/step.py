"""The training step on random data, whose numbers another implementation must match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fdrnn.model.initialization import Parameters, initial_parameters
from fdrnn.model.network import network
from fdrnn.model.outputs import DEFAULT_OUTPUT
from fdrnn.model.packing import PackedChunks
from fdrnn.model.randomness import noise_generator
from fdrnn.model.settings import CommonHyperparameters, FastDropoutHyperparameters
from fdrnn.model.variants.fast_dropout import TYPICAL

CLIP_NORM = 225.0

HYPERPARAMETERS = TYPICAL


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch without padding.

    Attributes
    ----------
    x, target
        float32, shape (T, B, D), values 0 and 1.
    """

    x: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]


def random_batch(batch_size: int, n_steps: int, n_features: int) -> Batch:
    """Draw a batch with about 4 notes of 88 in a frame."""
    rng = np.random.default_rng(1)
    frames = (rng.random((n_steps + 1, batch_size, n_features)) < 0.045).astype(np.float32)
    return Batch(np.ascontiguousarray(frames[:-1]), np.ascontiguousarray(frames[1:]))


def training_step(
    hyperparameters: CommonHyperparameters,
    parameters: Parameters,
    batch: Batch,
    variant: str = "fast_dropout",
) -> Callable[[], tuple[float, float]]:
    """Return a function that makes one update and returns loss and gradient norm.

    Every row is computed, without shared padding. A step draws the variant's noise.
    """
    n_steps, batch_size, n_features = batch.x.shape
    compiled = network(variant, DEFAULT_OUTPUT)
    ones = np.ones(n_steps * batch_size, np.float32)
    packed = PackedChunks(
        x=batch.x.reshape(-1, n_features),
        target=batch.target.reshape(-1, n_features),
        n_rows=np.full(n_steps, batch_size, np.int64),
        counted=ones,
        masked=ones,
    )
    zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
    squares = {name: np.ones_like(value) for name, value in parameters.items()}

    rng = noise_generator(0, 0, 0)

    def step() -> tuple[float, float]:
        return compiled.train(packed, "counted", rng)

    compiled.configure(hyperparameters, hyperparameters.step_rate, CLIP_NORM)
    compiled.set_parameters(parameters)
    compiled.set_optimizer(zeros, squares)
    return step


def start(n_hidden: int, n_features: int) -> tuple[FastDropoutHyperparameters, Parameters]:
    """Return hyperparameters and initial parameters of a network of this size."""
    hyperparameters = replace(HYPERPARAMETERS, n_hidden=n_hidden)
    return hyperparameters, initial_parameters(
        hyperparameters, n_features, n_features, "variance", seed=0
    )
