"""The NLL of a stored model on other data: what ``fdrnn evaluate`` computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import REAL, Dataset, log_scale, standardised
from fdrnn.datasets.errors import DataError
from fdrnn.search.models.predictions import StoredModel


def evaluate(
    model: StoredModel, dataset: Dataset, split: str = "test", own: Dataset | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Score the sequences of a split of other data by a stored model, whole as in testing.

    Parameters
    ----------
    model
        The model. Its network is compiled unless this process has one of its variant.
    dataset
        Data of the kind and width of the study's.
    split
        ``"train"``, ``"valid"`` or ``"test"``.
    own
        The study's data, by whose training split real values are standardised; needed for these
        alone.

    Returns
    -------
    sums
        float64, shape (n_sequences,): nats summed over the predicted steps, in the units of the
        file. On the study's own test split, the stored ones to the last bit.
    steps
        int64, shape (n_sequences,): predicted steps, for `fdrnn.model.results.pooled_nll`.

    Raises
    ------
    DataError
        If the data are of another kind, width or lowest note than the study's.
    StudyConflictError
        If `own` is not the study's data.
    ValueError
        If the values are real, and `own` is None.
    ToolchainError
        If the network cannot be compiled on this machine.
    """
    from fdrnn.model.evaluation import sequence_nll  # noqa: PLC0415 - imports Theano

    _require_comparable(model, dataset)
    sequences, scale = dataset.split(split), 0.0
    if dataset.kind == REAL:
        if own is None:
            raise ValueError("real values need the study's own data, which standardise them")
        model.study.require_data(own.description)
        sequences, scale = standardised(replace(own, test=sequences)).test, log_scale(own)
    return sequence_nll(model.network(log_scale=scale), sequences)


def _require_comparable(model: StoredModel, dataset: Dataset) -> None:
    known, here = model.study.data, dataset.description
    for what in ("kind", "n_features", "lowest_midi_note"):
        expected, found = getattr(known, what), getattr(here, what)
        if None not in {expected, found} and found != expected:
            raise DataError(
                f"{dataset.name}: {what} must be that of the data of study {model.study.name!r}, "
                f"{expected}, got {found}; use data of the same columns"
            )
