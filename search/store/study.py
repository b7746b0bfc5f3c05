"""A study in a store: its definition, its data, and every read of its trials.

Every NLL is in nats per predicted step. Missing numbers are NaN (or NA in integer columns).
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import sqlalchemy as sa
from packaging.version import InvalidVersion, Version

from fdrnn.datasets import DataDescription
from fdrnn.datasets.errors import UnknownNameError
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.distributions import Value
from fdrnn.search.design.space import Parameter
from fdrnn.search.errors import ForeignStudyError, NoModelError, StudyConflictError
from fdrnn.search.machine import code_version
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database, now_s
from fdrnn.search.store.extension import RESULT
from fdrnn.search.store.progress import (
    StudyProgress,
    progress_of,
    selected_index,
    selected_row,
)
from fdrnn.search.store.samples import SAMPLE_ARRAYS, Samples, samples_of
from fdrnn.search.store.tables import TrialState

if TYPE_CHECKING:
    import pandas as pd

_TRIALS = tables.trials.c
_COLUMNS = [
    *("config_index", "state", "diverged", "hyperparameters", "n_trained"),
    # The others have values before the end, too.
    *(name for name in RESULT if name not in {"diverged", "n_epochs"}),
    *("test_nll_pooled", "test_nll_sequence_mean", "seconds"),
    *("seed", "worker", "host", "machine", "error"),
]
"""What `Study.trials` reads of a row."""
_DTYPES = {
    "diverged": "bool",
    "n_epochs": "Int64",
    "best_epoch": "Int64",
    "valid_nll": "float64",
    "valid_nll_counted": "float64",
    "valid_nll_masked": "float64",
    "test_nll_pooled": "float64",
    "test_nll_sequence_mean": "float64",
    "seconds": "float64",
}


@dataclass(frozen=True, kw_only=True)
class StoredTrial:
    """A trial in the store, without its curve and its arrays.

    Attributes
    ----------
    config_index
        Its configuration.
    seed
        The seed of its training run.
    hyperparameters
        The drawn values by name.
    state
        Its state.
    best_epoch
        The epoch with the lowest validation NLL; None unless finished or pruned, 0 if none was
        finite.
    valid_nll
        The validation NLL there; NaN unless finished or pruned.
    """

    config_index: int
    seed: int
    hyperparameters: dict[str, Value]
    state: TrialState
    best_epoch: int | None
    valid_nll: float


@dataclass(frozen=True, kw_only=True, eq=False)
class StudySnapshot:
    """The trials of a study at one moment; returned by `Study.snapshot`.

    Attributes
    ----------
    trials
        As `Study.trials` returns them.
    repeats
        Every repeat, as `Study.repeats` returns those of the selected configuration; the column
        ``repeat_of`` has the configuration that it repeats, which may be selected no more.
    test_sequences
        Those of the selected trial, as `Study.test_sequences` returns them; empty where no trial
        is selected.
    progress
        As `Study.progress` returns it.
    """

    trials: pd.DataFrame
    repeats: pd.DataFrame
    test_sequences: pd.DataFrame
    progress: StudyProgress


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study in a store; returned by `Store.study`.

    Attributes
    ----------
    database
        The database of the store.
    study_id
        The key in the tables.
    definition
        The definition; `n_trials` is the number of configurations drawn.
    data
        The description of the data that the study was created for.
    created_at
        The time of creation, in UTC.
    code_version
        The version of fdrnn that created the study.

    Raises
    ------
    StoreError
        By every read and write, if the store cannot be read or written.
    """

    database: Database = field(repr=False, compare=False)
    study_id: int
    definition: StudyDefinition
    data: DataDescription
    created_at: datetime
    code_version: str

    @property
    def name(self) -> str:
        """Return the name of the study."""
        return self.definition.name

    def require_data(self, data: DataDescription) -> None:
        """Check that data are those the study was created for.

        Raises
        ------
        StudyConflictError
            If they have another fingerprint.
        """
        if data.fingerprint != self.data.fingerprint:
            raise StudyConflictError(
                f"data set {self.definition.data!r} is not the one that study {self.name!r} was "
                f"created for: here {data.fingerprint[:12]}..., in the store "
                f"{self.data.fingerprint[:12]}...; check --data-dir"
            )

    def require_version(self) -> None:
        """Check that this fdrnn is not older than the one that created the study.

        Raises
        ------
        ForeignStudyError
            If it is.
        """
        here = code_version()
        try:
            is_older = Version(here) < Version(self.code_version)
        except InvalidVersion:
            # One of them ran from its source, without an installation.
            return
        if is_older:
            raise ForeignStudyError(
                f"study {self.name!r} was created by fdrnn {self.code_version}, and {here} is "
                f"installed on {platform.node()}; install {self.code_version} or a later one there"
            )

    def repeats(self) -> pd.DataFrame:
        """Return the trials that repeat the selected configuration with further seeds.

        Returns
        -------
        pandas.DataFrame
            As `trials` returns; ``config_index`` is negative. Empty where no trial is selected.
        """
        # Where no trial is selected, a comparison with None would be true for every draw.
        return self._trials(_TRIALS.repeat_of.is_not(None) & (_TRIALS.repeat_of == self.selected))

    def trials(self) -> pd.DataFrame:
        """Return the trials of the study, one row per configuration, by index.

        Returns
        -------
        pandas.DataFrame
            Columns ``config_index``; ``state`` (a `TrialState`); ``diverged`` (bool, false unless
            finished); a column per parameter of the study's space, where a missing value means
            that the parameter was not drawn (``dropout_hidden_to_output``) or no limit
            (``max_incoming``); ``n_epochs`` (so far, in the store); ``best_epoch``, ``valid_nll``
            (under the study's padding rule), ``valid_nll_counted`` and ``valid_nll_masked`` of
            finished and pruned trials; ``test_nll_pooled`` (over all steps of all sequences) and
            ``test_nll_sequence_mean`` (mean over sequences of each one's mean); ``seconds`` of
            training; ``seed``; ``worker``, ``host`` and ``machine`` that finished or train it;
            ``error``, the traceback of a failed trial.
        """
        return self._trials(_TRIALS.repeat_of.is_(None))

    def snapshot(self) -> StudySnapshot:
        """Return the trials, the selected one's test NLL and the progress of one moment.

        They agree with each other while workers write or the study is extended.
        """
        with self.database.snapshot() as connection:
            rows = connection.execute(self._rows(tested=True)).all()
            progress = progress_of(self.definition, rows)
            selected = progress.selected
            index = None if selected is None else selected.config_index
            which = sa.false() if index is None else self._is_trial(index)
            result = connection.execute(self._rows_of(tables.test_sequences, which))
            columns, sequences = list(result.keys()), result.all()
        table = self._table(rows)
        is_draw = [row.repeat_of is None for row in rows]
        is_repeat = [not one for one in is_draw]
        repeat_of = [row.repeat_of for row in rows if row.repeat_of is not None]
        return StudySnapshot(
            trials=table.loc[is_draw].reset_index(drop=True),
            repeats=table.loc[is_repeat].reset_index(drop=True).assign(repeat_of=repeat_of),
            test_sequences=_frame(columns, sequences),
            progress=progress,
        )

    def _trials(self, which: sa.ColumnElement[bool]) -> pd.DataFrame:
        with self.database.snapshot() as connection:
            rows = connection.execute(self._rows(tested=True).where(which)).all()
        return self._table(rows)

    def _rows(self, *, tested: bool) -> sa.Select[Any]:
        """Return the query of trials and repeats with sums over their epochs.

        Parameters
        ----------
        tested
            Whether their averages over the test sequences are read, too.
        """
        trained = self._trained()
        query = (
            sa.select(
                tables.trials,
                sa.func.coalesce(trained.c.n_epochs, 0).label("n_trained"),
                sa.func.coalesce(trained.c.seconds, 0.0).label("seconds"),
                trained.c.best_valid_nll,
                (now_s() - _TRIALS.lease_renewed).label("lease_age_s"),
                (_TRIALS.lease_expires - now_s()).label("lease_left_s"),
            )
            .outerjoin_from(tables.trials, trained, trained.c.trial_id == _TRIALS.trial_id)
            .where(_TRIALS.study_id == self.study_id)
            .order_by(_TRIALS.config_index)
        )
        if not tested:
            return query
        sequences = tables.test_sequences.c
        pooled = sa.func.sum(sequences.nll_sum) / sa.func.sum(sequences.n_steps)
        sequence_mean = sa.func.avg(sequences.nll_sum / sequences.n_steps)
        averages = (
            sa.select(
                sequences.trial_id,
                unless_nan(pooled).label("test_nll_pooled"),
                unless_nan(sequence_mean).label("test_nll_sequence_mean"),
            )
            .where(sequences.n_steps > 0, sequences.trial_id.in_(self._trial_ids()))
            .group_by(sequences.trial_id)
            .subquery()
        )
        return query.add_columns(
            averages.c.test_nll_pooled, averages.c.test_nll_sequence_mean
        ).outerjoin(averages, averages.c.trial_id == _TRIALS.trial_id)

    def _table(self, rows: Sequence[sa.Row[Any]]) -> pd.DataFrame:
        """Return rows of `_rows` as `trials` returns them."""
        fields = [row._mapping for row in rows]
        table = _frame(_COLUMNS, [[row[name] for name in _COLUMNS] for row in fields])
        table = table.rename(columns={"n_trained": "n_epochs"})
        drawn = table.pop("hyperparameters")
        first = list(table.columns).index("n_epochs")
        for offset, parameter in enumerate(self.definition.space.parameters):
            values = [values.get(parameter.name) for values in drawn]
            try:
                column = _column(values, parameter)
            except (TypeError, ValueError, OverflowError) as error:
                raise self.database.damaged(error) from error
            table.insert(first + offset, parameter.name, column)
        return table.astype(_DTYPES)

    def curves(self, config_index: int | None = None) -> pd.DataFrame:
        """Return every epoch of every trial.

        Parameters
        ----------
        config_index
            Only those of this trial.

        Returns
        -------
        pandas.DataFrame
            ``config_index`` and the numbers of `fdrnn.model.EpochRecord`, sorted by configuration
            and epoch; then a column per measurement that the study records, by name.
        """
        table = self._read(tables.epochs, config_index)
        measured = self._read(tables.measurements, config_index)
        if measured.empty:
            return table
        keys = ["config_index", "epoch"]
        columns = measured.pivot(index=keys, columns="name", values="value").reset_index()
        return table.merge(columns, on=keys, how="left")

    def test_sequences(self, config_index: int | None = None) -> pd.DataFrame:
        """Return the test NLL of every sequence for every finished trial.

        Parameters
        ----------
        config_index
            The configuration whose sequences are returned; None for all.

        Returns
        -------
        pandas.DataFrame
            ``config_index``, ``sequence_index`` (in the data set's order), ``nll_sum`` (nats
            summed over the predicted steps) and ``n_steps`` (their number), sorted by both keys.
        """
        return self._read(tables.test_sequences, config_index)

    @property
    def selected(self) -> int | None:
        """Return the configuration with the lowest validation NLL, as `selected_trial` does."""
        with self.database.read() as connection:
            return connection.scalar(sa.select(selected_index(self.study_id)))

    def trial(self, config_index: int) -> StoredTrial:
        """Return a trial.

        Raises
        ------
        UnknownNameError
            If the study has no such configuration.
        """
        c = _TRIALS
        fields = (c.config_index, c.seed, c.hyperparameters, c.state, c.best_epoch, c.valid_nll)
        query = sa.select(*fields)
        with self.database.read() as connection:
            row = connection.execute(query.where(self._is_trial(config_index))).one_or_none()
        if row is None:
            hint = f"study {self.name!r} has trials 0 to {self.definition.n_trials - 1}"
            raise UnknownNameError("trial", str(config_index), (), hint)
        return StoredTrial(**row._mapping)

    def parameters(self, config_index: int) -> dict[str, npt.NDArray[Any]]:
        """Return the best-validation parameters of a finished trial by name.

        They are empty if the trial has none: not finished, diverged at once, or imported without.

        Raises
        ------
        UnknownNameError
            If the study has no such configuration.
        """
        index = self.trial(config_index).config_index
        with self.database.read() as connection:
            rows = connection.execute(self._arrays(tables.parameters, index))
            return {row.name: tables.unpacked(row._asdict()) for row in rows}

    def checkpoint(self, config_index: int) -> bytes | None:
        """Return the trainer's state from which a trial resumes; None if there is none."""
        query = sa.select(tables.checkpoints.c.state).join_from(tables.trials, tables.checkpoints)
        with self.database.read() as connection:
            return connection.scalar(query.where(self._is_trial(config_index)))

    def samples(self, config_index: int) -> Samples | None:
        """Return the samples that are kept with a trial; None if there are none."""
        with self.database.read() as connection:
            kept = connection.execute(self._arrays(tables.samples, config_index))
            rows = [row._asdict() for row in kept]
            try:
                return samples_of(config_index, rows, self.data.n_features)
            except TypeError as error:
                raise self.database.damaged(error) from error

    def keep_samples(self, samples: Samples) -> None:
        """Keep samples with their trial instead of earlier ones, in one transaction.

        Raises
        ------
        NoModelError
            If the trial has not finished.
        """
        finished = (
            sa.select(_TRIALS.trial_id)
            .where(self._is_trial(samples.config_index), _TRIALS.state == TrialState.FINISHED)
            .with_for_update()
        )
        about = asdict(samples.origin)
        with self.database.write() as connection:
            trial_id = connection.scalar(finished)
            if trial_id is None:
                raise NoModelError(
                    f"trial {samples.config_index} of study {self.name!r} has not finished; only "
                    "a finished trial keeps samples"
                )
            kept = [
                {"trial_id": trial_id, "name": name, "about": about} | tables.packed(array)
                for name in SAMPLE_ARRAYS
                if (array := getattr(samples, name)) is not None
            ]
            connection.execute(tables.samples.delete().where(tables.samples.c.trial_id == trial_id))
            connection.execute(tables.samples.insert(), kept)

    def progress(self) -> StudyProgress:
        """Return the counts of trials by state, those that need attention and the time left.

        Nothing is written: a trial whose lease has expired is still listed as running.
        """
        with self.database.read() as connection:
            return progress_of(self.definition, connection.execute(self._rows(tested=False)).all())

    def retry_failed(self) -> int:
        """Make the failed trials wait again and return how many.

        They resume from their last checkpoint.
        """
        ours = _TRIALS.study_id == self.study_id
        failed = ours & (_TRIALS.state == TrialState.FAILED)
        waiting = tables.WAITING_AGAIN | {"error": None, "finished_at": None, "stalls": 0}
        with self.database.write() as connection:
            return connection.execute(tables.trials.update().where(failed).values(waiting)).rowcount

    def last_states(self) -> tuple[int, int]:
        """Return the number and bytes of the last states of finished and pruned trials.

        A higher limit on epochs or patience, or a wider halving, resumes trials from them.
        """
        kept = tables.checkpoints.c
        query = sa.select(sa.func.count(), sa.func.sum(sa.func.length(kept.state))).where(
            kept.trial_id.in_(self._ended())
        )
        with self.database.read() as connection:
            number, n_bytes = connection.execute(query).one()
        return int(number), int(n_bytes or 0)

    def drop_last_states(self) -> None:
        """Delete the last states of finished and pruned trials.

        An extension trains such trials from the start.
        """
        with self.database.write() as connection:
            connection.execute(
                tables.checkpoints.delete().where(tables.checkpoints.c.trial_id.in_(self._ended()))
            )

    def _ended(self) -> sa.Select[tuple[int]]:
        # A failed one is retried from its last state.
        return self._trial_ids().where(_TRIALS.state.in_((TrialState.FINISHED, TrialState.PRUNED)))

    def _is_trial(self, config_index: int | None = None) -> sa.ColumnElement[bool]:
        ours = _TRIALS.study_id == self.study_id
        if config_index is not None:
            return ours & (_TRIALS.config_index == config_index)
        return ours & _TRIALS.repeat_of.is_(None)

    def _trial_ids(self) -> sa.Select[tuple[int]]:
        # Within the study: a store of many studies is not read whole for each of them.
        return sa.select(_TRIALS.trial_id).where(_TRIALS.study_id == self.study_id)

    def _trained(self) -> sa.Subquery:
        epochs = tables.epochs.c
        valid_nll = epochs[self.definition.training.valid_nll_column]
        return (
            sa.select(
                epochs.trial_id,
                sa.func.count().label("n_epochs"),
                # As plain numbers: where NaN is NULL, none is None.
                sa.type_coerce(sa.func.sum(epochs.seconds), sa.Double).label("seconds"),
                sa.type_coerce(sa.func.min(valid_nll), sa.Double).label("best_valid_nll"),
            )
            .where(epochs.trial_id.in_(self._trial_ids()))
            .group_by(epochs.trial_id)
            .subquery()
        )

    def _read(self, table: sa.Table, config_index: int | None = None) -> pd.DataFrame:
        # Of many rows the conversion takes long.
        with self.database.snapshot() as connection:
            result = connection.execute(self._rows_of(table, self._is_trial(config_index)))
            columns, rows = list(result.keys()), result.all()
        return _frame(columns, rows)

    def _rows_of(self, table: sa.Table, which: sa.ColumnElement[bool]) -> sa.Select[Any]:
        columns = [column for column in table.c if column.name != "trial_id"]
        return (
            sa.select(_TRIALS.config_index, *columns)
            .join_from(tables.trials, table)
            .where(which)
            .order_by(_TRIALS.config_index, *columns[:2])
        )

    def _arrays(self, table: sa.Table, config_index: int) -> sa.Select[Any]:
        return sa.select(table).join(tables.trials).where(self._is_trial(config_index))


def _frame(columns: list[str], rows: Iterable[Iterable[Any]]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - progress and selection do without it

    return pd.DataFrame([tuple(row) for row in rows], columns=columns)


def selected_trial(trials: pd.DataFrame) -> int | None:
    """Return the configuration with the lowest validation NLL: the one that a study reports.

    Parameters
    ----------
    trials
        As `Study.trials` returns them, or some of their rows.

    Returns
    -------
    int or None
        ``config_index`` of the finished trial with the lowest finite ``valid_nll``, the lowest
        index where there are several; None if there is none. Test NLL have no part in it.
    """
    selected = selected_row(trials[["config_index", "state", "valid_nll"]].itertuples())
    return None if selected is None else int(selected.config_index)


_KINDS = {bool: "bool", int: "int64", float: "float64"}


def _column(values: list[Any], parameter: Parameter) -> pd.Series[Any]:
    import pandas as pd  # noqa: PLC0415 - as above

    return pd.Series(values, dtype=_dtype(parameter))


def _dtype(parameter: Parameter) -> str:
    # A column's type follows from the space, not from the rows there happen to be.
    kinds = {type(value) for value in parameter.distribution.extremes}
    if str in kinds:
        return "object"
    if parameter.when is None and len(kinds) == 1:
        return _KINDS.get(kinds.pop(), "float64")
    return "float64"


def unless_nan(average: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return an average over test sequences, NULL where the NLL of one is NaN."""
    # NaN is stored as NULL, which SQL's aggregates would leave out.
    complete = sa.func.count(tables.test_sequences.c.nll_sum) == sa.func.count()
    return sa.case((complete, average))
