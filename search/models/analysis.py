"""Decomposition of the gradient of a stored model: what ``fdrnn analyze`` computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fdrnn.model import require_decomposition
from fdrnn.search.errors import NoModelError
from fdrnn.search.store.study import Study
from fdrnn.search.store.tables import TrialState
from fdrnn.search.work.training import Training, make_trainer
from fdrnn.search.work.worker import load_study_data

if TYPE_CHECKING:
    from fdrnn.model.gradients.parts import LayerDecomposition


@dataclass(frozen=True, eq=False)
class Analysis:
    """The decomposed gradient of a trial.

    Attributes
    ----------
    config_index
        The trial.
    epoch
        The epoch after which the parameters had the analysed values: the best one of a finished
        trial, that of the last checkpoint of another.
    layers
        The decompositions on the first minibatch of the training chunks.
    """

    config_index: int
    epoch: int
    layers: tuple[LayerDecomposition, ...]


def analyze(study: Study, config_index: int | None, data_dir: Path | None) -> Analysis:
    """Decompose the gradient of a trial.

    Parameters
    ----------
    study
        The study.
    config_index
        The trial; None for the selected one.
    data_dir
        The folder of data files; None where they are cached or fetched.

    Raises
    ------
    UnknownNameError
        If the study has no such configuration.
    NoModelError
        If the study has no finished trial and none is named, or the trial has neither parameters
        nor a checkpoint.
    StudyConflictError
        If the data are not those of the study.
    DecompositionError
        If the study's variant propagates no variances.
    """
    require_decomposition(study.definition.variant)
    index = study.selected if config_index is None else config_index
    if index is None:
        raise NoModelError(
            f"study {study.name!r} has no finished trial yet; name one that has begun with --trial"
        )
    trial = study.trial(index)
    best = study.parameters(index)
    checkpoint = study.checkpoint(index)
    if not best and checkpoint is None:
        if trial.state == TrialState.FINISHED:
            way_out = (
                "it diverged before it had any, or was imported without weights; name another "
                "--trial, or the store that trained it, by --storage"
            )
        elif trial.state.ended:
            way_out = "it ended without a result; name another --trial"
        else:
            way_out = "it has them after its first checkpoint; name another --trial until then"
        raise NoModelError(
            f"trial {index} of study {study.name!r} is {trial.state} and has no parameters in the "
            f"store: {way_out}"
        )
    dataset = load_study_data(study, data_dir, Training())
    trainer = make_trainer(dataset, study.definition, trial.hyperparameters, trial.seed)
    if best:
        return Analysis(index, trial.best_epoch or 0, trainer.decomposition(best))
    assert checkpoint is not None
    trainer.restore(checkpoint)
    return Analysis(index, trainer.epoch, trainer.decomposition())
