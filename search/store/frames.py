"""Studies as pandas frames, for reports and for work of one's own.

Every NLL is in nats per predicted step. Missing numbers are NaN (or NA in integer columns).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.search.design.space import SPACES, Parameter
from fdrnn.search.store import tables
from fdrnn.search.store.samples import SAMPLE_ARRAYS, SampleOrigin, Samples
from fdrnn.search.store.store import Store

_TRIALS = tables.trials.c
_RESULT = ("best_epoch", "valid_nll", "valid_nll_counted", "valid_nll_masked")
_ORIGIN = ("seed", "worker", "host", "machine", "error")
_NUMBERS = (
    "valid_nll",
    "valid_nll_counted",
    "valid_nll_masked",
    "test_nll_pooled",
    "test_nll_sequence_mean",
    "seconds",
)
_DTYPES = {
    "diverged": "bool",
    "n_epochs": "Int64",
    "best_epoch": "Int64",
    **dict.fromkeys(_NUMBERS, "float64"),
}


def trials(store: Store, study: str) -> pd.DataFrame:
    """Return the trials of a study, one row per configuration, by index.

    Parameters
    ----------
    store
        The store.
    study
        Name of the study.

    Returns
    -------
    pandas.DataFrame
        Columns ``config_index``; ``state`` (waiting, running, finished or failed); ``diverged``
        (bool, false unless finished); a column per parameter of the study's space, where a
        missing value means that the parameter was not drawn (``dropout_hidden_to_output``) or
        no limit (``max_incoming``); ``n_epochs`` (so far, in the store); ``best_epoch``,
        ``valid_nll`` (under the study's padding rule), ``valid_nll_counted`` and
        ``valid_nll_masked`` of finished trials; ``test_nll_pooled`` (over all steps of all
        sequences) and ``test_nll_sequence_mean`` (mean over sequences of each one's mean);
        ``seconds`` of training; ``seed``; ``worker``, ``host`` and ``machine`` that finished
        or hold it; ``error``, the traceback of a failed trial.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name.
    """
    stored = store.study(study)
    # Within the study: a store of many studies is not read whole for each of them.
    ours = sa.select(_TRIALS.trial_id).where(_TRIALS.study_id == stored.study_id)
    trained = (
        sa.select(
            tables.epochs.c.trial_id,
            sa.func.count().label("n_epochs"),
            sa.func.sum(tables.epochs.c.seconds).label("seconds"),
        )
        .where(tables.epochs.c.trial_id.in_(ours))
        .group_by(tables.epochs.c.trial_id)
        .subquery()
    )
    sequences = tables.test_sequences.c
    tested = (
        sa.select(
            sequences.trial_id,
            _unless_nan(sa.func.sum(sequences.nll_sum) / sa.func.sum(sequences.n_steps), "pooled"),
            _unless_nan(sa.func.avg(sequences.nll_sum / sequences.n_steps), "sequence_mean"),
        )
        .where(sequences.n_steps > 0, sequences.trial_id.in_(ours))
        .group_by(sequences.trial_id)
        .subquery()
    )
    query = (
        sa.select(
            _TRIALS.config_index,
            _TRIALS.state,
            sa.func.coalesce(_TRIALS.diverged, sa.false()).label("diverged"),
            _TRIALS.hyperparameters,
            sa.func.coalesce(trained.c.n_epochs, 0).label("n_epochs"),
            *(_TRIALS[name] for name in _RESULT),
            tested.c.pooled.label("test_nll_pooled"),
            tested.c.sequence_mean.label("test_nll_sequence_mean"),
            sa.func.coalesce(trained.c.seconds, 0.0).label("seconds"),
            *(_TRIALS[name] for name in _ORIGIN),
        )
        .select_from(tables.trials)
        .outerjoin(trained, trained.c.trial_id == _TRIALS.trial_id)
        .outerjoin(tested, tested.c.trial_id == _TRIALS.trial_id)
        .where(_TRIALS.study_id == stored.study_id)
        .order_by(_TRIALS.config_index)
    )
    table = _frame(store, query)
    drawn = table.pop("hyperparameters")
    first = list(table.columns).index("n_epochs")
    for offset, parameter in enumerate(SPACES[stored.definition.space].parameters):
        values = [one.get(parameter.name) for one in drawn]
        table.insert(first + offset, parameter.name, pd.Series(values, dtype=_dtype(parameter)))
    return table.astype(_DTYPES)


def curves(store: Store, study: str) -> pd.DataFrame:
    """Return every epoch of every trial of a study.

    Returns
    -------
    pandas.DataFrame
        ``config_index`` and the numbers of `fdrnn.model.EpochRecord`, sorted by configuration
        and epoch; then a column per measurement that the study records, by name.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name.
    """
    table = _per_trial(store, study, tables.epochs)
    measured = _per_trial(store, study, tables.measurements)
    if measured.empty:
        return table
    keys = ["config_index", "epoch"]
    columns = measured.pivot(index=keys, columns="name", values="value").reset_index()
    return table.merge(columns, on=keys, how="left")


def test_sequences(store: Store, study: str, config_index: int | None = None) -> pd.DataFrame:
    """Return the test NLL of every sequence for every finished trial of a study.

    Parameters
    ----------
    store, study
        As for `trials`.
    config_index
        The one configuration whose sequences are wanted; None for all.

    Returns
    -------
    pandas.DataFrame
        ``config_index``, ``sequence_index`` (in the data set's order), ``nll_sum`` (nats summed
        over the predicted steps) and ``n_steps`` (their number), sorted by both keys.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name.
    """
    return _per_trial(store, study, tables.test_sequences, config_index)


def parameters(store: Store, study: str, config_index: int) -> dict[str, npt.NDArray[Any]]:
    """Return the best-validation parameters of a finished trial by name.

    They are empty if the trial has none: not finished, or diverged at once.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name, or the study no such configuration.
    """
    stored = store.study(study)
    trial = (_TRIALS.study_id == stored.study_id) & (_TRIALS.config_index == config_index)
    query = sa.select(tables.parameters).join(tables.trials).where(trial)
    with store.database.read() as connection:
        if connection.scalar(sa.select(_TRIALS.trial_id).where(trial)) is None:
            hint = f"study {study!r} has trials 0 to {stored.definition.n_trials - 1}"
            raise UnknownNameError("trial", str(config_index), (), hint)
        return {row.name: tables.unpacked(row) for row in connection.execute(query)}


def samples(store: Store, study: str, config_index: int) -> Samples | None:
    """Return the samples that `fdrnn sample` kept with a trial; None if there are none.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name.
    """
    stored = store.study(study)
    query = (
        sa.select(tables.samples)
        .join(tables.trials)
        .where(_TRIALS.study_id == stored.study_id, _TRIALS.config_index == config_index)
    )
    with store.database.read() as connection:
        rows = {row.name: row for row in connection.execute(query)}
    if not set(SAMPLE_ARRAYS) <= set(rows):
        return None
    arrays = {name: tables.unpacked(rows[name]) for name in SAMPLE_ARRAYS}
    origin = SampleOrigin(**rows["sample"].about)
    return Samples(config_index=config_index, origin=origin, **arrays)


def selected(trials: pd.DataFrame) -> int | None:
    """Return the configuration with the lowest validation NLL: the one a study reports.

    Parameters
    ----------
    trials
        As `trials` returns them, or some of their rows.

    Returns
    -------
    int or None
        ``config_index`` of the finished trial with the lowest finite ``valid_nll``, the lowest
        index where there are several; None if there is none. Test NLL have no part in it.
    """
    eligible = trials[(trials["state"] == tables.FINISHED) & np.isfinite(trials["valid_nll"])]
    if eligible.empty:
        return None
    return int(eligible.sort_values(["valid_nll", "config_index"])["config_index"].iloc[0])


_KINDS = {bool: "bool", int: "int64", float: "float64"}


def _dtype(parameter: Parameter) -> str:
    # A column's type follows from the space, not from the rows there happen to be.
    kinds = {type(choice) for choice in parameter.choices}
    if parameter.only_if is None and len(kinds) == 1:
        return _KINDS.get(kinds.pop(), "float64")
    return "float64"


def _unless_nan(average: sa.ColumnElement[Any], label: str) -> sa.Label[Any]:
    # NaN is stored as NULL, which SQL's aggregates would leave out.
    complete = sa.func.count(tables.test_sequences.c.nll_sum) == sa.func.count()
    return sa.case((complete, average)).label(label)


def _per_trial(
    store: Store, study: str, table: sa.Table, config_index: int | None = None
) -> pd.DataFrame:
    stored = store.study(study)
    columns = [column for column in table.c if column.name != "trial_id"]
    query = (
        sa.select(_TRIALS.config_index, *columns)
        .join_from(tables.trials, table)
        .where(_TRIALS.study_id == stored.study_id)
        .order_by(_TRIALS.config_index, *columns[:2])
    )
    if config_index is not None:
        query = query.where(_TRIALS.config_index == config_index)
    return _frame(store, query)


def _frame(store: Store, query: sa.Select[Any]) -> pd.DataFrame:
    with store.database.read() as connection:
        result = connection.execute(query)
        columns = list(result.keys())
        return pd.DataFrame([tuple(row) for row in result], columns=columns)
