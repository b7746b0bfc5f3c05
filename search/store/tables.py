"""The tables of a store; Optuna keeps its own in the same database.

These tables are the authority for claims, states and results; Optuna's are a mirror for the
dashboard. Times are seconds since 1970 by the database's clock.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from fdrnn.datasets.errors import shown

SCHEMA_VERSION = 3
"""The version of these tables; a store of another version is refused."""


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


class Number(sa.types.TypeDecorator[float]):
    """A float64 for which NaN is stored as NULL, since SQLite has no NaN; infinities stay."""

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: sa.Dialect) -> float | None:
        """Return what is written: NULL for NaN."""
        return None if value is None or math.isnan(value) else float(value)

    def process_result_value(self, value: float | None, dialect: sa.Dialect) -> float:
        """Return what is read: NaN for NULL."""
        return math.nan if value is None else value


class Object(sa.types.TypeDecorator[dict[str, Any]]):
    """A JSON object; reading another value is an error."""

    impl = sa.JSON
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> dict[str, Any] | None:
        """Return the object that is read."""
        if not isinstance(value, dict):
            raise ValueError(f"a JSON object is expected, got {shown(value)}")  # noqa: TRY004
        return value


metadata = sa.MetaData()

_STATE = sa.Enum(
    TrialState,
    native_enum=False,
    length=10,
    values_callable=lambda states: [state.value for state in states],
)


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
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("code_version", sa.String(100), nullable=False),
)

trials = sa.Table(
    "fdrnn_trials",
    metadata,
    sa.Column("trial_id", sa.Integer, primary_key=True),
    sa.Column(
        "study_id", sa.ForeignKey("fdrnn_studies.study_id", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("config_index", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("hyperparameters", Object, nullable=False),
    sa.Column("state", _STATE, nullable=False, default=TrialState.WAITING),
    # Incremented by every claim; a write of an earlier attempt is refused.
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    # Attempts in a row that ended without a later checkpoint, the running one included.
    sa.Column("stalls", sa.Integer, nullable=False, default=0, server_default="0"),
    # The machine's trouble that ended an attempt last.
    sa.Column("trouble", sa.Text),
    sa.Column("worker", sa.String(255)),
    sa.Column("host", sa.String(255)),
    sa.Column("pid", sa.Integer),
    sa.Column("lease_renewed", sa.Double),
    sa.Column("lease_expires", sa.Double),
    sa.Column("started_at", sa.Double),
    sa.Column("finished_at", sa.Double),
    sa.Column("diverged", sa.Boolean),
    sa.Column("n_epochs", sa.Integer),
    sa.Column("best_epoch", sa.Integer),
    sa.Column("valid_nll", Number),
    sa.Column("valid_nll_counted", Number),
    sa.Column("valid_nll_masked", Number),
    # A line per kind of machine that trained it; with several the last bits may differ.
    sa.Column("machine", sa.Text),
    sa.Column("error", sa.Text),
    # Rungs of the study's halving that the trial has passed.
    sa.Column("rung", sa.Integer, nullable=False, default=0, server_default="0"),
    # Trials are compared at a rung with those that were drawn with them.
    sa.Column("cohort", sa.Integer, nullable=False, default=0, server_default="0"),
    # Of a repeat the configuration that it trains with another seed; its own index is negative.
    sa.Column("repeat_of", sa.Integer),
    sa.UniqueConstraint("study_id", "config_index"),
)

epochs = sa.Table(
    "fdrnn_epochs",
    metadata,
    _trial_key(),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
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
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("value", Number),
)

test_sequences = sa.Table(
    "fdrnn_test_sequences",
    metadata,
    _trial_key(),
    sa.Column("sequence_index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("nll_sum", Number),
    sa.Column("n_steps", sa.Integer, nullable=False),
)


def _array_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("dtype", sa.String(20), nullable=False),
        sa.Column("shape", sa.JSON, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    ]


def packed(array: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the columns dtype, shape and data of an array."""
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": array.tobytes()}


def unpacked(row: Any) -> npt.NDArray[Any]:
    """Return the array of a row with the columns of `packed`."""
    return np.frombuffer(row.data, row.dtype).reshape(row.shape).copy()


parameters = sa.Table("fdrnn_parameters", metadata, _trial_key(), *_array_columns())

# Samples of a finished trial's model: excerpt, predictions, sample, and their origin.
samples = sa.Table(
    "fdrnn_samples", metadata, _trial_key(), *_array_columns(), sa.Column("about", sa.JSON)
)

checkpoints = sa.Table(
    "fdrnn_checkpoints",
    metadata,
    _trial_key(),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("written_at", sa.Double, nullable=False),
    sa.Column("state", sa.LargeBinary, nullable=False),
)
