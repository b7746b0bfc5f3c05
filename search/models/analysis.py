"""The gradient of a stored model, taken apart: what ``fdrnn analyze`` computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from fdrnn.model import require_decomposition
from fdrnn.search.errors import NoModelError
from fdrnn.search.store import tables
from fdrnn.search.store.frames import parameters, selected, trials
from fdrnn.search.store.store import Store
from fdrnn.search.store.tables import TrialState
from fdrnn.search.work.training import Training, make_trainer
from fdrnn.search.work.worker import load_study_data

if TYPE_CHECKING:
    from fdrnn.model.gradients.layer_decomposition import LayerDecomposition
    from fdrnn.model.trainer import Trainer as ModelTrainer


@dataclass(frozen=True, eq=False)
class Analysis:
    """A trial's decomposition.

    Attributes
    ----------
    config_index
        The trial.
    epoch
        Epoch after which the parameters were as analysed: the best one of a finished trial, that
        of the last checkpoint of another.
    layers
        Of the first minibatch of the training chunks.
    """

    config_index: int
    epoch: int
    layers: tuple[LayerDecomposition, ...]


def analyze(store: Store, study: str, config_index: int | None, data_dir: Path | None) -> Analysis:
    """Take the gradient of a trial apart.

    Parameters
    ----------
    store
        The store.
    study
        Name of the study.
    config_index
        The trial; None for the finished one with the lowest validation NLL.
    data_dir
        Folder with data files; None where they are cached or fetched.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name, or the study no such configuration.
    NoModelError
        If the study has no finished trial and none is named, or the trial has neither parameters
        nor a checkpoint.
    StudyConflictError
        If the data are not those of the study.
    DecompositionError
        If the study's variant passes no variances on.
    """
    stored = store.study(study)
    require_decomposition(stored.definition.variant)
    index = selected(trials(store, study)) if config_index is None else config_index
    if index is None:
        raise NoModelError(
            f"study {study!r} has no finished trial yet; name one that has begun with --trial"
        )
    best = parameters(store, study, index)
    trial = _trial(store, stored.study_id, index)
    if not best and trial.checkpoint is None:
        way_out = (
            "it diverged before it had any, or was imported without weights; name another --trial, "
            "or the store that trained it, by --storage"
            if trial.state == TrialState.FINISHED
            else "it has after its first checkpoint; name another --trial until then"
        )
        raise NoModelError(
            f"trial {index} of study {study!r} is {trial.state} and has no parameters in the "
            f"store: {way_out}"
        )
    made = make_trainer(
        load_study_data(stored, data_dir, Training()),
        stored.definition,
        trial.hyperparameters,
        trial.seed,
    )
    trainer = cast("ModelTrainer", made)
    if best:
        return Analysis(index, trial.best_epoch, trainer.decomposition(best))
    trainer.restore(trial.checkpoint)
    return Analysis(index, trainer.epoch, trainer.decomposition())


def _trial(store: Store, study_id: int, index: int) -> Any:
    c = tables.trials.c
    query = (
        sa.select(
            c.hyperparameters,
            c.seed,
            c.state,
            c.best_epoch,
            tables.checkpoints.c.state.label("checkpoint"),
        )
        .outerjoin_from(tables.trials, tables.checkpoints)
        .where((c.study_id == study_id) & (c.config_index == index))
    )
    with store.database.read() as connection:
        return connection.execute(query).one()
