"""A stored trial trained again, beside what is stored: what ``fdrnn study verify`` computes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fdrnn.datasets import Dataset
from fdrnn.search.errors import NoModelError
from fdrnn.search.store.study import Study
from fdrnn.search.store.tables import TrialState
from fdrnn.search.work.training import Training

EXACT = ("train_nll", "valid_nll_counted", "valid_nll_masked", "gradient_norm")
"""Numbers of an epoch that are the same to the last bit on every machine."""

APPROXIMATE = ("spectral_radius", "spectral_radius_squared")
"""Numbers of an epoch by NumPy's linear algebra, the same within `TOLERANCE`."""

TOLERANCE = 1e-4
"""Relative; as exact as `fdrnn.model.spectral.spectral_radius` is."""


@dataclass(frozen=True)
class Difference:
    """A number in the store and the one that training it again has found.

    Attributes
    ----------
    epoch
        The epoch; None for the result.
    quantity
        The name of the number.
    stored, found
        Its values in the store and here.
    """

    epoch: int | None
    quantity: str
    stored: float
    found: float

    @property
    def is_none(self) -> bool:
        """Whether both count as the same; NaN is the same as NaN."""
        if self.quantity in APPROXIMATE:
            return bool(np.isclose(self.found, self.stored, TOLERANCE, 0.0, equal_nan=True))
        return self.found == self.stored or bool(np.isnan(self.found) and np.isnan(self.stored))


@dataclass(frozen=True)
class Verification:
    """The outcome for one trial.

    Attributes
    ----------
    config_index
        The trial.
    n_epochs
        The number of epochs that were trained again, the differing one included.
    has_result
        Whether the trial is finished and all its epochs were compared, so that its result was, too.
    difference
        The first difference; None if there is none.
    """

    config_index: int
    n_epochs: int
    has_result: bool
    difference: Difference | None


def stored_curve(study: Study, config_index: int) -> list[dict[Hashable, Any]]:
    """Return the epochs of a trial that `verify` compares, by column.

    Raises
    ------
    UnknownNameError
        If the study has no such configuration.
    NoModelError
        If the store holds no epoch of the trial.
    """
    trial = study.trial(config_index)
    curve = study.curves(config_index).to_dict("records")
    if not curve:
        raise NoModelError(
            f"trial {config_index} of study {study.name!r} is {trial.state} and has no epoch in "
            "the store; name another with --trials"
        )
    return curve


def verify(
    study: Study,
    dataset: Dataset,
    config_index: int,
    training: Training | None = None,
    on_epoch: Callable[[int, int], None] = lambda epoch, n_epochs: None,
    *,
    most_epochs: int | None = None,
) -> Verification:
    """Train a trial again and compare its epochs and its result with the stored ones.

    Parameters
    ----------
    study
        The study.
    dataset
        The data of the study.
    config_index
        The trial. An unfinished trial is compared up to its last stored epoch.
    training
        How trainers are made; None for Theano's.
    on_epoch
        Called after each epoch with its number and the number that are compared.
    most_epochs
        Compare this many first epochs only, at least 1, and no result unless the trial ends there;
        None for all.

    Raises
    ------
    UnknownNameError
        If the study has no such configuration.
    NoModelError
        If the store holds no epoch of the trial.
    """
    curve = stored_curve(study, config_index)
    trial = study.trial(config_index)
    has_result = trial.state == TrialState.FINISHED
    if most_epochs is not None and most_epochs < len(curve):
        curve, has_result = curve[:most_epochs], False
    make_trainer = (training or Training()).make_trainer
    trainer = make_trainer(dataset, study.definition, trial.hyperparameters, trial.seed)

    def differences() -> Iterator[Difference]:
        for row in curve:
            record, epoch = trainer.run_epoch(lambda: False), int(row["epoch"])
            on_epoch(epoch, len(curve))
            for quantity in (*EXACT, *APPROXIMATE):
                yield Difference(epoch, quantity, row[quantity], getattr(record, quantity))
        if has_result:
            result = trainer.result()
            yield Difference(None, "best_epoch", trial.best_epoch or 0, result.best_epoch)
            stored = study.test_sequences(config_index)["nll_sum"]
            yield Difference(None, "test sequences", len(stored), len(result.test_nll_sums))
            for i, pair in enumerate(zip(stored, result.test_nll_sums, strict=True)):
                yield Difference(None, f"test NLL of sequence {i}", *map(float, pair))

    found = next((difference for difference in differences() if not difference.is_none), None)
    compared = found is None or found.epoch is None
    return Verification(config_index, trainer.epoch, has_result and compared, found)
