"""The tables of a store; Optuna keeps its own in the same database.

These tables are the authority for claims, states and results; Optuna's are a mirror for the
dashboard. Times are seconds since 1970 by the database's clock.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from fdrnn.datasets.errors import shown

SCHEMA_VERSION = 4
"""The version of these tables; a store of another version is refused."""

FIRST_TABLE_OF_OPTUNA = "version_info"
"""The one that Optuna reads before all others."""


class TrialState(StrEnum):
    """The state of a trial.

    Transitions: a worker claims a waiting trial; renews its lease while it runs; releases it when
    the worker stops, so that it waits again; finishes it; or fails it after a program error. A
    running trial whose lease has expired is requeued: it waits again. A user retries failed
    trials: they wait again. A trial that diverged is finished. Under halving a trial pauses at a
    rung; once all have reached it, the paused ones wait again or are pruned.
    """

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Return whether nothing is left to train: the trial is finished, pruned or failed."""
        return self in {TrialState.FINISHED, TrialState.PRUNED, TrialState.FAILED}


NO_LEASE: dict[str, Any] = {"lease_renewed": None, "lease_expires": None}
"""Columns of a trial that no worker trains."""

NO_WORKER: dict[str, Any] = {"worker": None, "host": None, "pid": None}
"""Columns of a trial that belongs to no worker."""

WAITING_AGAIN: dict[str, Any] = {"state": TrialState.WAITING} | NO_WORKER | NO_LEASE
"""Columns of a trial that is released, requeued, retried or reopened."""


class Number(sa.types.TypeDecorator[float]):
    """A float64 for which NaN is stored as NULL, since SQLite has no NaN; infinities stay."""

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: sa.Dialect) -> float | None:
        """Return what is written: NULL for NaN."""
        return None if value is None or math.isnan(value) else float(value)

    def process_result_value(self, value: float | None, dialect: sa.Dialect) -> float:
        """Return what is read: NaN for NULL."""
        return math.nan if value is None else float(value)


class Integer(sa.types.TypeDecorator[int]):
    """An integer; reading another value, which SQLite may have, is an error."""

    impl = sa.Integer
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> int | None:
        """Return the integer that is read."""
        if value is not None and not isinstance(value, int):
            raise ValueError(f"an integer is expected, got {shown(value)}")
        return value


class BigInteger(Integer):
    """An integer of 64 bits."""

    impl = sa.BigInteger
    cache_ok = True


_TIMES_S = (0.0, 1e11)


class Time(sa.types.TypeDecorator[float]):
    """Seconds since 1970; reading a value out of range is an error."""

    impl = sa.Double
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> float | None:
        """Return the time that is read."""
        if value is None:
            return None
        seconds = float(value)
        if not _TIMES_S[0] <= seconds <= _TIMES_S[1]:
            raise ValueError(f"a time in seconds since 1970 is expected, got {shown(value)}")
        return seconds


class Object(sa.types.TypeDecorator[dict[str, Any]]):
    """A JSON object; reading another value is an error."""

    impl = sa.JSON
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> dict[str, Any] | None:
        """Return the object that is read."""
        if not isinstance(value, dict):
            raise ValueError(f"a JSON object is expected, got {shown(value)}")  # noqa: TRY004
        return value


class is_object(FunctionElement[bool]):  # noqa: N801 - reads as the SQL function it is
    """Whether a JSON column has an object."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(is_object, "sqlite")
def _sqlite_is_object(element: is_object, compiler: SQLCompiler, **kwargs: Any) -> str:
    text = compiler.process(element.clauses, **kwargs)
    return f"(CASE WHEN json_valid({text}) THEN json_type({text}) = 'object' ELSE 0 END)"


@compiles(is_object, "postgresql")
def _postgresql_is_object(element: is_object, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"(json_typeof({compiler.process(element.clauses, **kwargs)}) = 'object')"


metadata = sa.MetaData()

_STATE = sa.Enum(
    TrialState,
    native_enum=False,
    length=10,
    values_callable=lambda states: [state.value for state in states],
)

_LARGEST = 2**31 - 1
# A repeat has a negative number.
_RANGES = {"seed": (0, 2**63 - 1), "epoch": (1, _LARGEST), "config_index": (-_LARGEST, _LARGEST)}


def value_range(column: sa.Column[Any]) -> tuple[float, float] | None:
    """Return the smallest and largest value of a column; None for a column without a range."""
    if isinstance(column.type, Time):
        return _TIMES_S
    return _RANGES.get(column.name, (0, _LARGEST)) if isinstance(column.type, Integer) else None


def _trial_key() -> sa.Column[int]:
    return sa.Column(
        "trial_id", sa.ForeignKey("fdrnn_trials.trial_id", ondelete="CASCADE"), primary_key=True
    )


schema = sa.Table("fdrnn_schema", metadata, sa.Column("version", sa.Integer, primary_key=True))

studies = sa.Table(
    "fdrnn_studies",
    metadata,
    sa.Column("study_id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("definition", Object, nullable=False),
    # A `fdrnn.datasets.DataDescription`, so that reports need no data set.
    sa.Column("data", Object, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("code_version", sa.String(100), nullable=False),
)

trials = sa.Table(
    "fdrnn_trials",
    metadata,
    sa.Column("trial_id", sa.Integer, primary_key=True),
    sa.Column(
        "study_id", sa.ForeignKey("fdrnn_studies.study_id", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("config_index", Integer, nullable=False),
    sa.Column("seed", BigInteger, nullable=False),
    sa.Column("hyperparameters", Object, nullable=False),
    sa.Column("state", _STATE, nullable=False, default=TrialState.WAITING),
    # Incremented by every claim; a write of an earlier attempt is refused.
    sa.Column("attempt", Integer, nullable=False, default=0),
    # Attempts in a row that ended without a later checkpoint, the running one included.
    sa.Column("stalls", Integer, nullable=False, default=0, server_default="0"),
    # The machine's trouble that ended an attempt last.
    sa.Column("trouble", sa.Text),
    sa.Column("worker", sa.String(255)),
    sa.Column("host", sa.String(255)),
    sa.Column("pid", Integer),
    sa.Column("lease_renewed", Time),
    sa.Column("lease_expires", Time),
    sa.Column("started_at", Time),
    sa.Column("finished_at", Time),
    sa.Column("diverged", sa.Boolean),
    sa.Column("n_epochs", Integer),
    sa.Column("best_epoch", Integer),
    sa.Column("valid_nll", Number),
    sa.Column("valid_nll_counted", Number),
    sa.Column("valid_nll_masked", Number),
    # A line per kind of machine that trained it; with several the last bits may differ.
    sa.Column("machine", sa.Text),
    sa.Column("error", sa.Text),
    # Rungs of the study's halving that the trial has passed.
    sa.Column("rung", Integer, nullable=False, default=0, server_default="0"),
    # Trials are compared at a rung with those that were drawn with them.
    sa.Column("cohort", Integer, nullable=False, default=0, server_default="0"),
    # Of a repeat the configuration that it trains with another seed; its own index is negative.
    sa.Column("repeat_of", Integer),
    sa.UniqueConstraint("study_id", "config_index"),
)

epochs = sa.Table(
    "fdrnn_epochs",
    metadata,
    _trial_key(),
    sa.Column("epoch", Integer, primary_key=True, autoincrement=False),
    sa.Column("train_nll", Number),
    sa.Column("valid_nll_counted", Number),
    sa.Column("valid_nll_masked", Number),
    sa.Column("spectral_radius", Number),
    sa.Column("spectral_radius_squared", Number),
    sa.Column("gradient_norm", Number),
    sa.Column("seconds", Number),
)

# What a study records beside the columns above (`TrainingSettings.record`).
measurements = sa.Table(
    "fdrnn_measurements",
    metadata,
    _trial_key(),
    sa.Column("epoch", Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("value", Number),
)

test_sequences = sa.Table(
    "fdrnn_test_sequences",
    metadata,
    _trial_key(),
    sa.Column("sequence_index", Integer, primary_key=True, autoincrement=False),
    sa.Column("nll_sum", Number),
    sa.Column("n_steps", Integer, nullable=False),
)


def _array_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("dtype", sa.String(20), nullable=False),
        sa.Column("shape", sa.JSON, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        # SHA-256 of the data.
        sa.Column("digest", sa.String(64), nullable=False, server_default=""),
    ]


def packed(array: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the columns dtype, shape, data and digest of an array."""
    data = array.tobytes()
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "data": data,
        "digest": hashlib.sha256(data).hexdigest(),
    }


def unpacked(row: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Return the array of a row with the columns of `packed`.

    Raises
    ------
    ValueError
        If the data are no bytes, have another digest, or do not fit the type and shape.
    """
    array = f"array {shown(row['name'])}"
    try:
        if hashlib.sha256(row["data"]).hexdigest() != row["digest"]:
            raise ValueError(f"{array} has another SHA-256 than when it was written")
        return np.frombuffer(row["data"], row["dtype"]).reshape(row["shape"]).copy()
    except TypeError as error:
        raise ValueError(f"{array} is damaged: {error}") from error


parameters = sa.Table("fdrnn_parameters", metadata, _trial_key(), *_array_columns())

# Samples of a finished trial's model (`fdrnn.search.store.samples`), and their origin.
samples = sa.Table(
    "fdrnn_samples", metadata, _trial_key(), *_array_columns(), sa.Column("about", sa.JSON)
)

checkpoints = sa.Table(
    "fdrnn_checkpoints",
    metadata,
    _trial_key(),
    sa.Column("epoch", Integer, nullable=False),
    sa.Column("written_at", Time, nullable=False),
    sa.Column("state", sa.LargeBinary, nullable=False),
)


def _add_rules() -> None:
    """Add the CHECK constraints: ranges and objects of single columns, relations of a trial's."""
    for table in (studies, trials, epochs, measurements, test_sequences):
        for column in table.c:
            bounds = value_range(column)
            if isinstance(column.type, Object):
                _add_rule(column.name, is_object(column), table)
            elif bounds is not None:
                _add_rule(column.name, column.between(*bounds), table)
    c = trials.c
    running = c.state == TrialState.RUNNING
    with_result = c.state.in_((TrialState.FINISHED, TrialState.PRUNED))
    of_worker = sa.and_(c.worker.is_not(None), c.host.is_not(None), c.pid.is_not(None))
    _add_rule("state", c.state.in_(tuple(TrialState)))
    _add_rule("lease", running == c.lease_expires.is_not(None))
    _add_rule("renewed", running == c.lease_renewed.is_not(None))
    _add_rule("claimed", ~running | of_worker & (c.attempt > 0))
    _add_rule("result", with_result == c.n_epochs.is_not(None))
    _add_rule("best", sa.func.coalesce(c.best_epoch, 0) <= sa.func.coalesce(c.n_epochs, 0))
    _add_rule("repeat", (c.config_index < 0) == c.repeat_of.is_not(None))
    _add_rule("failed", (c.state != TrialState.FAILED) | c.error.is_not(None))


def _add_rule(name: str, rule: sa.ColumnElement[bool], table: sa.Table = trials) -> None:
    table.append_constraint(sa.CheckConstraint(rule, name=f"{table.name}_{name}"))


_add_rules()
