"""Claims and leases: the sole right to train a trial, for as long as it is renewed.

A claim is one transaction, atomic on SQLite (BEGIN IMMEDIATE) and on PostgreSQL (row lock). It
counts up the trial's attempt; every later write names the attempt and is refused once another
worker has claimed the trial. A lease that is not renewed expires by the database's clock, and
whoever claims next takes its trial up.

Every write may be repeated: one that was committed without the writer's knowing, because the
connection broke just then, changes nothing the second time.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from fdrnn.model import EpochRecord, TrialResult
from fdrnn.search import tables
from fdrnn.search.database import Database, now_s, up_since_s
from fdrnn.search.errors import LeaseLostError

MOST_STALLS = 10
"""Attempts in a row without a later checkpoint after which a trial counts as failed."""


@dataclass(frozen=True)
class WorkerIdentity:
    """Who trains: shown beside its trials.

    Attributes
    ----------
    name
        Distinct among the workers of a store, for example ``"ada-4711"``.
    host
        Name of its machine.
    pid
        Its process there.
    """

    name: str
    host: str
    pid: int


def worker_of(pid: int) -> WorkerIdentity:
    """Return the identity of a worker in a process of this machine."""
    host = platform.node()
    return WorkerIdentity(f"{host}-{pid}", host, pid)


def this_worker() -> WorkerIdentity:
    """Return the identity of a worker in this process."""
    return worker_of(os.getpid())


@dataclass(frozen=True, eq=False)
class Lease:
    """A claimed trial and every write into it.

    Each write is one transaction, renews the lease and raises `LeaseLostError`, writing nothing,
    if another attempt has taken the trial over.

    Attributes
    ----------
    database
        The store's database.
    trial_id, config_index, seed
        The trial.
    hyperparameters
        Its values by name.
    attempt
        Number of this claim, from 1.
    epoch
        Epochs behind it at the claim: those of the checkpoint.
    checkpoint
        State of the trainer to go on from; None at the beginning.
    lease_s
        Seconds from a renewal to the expiry.
    """

    database: Database
    trial_id: int
    config_index: int
    seed: int
    hyperparameters: dict[str, Any]
    attempt: int
    epoch: int
    checkpoint: bytes | None
    lease_s: float

    @contextmanager
    def _fenced(self, **values: Any) -> Iterator[sa.Connection | None]:
        # Yields None where an earlier try has already brought the trial into the state asked for.
        renewed = {"lease_renewed": now_s(), "lease_expires": now_s() + self.lease_s}
        mine = (
            (tables.trials.c.trial_id == self.trial_id)
            & (tables.trials.c.attempt == self.attempt)
            & (tables.trials.c.state == tables.RUNNING)
        )
        with self.database.write() as connection:
            # First of all, so that the row stays locked until the commit.
            updated = connection.execute(
                tables.trials.update().where(mine).values(renewed | values)
            )
            if updated.rowcount == 1:
                yield connection
            elif self._has_come_to(connection, values.get("state")):
                yield None
            else:
                raise LeaseLostError(
                    f"trial {self.config_index}: attempt {self.attempt} has lost its lease; "
                    "another worker has taken the trial over"
                )

    def _has_come_to(self, connection: sa.Connection, state: str | None) -> bool:
        columns = tables.trials.c
        row = connection.execute(
            sa.select(columns.attempt, columns.state).where(columns.trial_id == self.trial_id)
        ).one_or_none()
        return row is not None and (row.attempt, row.state) == (self.attempt, state)

    def renew(self) -> None:
        """Put off the expiry to `lease_s` from now."""
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
            State after the last epoch written, this time or before; None leaves the old one.
        machine
            As for `finish`: what the checkpoint was computed on.
        """
        progress = {} if checkpoint is None else {"stalls": 0}
        with self._fenced(**progress) as connection:
            assert connection is not None
            epoch = tables.epochs.c.epoch
            last = sa.select(sa.func.max(epoch)).where(tables.epochs.c.trial_id == self.trial_id)
            written = connection.scalar(last) or 0
            new = [record for record in records if record.epoch > written]
            self._insert(connection, tables.epochs, map(_epoch, new))
            self._insert(connection, tables.measurements, _measured(new))
            if checkpoint is not None:
                self._note_machine(connection, machine)
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
        """Forget the trial's epochs, checkpoint and the machines that computed them."""
        with self._fenced(machine=None) as connection:
            assert connection is not None
            self._delete(connection, tables.epochs, tables.measurements, tables.checkpoints)

    def release(self) -> None:
        """Let the trial wait for another worker, because this one is told to stop."""
        # A stop that was asked for is none of the trial's doing.
        stalls = tables.trials.c.stalls
        with self._fenced(stalls=sa.case((stalls > 0, stalls - 1), else_=0), **_WAITING):
            pass

    def give_back(self, trouble: str) -> None:
        """Let the trial wait for another worker, because of trouble with this machine.

        Parameters
        ----------
        trouble
            One line for whoever asks why the trial took so long.
        """
        with self._fenced(trouble=trouble, **_WAITING):
            pass

    def finish(self, result: TrialResult, machine: str) -> None:
        """Write the result, its test sequences and best parameters; remove the checkpoint.

        Parameters
        ----------
        result
            The end of the training run.
        machine
            What `fdrnn.search.machine.describe_machine` says of the machine. The trial keeps a
            line for each that trained it.
        """
        with self._fenced(
            state=tables.FINISHED,
            finished_at=now_s(),
            diverged=result.diverged,
            n_epochs=result.n_epochs,
            best_epoch=result.best_epoch,
            valid_nll=result.valid_nll,
            valid_nll_counted=result.valid_nll_counted,
            valid_nll_masked=result.valid_nll_masked,
            stalls=0,
            **_NO_LEASE,
        ) as connection:
            if connection is None:
                return
            self._note_machine(connection, machine)
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

    def fail(self, error: str) -> None:
        """Record that the trial met a program error.

        Parameters
        ----------
        error
            Its traceback.
        """
        with self._fenced(state=tables.FAILED, finished_at=now_s(), error=error, **_NO_LEASE):
            pass

    def _note_machine(self, connection: sa.Connection, machine: str | None) -> None:
        trials = tables.trials
        mine = trials.c.trial_id == self.trial_id
        noted = connection.scalar(sa.select(trials.c.machine).where(mine))
        machines = noted.splitlines() if noted else []
        if machine is not None and machine not in machines:
            lines = "\n".join([*machines, machine])
            connection.execute(trials.update().where(mine).values(machine=lines))

    def _insert(
        self, connection: sa.Connection, table: sa.Table, rows: Iterable[dict[str, Any]]
    ) -> None:
        keyed = [{"trial_id": self.trial_id, **row} for row in rows]
        if keyed:
            connection.execute(table.insert(), keyed)

    def _delete(self, connection: sa.Connection, *where: sa.Table) -> None:
        for table in where:
            connection.execute(table.delete().where(table.c.trial_id == self.trial_id))


_NO_LEASE: dict[str, Any] = {"lease_renewed": None, "lease_expires": None}
_WAITING: dict[str, Any] = {
    "state": tables.WAITING,
    "worker": None,
    "host": None,
    "pid": None,
    **_NO_LEASE,
}


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


def claim(
    database: Database,
    study_id: int,
    worker: WorkerIdentity,
    lease_s: float,
    *,
    take_expired: bool = True,
) -> Lease | None:
    """Claim the first trial that waits or whose lease has expired.

    A trial that would be at its attempt number `MOST_STALLS` + 1 in a row without a later
    checkpoint is failed instead, and the next one is looked at. No lease counts as expired until
    the database server has been up for `lease_s`, so that the living can renew theirs first.

    Parameters
    ----------
    database
        The store's database.
    study_id
        The study.
    worker
        Who claims.
    lease_s
        Seconds until the lease expires unless it is renewed.
    take_expired
        False leaves expired leases alone: for a worker that could not reach the store itself.

    Returns
    -------
    Lease or None
        The lease; None if every trial is finished, failed or in the hands of another.
    """
    trials, checkpoints = tables.trials, tables.checkpoints
    claimable = trials.c.state == tables.WAITING
    if take_expired:
        claimable |= (
            (trials.c.state == tables.RUNNING)
            & (trials.c.lease_expires < now_s())
            & (up_since_s() + lease_s < now_s())
        )
    first = (
        sa.select(trials)
        .where(trials.c.study_id == study_id, claimable)
        .order_by(trials.c.config_index)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    with database.write() as connection:
        while True:
            row = connection.execute(first).one_or_none()
            if row is None:
                return None
            if row.stalls < MOST_STALLS:
                break
            _fail_stalled(connection, row)
        attempt = row.attempt + 1
        connection.execute(
            trials.update()
            .where(trials.c.trial_id == row.trial_id)
            .values(
                state=tables.RUNNING,
                attempt=attempt,
                stalls=row.stalls + 1,
                worker=worker.name,
                host=worker.host,
                pid=worker.pid,
                lease_renewed=now_s(),
                lease_expires=now_s() + lease_s,
                started_at=sa.func.coalesce(trials.c.started_at, now_s()),
            )
        )
        checkpoint = connection.execute(
            sa.select(checkpoints.c.epoch, checkpoints.c.state).where(
                checkpoints.c.trial_id == row.trial_id
            )
        ).one_or_none()
        epoch = checkpoint.epoch if checkpoint else 0
        # Epochs after the checkpoint are trained again and would otherwise stand twice.
        for table in (tables.epochs, tables.measurements):
            connection.execute(
                table.delete().where(table.c.trial_id == row.trial_id, table.c.epoch > epoch)
            )
    return Lease(
        database=database,
        trial_id=row.trial_id,
        config_index=row.config_index,
        seed=row.seed,
        hyperparameters=row.hyperparameters,
        attempt=attempt,
        epoch=epoch,
        checkpoint=checkpoint.state if checkpoint else None,
        lease_s=lease_s,
    )


def _fail_stalled(connection: sa.Connection, row: sa.Row[Any]) -> None:
    last = f"; the last one: {row.trouble}" if row.trouble else ""
    connection.execute(
        tables.trials.update()
        .where(tables.trials.c.trial_id == row.trial_id)
        .values(
            state=tables.FAILED,
            finished_at=now_s(),
            error=f"{row.stalls} attempts in a row ended without a later checkpoint, the last by "
            f"worker {row.worker or 'unknown'}{last}; see why its process ends (memory?), then "
            "`fdrnn study retry`",
            **_NO_LEASE,
        )
    )


def expire(database: Database, worker: str) -> None:
    """Let the leases of a worker whose process is known to have ended expire now.

    Parameters
    ----------
    database
        The store's database.
    worker
        Its name.
    """
    columns = tables.trials.c
    held = (columns.worker == worker) & (columns.state == tables.RUNNING)
    with database.write() as connection:
        connection.execute(tables.trials.update().where(held).values(lease_expires=0.0))


def seconds_to_expiry(database: Database, study_id: int, lease_s: float = 0.0) -> float | None:
    """Return the seconds until a lease of a study expires, None if no trial runs.

    Parameters
    ----------
    database
        The store's database.
    study_id
        The study.
    lease_s
        As for `claim`.

    Returns
    -------
    float or None
        Negative if one has expired.
    """
    trials = tables.trials
    running = (trials.c.study_id == study_id) & (trials.c.state == tables.RUNNING)
    query = sa.select(
        sa.func.min(trials.c.lease_expires) - now_s(), up_since_s() + lease_s - now_s()
    ).where(running)
    with database.read() as connection:
        expiry_s, server_s = connection.execute(query).one()
    return None if expiry_s is None else max(expiry_s, server_s)
