"""A stored model, and what is to be seen and heard of it.

The model is a finished trial's at its best-validation parameters, run as it was tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from fdrnn.datasets import Dataset, in_units, standardised
from fdrnn.datasets.errors import UnknownNameError
from fdrnn.model import VARIANTS
from fdrnn.search.errors import NoModelError
from fdrnn.search.machine import code_version
from fdrnn.search.store import tables
from fdrnn.search.store.frames import parameters, selected, trials
from fdrnn.search.store.samples import SampleOrigin, Samples
from fdrnn.search.store.store import Store
from fdrnn.search.store.study import Study
from fdrnn.search.store.tables import TrialState


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredModel:
    """A finished trial's model as the store holds it.

    Attributes
    ----------
    study
        Its study.
    config_index
        Its trial.
    hyperparameters
        The trial's, by name.
    parameters
        The best-validation parameters, by name.
    """

    study: Study
    config_index: int
    hyperparameters: dict[str, Any]
    parameters: dict[str, npt.NDArray[np.float32]]


def stored_model(store: Store, study: str, config_index: int | None = None) -> StoredModel:
    """Read a trial's model.

    Parameters
    ----------
    store
        The store.
    study
        Name of the study.
    config_index
        The trial; None for the one with the lowest validation NLL.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name, or the study no such trial.
    NoModelError
        If the trial has not finished, diverged before it had parameters, or was stored without
        them.
    """
    stored = store.study(study)
    way_out = f"`fdrnn study status {study}` shows how far it is"
    if config_index is None:
        config_index = selected(trials(store, study))
        if config_index is None:
            raise NoModelError(
                f"no trial of study {study!r} has finished with a finite validation NLL; {way_out}"
            )
    query = sa.select(tables.trials).where(
        tables.trials.c.study_id == stored.study_id, tables.trials.c.config_index == config_index
    )
    with store.database.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        hint = f"study {study!r} has trials 0 to {stored.definition.n_trials - 1}"
        raise UnknownNameError("trial", str(config_index), (), hint)
    which = f"trial {config_index} of study {study!r}"
    if row.state != TrialState.FINISHED:
        raise NoModelError(f"{which} is {row.state}, only a finished one has a model; {way_out}")
    if not row.best_epoch:
        raise NoModelError(
            f"{which} diverged before it had a finite validation NLL, so it has no parameters; "
            "name another --trial"
        )
    arrays = parameters(store, study, config_index)
    if not arrays:
        raise NoModelError(
            f"{which} has no parameters in store {store.database.shown}: it was imported without "
            "weights; use the store that trained it, by --storage"
        )
    return StoredModel(
        study=stored,
        config_index=config_index,
        hyperparameters=row.hyperparameters,
        parameters=arrays,
    )


def make_samples(
    model: StoredModel,
    dataset: Dataset,
    *,
    sequence: int = 0,
    n_steps: int = 64,
    n_given: int = 8,
    seed: int = 0,
) -> Samples:
    """Compute samples of a model; nothing is written.

    Parameters
    ----------
    model
        The model. Its network is compiled if this process has none of its variant yet.
    dataset
        The study's data.
    sequence
        Index of the test sequence.
    n_steps
        Frames of the sample, at least 1, and of the excerpt unless the sequence is shorter.
    n_given
        Frames of the excerpt with which the sample begins: at least 1, fewer than `n_steps`, and
        no more than the sequence has.
    seed
        Of the draws; not negative.

    Raises
    ------
    StudyConflictError
        If `dataset` is not the study's.
    ValueError
        If `n_given` is out of its range.
    IndexError
        If there is no test sequence of that index.
    ToolchainError
        If the network cannot be compiled on this machine.
    """
    from fdrnn.model.network import network  # noqa: PLC0415 - imports Theano
    from fdrnn.model.sampling import predict, sample  # noqa: PLC0415 - likewise

    model.study.require_data(dataset.description)
    whole = dataset.test[sequence]
    excerpt = whole[:n_steps]
    if not 1 <= n_given < n_steps or n_given > len(whole):
        raise ValueError(
            f"n_given must be at least 1, less than n_steps ({n_steps}) and at most the length of "
            f"the sequence ({len(whole)}), got {n_given}"
        )
    definition = model.study.definition
    hyperparameters = VARIANTS[definition.variant].hyperparameters(**model.hyperparameters)
    compiled = network(definition.variant, definition.output)
    compiled.configure(hyperparameters, hyperparameters.step_rate, definition.training.clip_norm)
    compiled.set_parameters(model.parameters)
    seen = standardised(dataset).test[sequence][:n_steps]
    drawn = sample(compiled, seen[:n_given], n_steps, seed)
    return Samples(
        config_index=model.config_index,
        excerpt=excerpt,
        predictions=in_units(dataset, predict(compiled, seen)),
        sample=np.concatenate([excerpt[:n_given], in_units(dataset, drawn[n_given:])]),
        origin=SampleOrigin(
            sequence=sequence,
            sequence_length=len(whole),
            n_given=n_given,
            seed=seed,
            step_quarters=dataset.step_quarters,
            code_version=code_version(),
        ),
    )
