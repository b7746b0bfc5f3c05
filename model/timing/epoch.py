"""Time an epoch of a data set: training with and without shared padding, and other parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fdrnn.datasets import Dataset, chunk
from fdrnn.model.evaluation import pack_for_validation, sequence_nll, validation_nll
from fdrnn.model.network import network
from fdrnn.model.outputs import DEFAULT_OUTPUT
from fdrnn.model.packing import pack_chunks
from fdrnn.model.spectral import spectral_radius
from fdrnn.model.timing.rounds import Timing, interleave, ratio, summarize
from fdrnn.model.timing.step import CLIP_NORM, start

_STEP_RATE = 1e-5


@dataclass(frozen=True, kw_only=True)
class EpochTimes:
    """Times of the parts of an epoch for one network size.

    Attributes
    ----------
    n_hidden, batch_size
        Sizes of the network and the minibatches.
    training, training_unshared, validation, test, spectral_radii
        Wall times: all training minibatches (packing them included) with the padding shared and
        with every row computed; validation; the whole test set; both spectral radii.
    sharing_ratio, test_ratio
        Training passes, shared divided by unshared; test set divided by shared.
    bookkeeping_ratio
        Spectral radii divided by training and validation.
    """

    n_hidden: int
    batch_size: int
    training: Timing
    training_unshared: Timing
    validation: Timing
    test: Timing
    spectral_radii: Timing
    sharing_ratio: float
    test_ratio: float
    bookkeeping_ratio: float


def time_epoch(dataset: Dataset, n_hidden: int, batch_size: int, n_rounds: int) -> EpochTimes:
    """Time the parts of an epoch in interleaved rounds."""
    hyperparameters, parameters = start(n_hidden, dataset.n_features)
    chunks = chunk(dataset.train)
    validation = pack_for_validation(chunk(dataset.valid))
    compiled = network("fast_dropout", DEFAULT_OUTPUT)
    compiled.configure(hyperparameters, _STEP_RATE, CLIP_NORM)
    compiled.set_parameters(parameters)
    compiled.set_optimizer(
        {name: np.zeros_like(value) for name, value in parameters.items()},
        {name: np.ones_like(value) for name, value in parameters.items()},
    )
    order = np.random.default_rng(0).permutation(len(chunks))

    def train(share_padding: bool) -> Callable[[], None]:
        def run() -> None:
            for begin in range(0, len(order), batch_size):
                index = order[begin : begin + batch_size]
                compiled.train(pack_chunks(chunks, index, share_padding), "counted")

        return run

    def radii() -> None:
        recurrent = compiled.parameters()["W_rec"].astype(np.float64)
        spectral_radius(recurrent)
        spectral_radius(recurrent**2)

    seconds = interleave(
        {
            "shared": train(True),
            "unshared": train(False),
            "validation": lambda: validation_nll(compiled, validation),
            "test": lambda: sequence_nll(compiled, dataset.test),
            "radii": radii,
        },
        n_rounds,
    )
    passes = list(np.add(seconds["shared"], seconds["validation"]))
    return EpochTimes(
        n_hidden=n_hidden,
        batch_size=batch_size,
        training=summarize(seconds["shared"]),
        training_unshared=summarize(seconds["unshared"]),
        validation=summarize(seconds["validation"]),
        test=summarize(seconds["test"]),
        spectral_radii=summarize(seconds["radii"]),
        sharing_ratio=ratio(seconds["shared"], seconds["unshared"]),
        test_ratio=ratio(seconds["test"], seconds["shared"]),
        bookkeeping_ratio=ratio(seconds["radii"], passes),
    )
