"""Stored models: their predictions of test sequences, and samples drawn from them.

The model is a finished trial's at its best-validation parameters, run as it was tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import Dataset, deviations_in_units, in_units, standardised
from fdrnn.search.errors import NoModelError
from fdrnn.search.machine import code_version
from fdrnn.search.store.samples import SampleOrigin, Samples
from fdrnn.search.store.study import Study
from fdrnn.search.store.tables import TrialState

if TYPE_CHECKING:
    from fdrnn.model.network import Network


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredModel:
    """A finished trial's model in the store.

    Attributes
    ----------
    study
        The study.
    config_index
        The trial.
    hyperparameters
        The trial's hyperparameters by name.
    parameters
        The best-validation parameters by name.
    """

    study: Study
    config_index: int
    hyperparameters: dict[str, Any]
    parameters: dict[str, npt.NDArray[np.float32]]

    def network(self, *, log_scale: float = 0.0) -> Network:
        """Return the compiled network with the trial's hyperparameters and parameters.

        Parameters
        ----------
        log_scale
            As for `fdrnn.model.network.Network.configure`.

        Raises
        ------
        ToolchainError
            If the network cannot be compiled on this machine.
        """
        from fdrnn.model.network import network  # noqa: PLC0415 - imports Theano

        definition = self.study.definition
        hyperparameters, _, settings = definition.split(self.hyperparameters)
        compiled = network(definition.variant, definition.output)
        compiled.configure(
            hyperparameters, hyperparameters.step_rate, settings.clip_norm, log_scale=log_scale
        )
        compiled.set_parameters(self.parameters)
        return compiled


def stored_model(study: Study, config_index: int | None = None) -> StoredModel:
    """Read a trial's model.

    Parameters
    ----------
    study
        The study.
    config_index
        The trial; None for the selected one.

    Raises
    ------
    UnknownNameError
        If the study has no such trial.
    NoModelError
        If the trial has not finished, diverged before it had parameters, or was stored without
        them.
    """
    way_out = f"`fdrnn study status {study.name}` shows its progress"
    index = study.selected if config_index is None else config_index
    if index is None:
        raise NoModelError(
            f"no trial of study {study.name!r} has finished with a finite validation NLL; {way_out}"
        )
    trial = study.trial(index)
    which = f"trial {index} of study {study.name!r}"
    if trial.state != TrialState.FINISHED:
        raise NoModelError(f"{which} is {trial.state}, only a finished one has a model; {way_out}")
    if not trial.best_epoch:
        raise NoModelError(
            f"{which} diverged before it had a finite validation NLL, so it has no parameters; "
            "name another --trial"
        )
    arrays = study.parameters(index)
    if not arrays:
        raise NoModelError(
            f"{which} has no parameters in store {study.database.shown}: it was imported without "
            "weights; use the store that trained it, by --storage"
        )
    return StoredModel(
        study=study,
        config_index=index,
        hyperparameters=trial.hyperparameters,
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
    """Return samples of a model; nothing is written.

    Parameters
    ----------
    model
        The model. Its network is compiled unless this process has one of its variant.
    dataset
        The study's data.
    sequence
        Index of the test sequence.
    n_steps
        Frames of the sample, and of the excerpt unless the sequence is shorter.
    n_given
        Frames of the excerpt with which the sample begins: at least 1, fewer than `n_steps`, and
        no more than the sequence has.
    seed
        Seed of the draws, not negative.

    Raises
    ------
    StudyConflictError
        If `dataset` is not the study's.
    ValueError
        If `n_given` is out of range.
    IndexError
        If there is no such test sequence.
    ToolchainError
        If the network cannot be compiled on this machine.
    """
    from fdrnn.model.sampling import predict, sample  # noqa: PLC0415 - imports Theano

    model.study.require_data(dataset.description)
    whole = dataset.test[sequence]
    excerpt = whole[:n_steps]
    if not 1 <= n_given < n_steps or n_given > len(whole):
        raise ValueError(
            f"n_given must be at least 1, less than n_steps ({n_steps}) and at most the length of "
            f"the sequence ({len(whole)}), got {n_given}"
        )
    compiled = model.network()
    seen = standardised(dataset).test[sequence][:n_steps]
    predictions, deviations = predict(compiled, seen)
    drawn = sample(compiled, seen[:n_given], n_steps, seed)
    return Samples(
        config_index=model.config_index,
        excerpt=excerpt,
        predictions=in_units(dataset, predictions),
        deviations=None if deviations is None else deviations_in_units(dataset, deviations),
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
