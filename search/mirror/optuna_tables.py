"""Optuna's tables as a mirror of ours, for optuna-dashboard and Optuna's own evaluators.

Nothing is read back from the mirror. Where it misses something, because a process was killed or
the database was unavailable between our write and Optuna's, `Mirror.sync` repairs it; every study
that is created or trained begins with it. A trial's value, and its value at every epoch, is its
validation NLL under the study's padding rule; its test NLL is an attribute, by which Optuna selects
nothing. A long study shows every n-th epoch, so that it has at most `MOST_POINTS` of them.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.exceptions import DuplicatedStudyError, OptunaError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState

from fdrnn.model import EpochRecord
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.errors import StoreError
from fdrnn.search.mirror import rows
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database, store_error_kind
from fdrnn.search.store.study import Study, unless_nan
from fdrnn.search.store.tables import TrialState

_log = logging.getLogger(__name__)

CONFIG_INDEX = "config_index"
"""User attribute by which a trial of Optuna is one of ours."""

MOST_POINTS = 50_000
"""Epochs of all trials of a study that the dashboard shows."""

_VERSION = sa.table("alembic_version", sa.column("version_num"))
# SQLSTATE of a missing table.
_UNDEFINED_TABLE = "42P01"
_compatible: set[str] = set()
"""Versions of the tables that Optuna has found compatible, for which it reads its migrations."""
_REPORT_INTERVAL_S = 5.0
_TRIALS = tables.trials.c

_MirroredTrials = dict[int, rows.MirroredTrial]
"""A configuration's trial in Optuna's tables, the last one if it was retried."""


def open_mirror(database: Database) -> RDBStorage:
    """Return Optuna's storage on its tables in a store; nothing is written.

    Raises
    ------
    StoreError
        If the tables are missing, or another version of Optuna's.
    """
    version = _version(database)
    storage = _open_storage(database, skip_compatibility_check=version in _compatible)
    if version is not None:
        _compatible.add(version)
    return storage


def may_change_mirror(database: Database) -> bool:
    """Return whether this user may change Optuna's tables."""
    if database.file is not None:
        return os.access(database.file, os.W_OK)
    may_change = sa.func.has_table_privilege("trials", "INSERT, UPDATE, DELETE")
    with database.read() as connection:
        return bool(connection.scalar(sa.select(may_change)))


def upgrade_mirror_tables(database: Database) -> list[str]:
    """Upgrade Optuna's tables to the installed Optuna's, or create them where they are missing.

    The caller excludes other processes. `Mirror.sync` fills created tables again.

    Returns
    -------
    list of str
        What was done, a line each; empty if they were up to date, or are a newer Optuna's, which
        `open_mirror` refuses.

    Raises
    ------
    StoreError
        If the database fails.
    """
    if _version(database) is None:
        _open_storage(database, skip_table_creation=False)
        return ["Optuna's tables: created, because they were missing"]
    storage = _open_storage(database, skip_compatibility_check=True)
    with _translated(database):
        current = storage.get_current_version()
        if current == storage.get_head_version() or current not in storage.get_all_versions():
            return []
        storage.upgrade()
    return ["Optuna's tables: upgraded to the installed Optuna's"]


def _version(database: Database) -> str | None:
    """Return the version of Optuna's tables, None where they are missing or being created."""
    # The row that Optuna writes last: while another process creates the tables, some are there,
    # and Optuna's storage would write that row a second time.
    with database.read() as connection:
        present = sa.inspect(connection).get_table_names()
        if not {tables.FIRST_TABLE_OF_OPTUNA, _VERSION.name} <= set(present):
            return None
        version: str | None = connection.scalar(sa.select(_VERSION.c.version_num))
        return version


def _open_storage(
    database: Database, *, skip_table_creation: bool = True, skip_compatibility_check: bool = False
) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _translated(database):
        storage = RDBStorage(
            database.url,
            engine_kwargs=database.engine_options,
            skip_table_creation=skip_table_creation,
            skip_compatibility_check=skip_compatibility_check,
        )
    database.prepare(storage.engine)
    # Its first connections were opened without these transactions.
    storage.engine.dispose()
    return storage


@contextlib.contextmanager
def _translated(database: Database) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OptunaError, sa.exc.SQLAlchemyError) as error:
        raise optuna_error(database, error) from error


def optuna_error(database: Database, error: Exception) -> StoreError:
    """Return Optuna's or SQLAlchemy's error as a store's, with the database's reason."""
    reason: BaseException = error
    while not isinstance(reason, sa.exc.DBAPIError) and reason.__cause__ is not None:
        reason = reason.__cause__
    reason = getattr(reason, "orig", None) or reason
    line = database.reason(reason)
    if "optuna storage upgrade" in line:
        line = "they are an earlier Optuna's; `fdrnn store migrate` upgrades them"
    elif tables.FIRST_TABLE_OF_OPTUNA in line and _is_of_a_missing_table(reason):
        line = "they are missing; `fdrnn store migrate` creates them"
    return store_error_kind(error)(f"store {database.shown}: Optuna's tables: {line}")


def _is_of_a_missing_table(reason: BaseException) -> bool:
    return "no such table" in str(reason) or getattr(reason, "sqlstate", "") == _UNDEFINED_TABLE


def _is_repeat(config_index: int) -> bool:
    # Optuna would take the best of them for the study's best trial.
    return config_index < 0


_ENDS = {
    TrialState.FINISHED: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}


def _is_missing(row: Any, mirrored: _MirroredTrials) -> bool:
    if row.config_index not in mirrored:
        return True
    trial = mirrored[row.config_index]
    # An ended trial of Optuna cannot run again: a retried or extended one is a new trial there.
    if trial.state == OptunaState.COMPLETE == _ENDS.get(row.state):
        # It may have been extended and have ended again without Optuna's knowledge.
        return math.isfinite(row.valid_nll) and row.valid_nll != trial.value
    return trial.state.is_finished() and trial.state != _ENDS.get(row.state)


def _stopped_by(row: Any, definition: StudyDefinition) -> str:
    """Return what ended a trial that has finished or was pruned."""
    if row.state == TrialState.PRUNED:
        return "halving"
    if row.diverged:
        return "divergence"
    return "max_epochs" if row.n_epochs >= definition.training.max_epochs else "patience"


class Mirror:
    """A study in Optuna's tables, which are created where they are missing.

    `sync` and `optuna_study` may raise `StoreError`; where a transition or an epoch of a trial
    (`claimed`, `report`, `waiting`, `ended`) cannot be written, it is logged, because training does
    not depend on it.

    Parameters
    ----------
    study
        The study; Optuna's has the same name.

    Raises
    ------
    StoreError
        If Optuna's tables cannot be used.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._database = study.database
        if _version(self._database) is None:
            with self._database.exclusive():
                upgrade_mirror_tables(self._database)
        self._storage = open_mirror(self._database)
        self._valid_nll = study.definition.training.valid_nll_column
        self._trial_ids: dict[int, int] = {}
        self._pending: list[EpochRecord] = []
        self._reported_at = -math.inf

    def sync(self) -> None:
        """Create the trials that are missing and end those that have ended.

        A study that was deleted or renamed meanwhile is left alone.
        """
        studies, study = tables.studies.c, self._study
        # Read again, because the study may have been extended since.
        stored = sa.select(studies.definition).where(
            studies.study_id == study.study_id, studies.name == study.name
        )
        with _translated(self._database):
            with self._database.read() as connection:
                definition = connection.execute(stored).scalar_one_or_none()
            if definition is None:
                return
            optuna_study_id = self._optuna_study_id()
            self._describe(optuna_study_id, definition)
            mirrored = self._mirrored(optuna_study_id)
            if any(_is_missing(row, mirrored) for row in self._rows()):
                with self._database.exclusive():
                    mirrored = self._mirrored(optuna_study_id)
                    missing = [row for row in self._rows() if _is_missing(row, mirrored)]
                    self._add_trials(optuna_study_id, missing)
                    mirrored = self._mirrored(optuna_study_id)
            self._trial_ids = {index: trial.trial_id for index, trial in mirrored.items()}
            for row in self._rows():
                trial = mirrored.get(row.config_index)
                if trial is not None and row.state.ended and not trial.state.is_finished():
                    self._end(row)

    def optuna_study(self) -> optuna.Study | None:
        """Return Optuna's study, for the attributes that `fdrnn.search.mirror.notes` sets.

        None if the study was deleted or renamed before it was in Optuna's tables under this name.
        """
        with _translated(self._database), contextlib.suppress(KeyError):
            return optuna.load_study(study_name=self._study.name, storage=self._storage)
        return None

    def claimed(self, config_index: int) -> None:
        """Show a trial as running."""
        if _is_repeat(config_index):
            return
        self._pending, self._reported_at = [], -math.inf
        with self._tolerated(config_index):
            if config_index not in self._trial_ids:
                # The study has been extended since.
                self.sync()
            try:
                self._set_state(config_index, OptunaState.RUNNING)
            except UpdateFinishedTrialError:
                # It had failed and was retried: it needs a new trial of Optuna.
                self.sync()
                self._set_state(config_index, OptunaState.RUNNING)
            (row,) = self._rows(_TRIALS.config_index == config_index)
            self._write(config_index, {}, {"worker": row.worker})

    def report(self, config_index: int, records: Sequence[EpochRecord]) -> None:
        """Report epochs' validation NLL, at once or with those that follow within seconds."""
        if _is_repeat(config_index):
            return
        self._pending += records
        if time.monotonic() - self._reported_at >= _REPORT_INTERVAL_S:
            self._report_pending(config_index)

    def waiting(self, config_index: int) -> None:
        """Report the last epochs and show a trial as waiting again."""
        if _is_repeat(config_index):
            return
        self._report_pending(config_index)
        with self._tolerated(config_index):
            self._set_state(config_index, OptunaState.WAITING)

    def ended(self, config_index: int) -> None:
        """Report the last epochs and show how a trial ended, as its row says."""
        if _is_repeat(config_index):
            return
        self._report_pending(config_index)
        with self._tolerated(config_index):
            for row in self._rows(_TRIALS.config_index == config_index):
                if row.state.ended:
                    self._end(row)
                else:
                    # The study was extended while the trial ended.
                    self._set_state(config_index, OptunaState.WAITING)

    def _report_pending(self, config_index: int) -> None:
        records, self._pending = self._pending, []
        if records:
            with self._tolerated(config_index):
                curve = {record.epoch: getattr(record, self._valid_nll) for record in records}
                self._write(config_index, curve, {})
            self._reported_at = time.monotonic()

    def _write(
        self, config_index: int, curve: Mapping[int, float], attributes: Mapping[str, Any]
    ) -> None:
        definition = self._study.definition
        n_epochs = definition.n_trials * definition.training.max_epochs
        every = math.ceil(n_epochs / MOST_POINTS)
        shown = {epoch: curve[epoch] for epoch in curve if epoch == 1 or epoch % every == 0}
        with self._database.write() as connection:
            rows.write_trial(connection, self._trial_ids[config_index], shown, attributes)

    def _describe(self, optuna_study_id: int, stored: Mapping[str, Any]) -> None:
        """Set what defines the study as attributes, by the keys of its stored definition."""
        study, definition = self._study, dict(stored)
        del definition["name"]
        training = definition.pop("training")
        attributes = {
            **definition,
            "data": study.data.title,
            "data fingerprint": study.data.fingerprint,
            "space": study.definition.space.name,
            **training,
            "fdrnn": study.code_version,
        }
        if not attributes.items() <= self._storage.get_study_user_attrs(optuna_study_id).items():
            with self._database.write() as connection:
                rows.set_study_attributes(connection, optuna_study_id, attributes)

    def _set_state(self, config_index: int, state: OptunaState) -> None:
        self._storage.set_trial_state_values(self._trial_ids[config_index], state)

    @contextlib.contextmanager
    def _tolerated(self, config_index: int) -> Iterator[None]:
        try:
            yield
        except (KeyError, ValueError, StoreError, OptunaError, sa.exc.SQLAlchemyError) as error:
            _log.warning("trial %d is not up to date in Optuna: %s", config_index, error)

    def _optuna_study_id(self) -> int:
        name = self._study.name
        try:
            return self._storage.get_study_id_from_name(name)
        except KeyError:
            with contextlib.suppress(DuplicatedStudyError):
                self._storage.create_new_study([StudyDirection.MINIMIZE], name)
            return self._storage.get_study_id_from_name(name)

    def _mirrored(self, optuna_study_id: int) -> _MirroredTrials:
        with self._database.read() as connection:
            return rows.trials_by_attribute(connection, optuna_study_id, CONFIG_INDEX)

    def _rows(self, *conditions: sa.ColumnElement[bool]) -> list[Any]:
        query = (
            sa.select(tables.trials)
            .where(_TRIALS.study_id == self._study.study_id, _TRIALS.repeat_of.is_(None))
            .where(*conditions)
            .order_by(_TRIALS.config_index)
        )
        with self._database.read() as connection:
            return list(connection.execute(query))

    def _add_trials(self, optuna_study_id: int, missing: Sequence[Any]) -> None:
        parameters = self._study.definition.space.parameters
        distributions = {one.name: one.distribution.optuna() for one in parameters}
        # One that has ended is ended by `_end`, which writes its epochs in one statement.
        trials = [(row.hyperparameters, {CONFIG_INDEX: row.config_index}) for row in missing]
        if trials:
            with self._database.write() as connection:
                rows.add_trials(connection, optuna_study_id, trials, distributions)

    def _curve(self, row: Any) -> dict[int, float]:
        valid_nll = tables.epochs.c[self._valid_nll]
        query = (
            sa.select(tables.epochs.c.epoch, valid_nll)
            .where(tables.epochs.c.trial_id == row.trial_id)
            .order_by(tables.epochs.c.epoch)
        )
        with self._database.read() as connection:
            curve = connection.execute(query).all()
        return {row.epoch: row[1] for row in curve}

    def _outcome(self, row: Any) -> dict[str, Any]:
        epochs, sequences = tables.epochs.c, tables.test_sequences.c
        of_trial = epochs.trial_id == row.trial_id
        pooled = sa.func.sum(sequences.nll_sum) / sa.func.sum(sequences.n_steps)
        numbers = {
            "train_nll": sa.select(epochs.train_nll).where(
                of_trial, epochs.epoch == row.best_epoch
            ),
            "seconds_per_epoch": sa.select(sa.func.avg(epochs.seconds)).where(of_trial),
            "test_nll": sa.select(unless_nan(pooled)).where(
                sequences.trial_id == row.trial_id, sequences.n_steps > 0
            ),
        }
        with self._database.read() as connection:
            found = {name: connection.scalar(query) for name, query in numbers.items()}
        return {
            "diverged": row.diverged,
            "n_epochs": row.n_epochs,
            "best_epoch": row.best_epoch,
            "stopped_by": _stopped_by(row, self._study.definition),
            "worker": row.worker,
            **{name: round(value, 4) for name, value in found.items() if value is not None},
        }

    def _end(self, row: Any) -> None:
        # All epochs: those before an extension are in an earlier trial of Optuna.
        self._write(row.config_index, self._curve(row), {})
        values = None
        if row.state != TrialState.FAILED:
            self._write(row.config_index, {}, self._outcome(row))
        if row.state == TrialState.FINISHED:
            values = [row.valid_nll]
        # Another process may end it at the same time.
        with contextlib.suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(
                self._trial_ids[row.config_index], _ENDS[row.state], values
            )
