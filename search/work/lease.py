"""A lease: the sole right to train a trial, and every write into it.

A write names the attempt that the claim counted, and the worker, and is refused once another worker
has claimed the trial. So is one into a deleted study, whose keys a later one may have. Every write
may be repeated: one that was committed although the connection broke before the answer changes
nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from fdrnn.model import EpochRecord, TrialResult
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.errors import LeaseLostError
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database, now_s
from fdrnn.search.store.extension import NO_RESULT, RESULT, is_continued
from fdrnn.search.store.tables import NO_LEASE, WAITING_AGAIN, TrialState


@dataclass(frozen=True, eq=False)
class Lease:
    """A claimed trial and every write into it.

    Each write is one transaction and renews the lease. If another worker has claimed the trial,
    it raises `LeaseLostError` and writes nothing.

    Attributes
    ----------
    database
        The store's database.
    trial_id, config_index, seed
        The trial.
    hyperparameters
        The drawn values by name.
    worker
        The name of the worker that claimed it.
    attempt
        The number of this claim, from 1.
    definition
        The study's definition at the claim.
    rung
        Rungs of the study's halving that the trial has passed.
    epoch
        The epoch of the checkpoint, 0 without one.
    checkpoint
        The trainer's state to resume from; None at the beginning.
    lease_s
        Seconds from a renewal to the expiry.
    """

    database: Database
    trial_id: int
    config_index: int
    seed: int
    hyperparameters: dict[str, Any]
    worker: str
    attempt: int
    definition: StudyDefinition
    rung: int
    epoch: int
    checkpoint: bytes | None
    lease_s: float

    @property
    def _trial(self) -> sa.ColumnElement[bool]:
        return tables.trials.c.trial_id == self.trial_id

    @contextmanager
    def _fenced(self, *, lock_study: bool = False, **values: Any) -> Iterator[sa.Connection | None]:
        # Yields None where an earlier try has already brought the trial into the new state.
        renewed = {"lease_renewed": now_s(), "lease_expires": now_s() + self.lease_s}
        trial = tables.trials.c
        claimed = (trial.attempt == self.attempt) & (trial.worker == self.worker)
        held = self._trial & claimed & (trial.state == TrialState.RUNNING)
        with self.database.write() as connection:
            if lock_study:
                # Before the trial, as a deletion does, or each may wait for the other.
                study = sa.select(tables.studies.c.study_id).join(tables.trials).where(self._trial)
                connection.execute(study.with_for_update(read=True, of=tables.studies))
            # Before all else in the trial, so that its row stays locked until the commit.
            updated = connection.execute(
                tables.trials.update().where(held).values(renewed | values)
            )
            if updated.rowcount == 1:
                yield connection
            elif self._is_already(connection, values.get("state")):
                yield None
            else:
                raise LeaseLostError(
                    f"trial {self.config_index}: attempt {self.attempt} has lost its lease to "
                    "another worker"
                )

    def _is_already(self, connection: sa.Connection, state: TrialState | None) -> bool:
        columns = tables.trials.c
        row = connection.execute(
            sa.select(columns.attempt, columns.state).where(self._trial)
        ).one_or_none()
        return row is not None and (row.attempt, row.state) == (self.attempt, state)

    def renew(self) -> None:
        """Move the expiry to `lease_s` from now."""
        with self._fenced():
            pass

    def write(
        self,
        records: Sequence[EpochRecord],
        checkpoint: bytes | None = None,
        machine: str | None = None,
    ) -> None:
        """Add epochs, and replace the checkpoint by the state after the last of all epochs.

        Parameters
        ----------
        records
            Epochs that follow those of the checkpoint at the claim; those already written are
            left as they are.
        checkpoint
            State after the last epoch written, now or before; None keeps the old one.
        machine
            The machine that computed the checkpoint, as `describe_machine` returns it.
        """
        progress: dict[str, Any] = {} if checkpoint is None else {"stalls": 0}
        with self._fenced(**progress) as connection:
            assert connection is not None
            epoch = tables.epochs.c.epoch
            last = sa.select(sa.func.max(epoch)).where(tables.epochs.c.trial_id == self.trial_id)
            written = connection.scalar(last) or 0
            new = [record for record in records if record.epoch > written]
            self._insert(connection, tables.epochs, map(_epoch, new))
            self._insert(connection, tables.measurements, _measured(new))
            if checkpoint is not None:
                self._add_machine(connection, machine)
                self._delete(connection, tables.checkpoints)
                connection.execute(
                    tables.checkpoints.insert().values(
                        trial_id=self.trial_id,
                        epoch=last.scalar_subquery(),
                        written_at=now_s(),
                        state=checkpoint,
                    )
                )

    def restart(self) -> None:
        """Delete the trial's epochs, checkpoint and the machines that computed them."""
        with self._fenced(machine=None) as connection:
            assert connection is not None
            self._delete(connection, tables.epochs, tables.measurements, tables.checkpoints)

    def release(self, trouble: str | None = None) -> None:
        """Make the trial wait for another worker.

        Parameters
        ----------
        trouble
            The machine's trouble that ended the attempt, one line for whoever asks why the trial
            took so long; None where the worker was stopped, which is not counted against the
            trial.
        """
        stalls = tables.trials.c.stalls
        stopped = {"stalls": sa.case((stalls > 0, stalls - 1), else_=0)}
        values = stopped if trouble is None else {"trouble": _storable(trouble)}
        with self._fenced(**values, **WAITING_AGAIN):
            pass

    def pause(self) -> None:
        """Make the trial pause at its rung, where its checkpoint has been written."""
        with self._fenced(stalls=0, **(WAITING_AGAIN | {"state": TrialState.PAUSED})):
            pass

    def finish(self, result: TrialResult, machine: str) -> None:
        """Write the result, its test sequences and best parameters.

        The last checkpoint stays, unless the run diverged: more epochs extend the study from it.

        Parameters
        ----------
        result
            The end of the training run.
        machine
            The machine, as `fdrnn.search.machine.describe_machine` returns it. The trial keeps a
            line for each that trained it.
        """
        with self._fenced(
            # An extension that commits before this would miss the trial's end.
            lock_study=True,
            state=TrialState.FINISHED,
            finished_at=now_s(),
            stalls=0,
            **{name: getattr(result, name) for name in RESULT},
            **NO_LEASE,
        ) as connection:
            if connection is None:
                return
            self._add_machine(connection, machine)
            if self._is_extended(connection, result):
                released = WAITING_AGAIN | NO_RESULT
                connection.execute(tables.trials.update().where(self._trial).values(released))
                return
            if result.diverged:
                self._delete(connection, tables.checkpoints)
            sequences = (
                {"sequence_index": index, "nll_sum": float(nll_sum), "n_steps": int(n_steps)}
                for index, (nll_sum, n_steps) in enumerate(
                    zip(result.test_nll_sums, result.test_steps, strict=True)
                )
            )
            arrays = (
                {"name": name, **tables.packed(array)} for name, array in result.parameters.items()
            )
            self._insert(connection, tables.test_sequences, sequences)
            self._insert(connection, tables.parameters, arrays)

    def _is_extended(self, connection: sa.Connection, result: TrialResult) -> bool:
        # A study may be extended while its trials run under the definition of their claim.
        study = sa.select(tables.studies.c.definition).join(tables.trials).where(self._trial)
        now = StudyDefinition.from_mapping(connection.execute(study).scalar_one())
        return is_continued(result, self.hyperparameters, self.definition, now)

    def fail(self, error: str) -> None:
        """Record the traceback of a program error and fail the trial."""
        with self._fenced(
            state=TrialState.FAILED, finished_at=now_s(), error=_storable(error), **NO_LEASE
        ):
            pass

    def _add_machine(self, connection: sa.Connection, machine: str | None) -> None:
        trials = tables.trials
        noted = connection.scalar(sa.select(trials.c.machine).where(self._trial))
        machines = noted.splitlines() if noted else []
        if machine is not None and machine not in machines:
            lines = "\n".join([*machines, machine])
            connection.execute(trials.update().where(self._trial).values(machine=lines))

    def _insert(
        self, connection: sa.Connection, table: sa.Table, rows: Iterable[dict[str, Any]]
    ) -> None:
        keyed = [{"trial_id": self.trial_id, **row} for row in rows]
        if keyed:
            connection.execute(table.insert(), keyed)

    def _delete(self, connection: sa.Connection, *where: sa.Table) -> None:
        for table in where:
            connection.execute(table.delete().where(table.c.trial_id == self.trial_id))


def _storable(text: str) -> str:
    """Return a text with escapes for what no database stores: NUL, half a surrogate pair."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _epoch(record: EpochRecord) -> dict[str, Any]:
    return {
        field.name: getattr(record, field.name)
        for field in fields(record)
        if field.name in tables.epochs.c
    }


def _measured(records: Sequence[EpochRecord]) -> Iterator[dict[str, Any]]:
    for record in records:
        for name, value in record.measurements.items():
            yield {"epoch": record.epoch, "name": name, "value": value}
