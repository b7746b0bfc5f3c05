"""Checks of a store: its file, its rows by their rules, its arrays, the relations of its tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from fdrnn.datasets.errors import shown
from fdrnn.model.checkpoint import require_intact
from fdrnn.model.errors import CheckpointError
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.errors import ForeignStudyError, StoreError, StoreUnavailableError
from fdrnn.search.store import tables
from fdrnn.search.store.rules import require_drawn
from fdrnn.search.store.store import Store
from fdrnn.search.store.study import Study
from fdrnn.search.store.tables import TrialState, value_range

_WAY_OUT = "restore the store from a copy, or import the exported study into another one"
_SQLITE_TYPES = {
    float: ("real", "integer"),
    int: ("integer",),
    bool: ("integer",),
    bytes: ("blob",),
}
_TRIALS = tables.trials.c


def check_store(store: Store) -> tuple[list[str], list[str]]:
    """Return what is damaged in a store, and what could not be checked; nothing is written.

    Where the file of a SQLite store is damaged, nothing else is checked.

    Parameters
    ----------
    store
        The store.

    Returns
    -------
    findings : list of str
        A line for each damage.
    unchecked : list of str
        A line for each study that this fdrnn, as installed, cannot read: of it, only the rules of
        its rows are checked.

    Raises
    ------
    StoreError
        If the store cannot be read at all.
    StoreUnavailableError
        If it becomes unavailable during the check.
    """
    unchecked: list[str] = []
    try:
        with store.database.snapshot() as connection:
            findings = list(_file_findings(connection)) if store.database.file else []
            if findings:
                return [f"store {store.shown}: {line}" for line in findings], unchecked
            for table in tables.metadata.sorted_tables:
                findings += [f"{line}; {_WAY_OUT}" for line in broken_rules(connection, table)]
    except StoreUnavailableError:
        raise
    except StoreError as error:
        # A file too damaged to be checked.
        return [f"{error}; {_WAY_OUT}"], unchecked
    broken = list(findings)
    for name in store.study_names():
        study = _named(name, None)
        try:
            findings += _study_findings(store.study(name))
        except StoreUnavailableError:
            raise
        except ForeignStudyError as error:
            unchecked.append(str(error))
        except StoreError as error:
            # A row of the study that cannot be read has broken its rule.
            if not any(study in line for line in broken):
                findings.append(str(error) if study in str(error) else f"{study}: {error}")
    return findings, unchecked


def broken_rules(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """Yield a line for each rule of a table that rows break, with the first such row.

    The rules are the table's CHECK constraints and, on SQLite, which converts no value that does
    not fit, the types of its columns.
    """
    rules = [
        constraint.sqltext
        for constraint in sorted(table.constraints, key=lambda one: str(one.name))
        if isinstance(constraint, sa.CheckConstraint)
    ]
    if connection.dialect.name == "sqlite":
        rules += [_of_its_type(column) for column in table.c if value_range(column) is None]
    for rule in rules:
        columns = [part for part in visitors.iterate(rule) if isinstance(part, sa.Column)]
        involved = list(dict.fromkeys(columns))
        query = sa.select(
            sa.func.count().over(),
            tables.studies.c.name if table is not tables.schema else sa.null(),
            _TRIALS.config_index if "trial_id" in table.c else sa.null(),
            *(sa.cast(column, sa.Text) for column in involved),
        )
        row = connection.execute(_joined(query, table).where(sa.not_(rule)).limit(1)).first()
        if row is None:
            continue
        n_rows, study, index, *values = row
        got = ", ".join(
            f"{column.name} {shown(value)}" for column, value in zip(involved, values, strict=True)
        )
        more = f" and {n_rows - 1} more rows of {table.name}" if n_rows > 1 else ""
        yield f"{_named(study, index)}{more}: {_text(rule, connection)} must hold, got {got}"


def _of_its_type(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    # A decorated type does not know its own.
    kind = getattr(column.type, "impl_instance", column.type).python_type
    return sa.func.typeof(column).in_((*_SQLITE_TYPES.get(kind, ("text",)), "null"))


def _joined(query: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    # Outer joins, because the row of a trial or study may be lost.
    if "trial_id" in table.c and table is not tables.trials:
        query = query.outerjoin_from(table, tables.trials)
        return query.outerjoin(tables.studies, _TRIALS.study_id == tables.studies.c.study_id)
    if table is tables.trials:
        return query.outerjoin_from(table, tables.studies)
    return query.select_from(table)


def _named(study: str | None, index: int | None) -> str:
    parts = [] if index is None else [f"trial {index}"]
    parts += [] if study is None else [f"study {study!r}"]
    return " of ".join(parts) or "a row"


def _text(rule: sa.ColumnElement[bool], connection: sa.Connection) -> str:
    literal = {"literal_binds": True, "include_table": False}
    return str(rule.compile(dialect=connection.dialect, compile_kwargs=literal))


def _file_findings(connection: sa.Connection) -> Iterator[str]:
    for line in connection.exec_driver_sql("PRAGMA integrity_check").scalars():
        # The rules of rows are checked one by one.
        if line != "ok" and not line.startswith("CHECK constraint failed"):
            yield f"{line}; restore the file from a copy, or recover it by `sqlite3 FILE .recover`"
    lost = Counter(
        (table, parent)
        for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check")
    )
    for (table, parent), number in lost.items():
        yield f"{number} rows of {table} refer to no row of {parent}; {_WAY_OUT}"


def _study_findings(study: Study) -> Iterator[str]:
    """Yield what the tables of a study contradict each other in, and its damaged arrays."""
    epochs, sequences, checkpoints = tables.epochs.c, tables.test_sequences.c, tables.checkpoints.c

    def of_trial(query: sa.Select[Any], key: sa.Column[Any]) -> sa.ScalarSelect[Any]:
        return query.where(key == _TRIALS.trial_id).correlate(tables.trials).scalar_subquery()

    query = sa.select(
        tables.trials,
        of_trial(sa.select(sa.func.count(epochs.epoch)), epochs.trial_id).label("n_rows"),
        of_trial(sa.select(sa.func.max(epochs.epoch)), epochs.trial_id).label("last_epoch"),
        of_trial(sa.select(sa.func.count()), sequences.trial_id).label("n_tested"),
        of_trial(sa.select(checkpoints.epoch), checkpoints.trial_id).label("saved_epoch"),
    )
    with study.database.snapshot() as connection:
        query = query.where(_TRIALS.study_id == study.study_id).order_by(_TRIALS.config_index)
        trials = connection.execute(query).all()
    draws = [trial.config_index for trial in trials if trial.repeat_of is None]
    if draws != list(range(study.definition.n_trials)):
        yield (
            f"study {study.name!r} must have the trials 0 to {study.definition.n_trials - 1}, each "
            f"once, got {shown(draws)}; {_WAY_OUT}"
        )
    for trial in trials:
        where = _named(study.name, trial.config_index)
        faults = contradictions(study.definition, trial._asdict())
        yield from (f"{where}: {fault}; {_WAY_OUT}" for fault in faults)
        try:
            state = study.checkpoint(trial.config_index)
            if state is not None:
                require_intact(state)
        except CheckpointError as error:
            yield f"{where}: {error}, which a worker will do by itself"
        for read in (study.parameters, study.samples):
            try:
                read(trial.config_index)
            except StoreUnavailableError:
                raise
            except StoreError as error:
                yield f"{where}: {error}"


def contradictions(definition: StudyDefinition, trial: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the rows of a trial contradict each other in, or its study's definition.

    Parameters
    ----------
    definition
        The study's definition.
    trial
        The columns of `fdrnn.search.store.tables.trials`, the number of the trial's epochs
        ``n_rows`` and of its test sequences ``n_tested``, and the ``last_epoch`` and the
        ``saved_epoch`` of its checkpoint, None without one.
    """
    halving, last_epoch = definition.halving, trial["last_epoch"] or 0
    n_epochs, saved_epoch = trial["n_epochs"] or 0, trial["saved_epoch"] or 0
    try:
        require_drawn(definition.space, trial["hyperparameters"])
    except ValueError as error:
        yield str(error)
    if not max(n_epochs, saved_epoch) <= trial["n_rows"] == last_epoch:
        yield (
            f"its epochs must be 1 to {max(n_epochs, last_epoch)}, each once, got "
            f"{trial['n_rows']}, the last one {last_epoch}, and a checkpoint of epoch {saved_epoch}"
        )
    valid_nll, best_epoch = trial["valid_nll"], trial["best_epoch"]
    if (valid_nll is not None and math.isfinite(valid_nll)) != bool(best_epoch):
        yield (
            "best_epoch must be an epoch where valid_nll is finite, and 0 or null elsewhere, got "
            f"best_epoch {best_epoch}, valid_nll {valid_nll}"
        )
    if trial["state"] == TrialState.FINISHED and best_epoch and not trial["n_tested"]:
        yield "it has finished, and has no test NLL"
    if halving is not None and trial["rung"] > len(halving.rungs):
        yield f"rung must be at most {len(halving.rungs)}, got {trial['rung']}"
