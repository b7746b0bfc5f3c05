"""Claims and leases: the sole right to train a trial, for as long as it is renewed.

A claim is one transaction, atomic on SQLite (BEGIN IMMEDIATE) and on PostgreSQL (row lock). It
counts up the trial's attempt; every later write names the attempt and is refused once another
worker has claimed the trial. A lease that is not renewed expires by the database's clock, and
whoever claims next takes its trial up.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Any

import numpy as np
import sqlalchemy as sa

from fdrnn.model import EpochRecord, TrialResult
from fdrnn.search import tables
from fdrnn.search.database import Database, now_s
from fdrnn.search.errors import LeaseLostError, StoreError

_log = logging.getLogger(__name__)

_RETRY_S = 1.0


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


def this_worker() -> WorkerIdentity:
    """Return the identity of a worker in this process."""
    host, pid = platform.node(), os.getpid()
    return WorkerIdentity(f"{host}-{pid}", host, pid)


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
    def _fenced(self, **values: Any) -> Iterator[sa.Connection]:
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
            if updated.rowcount != 1:
                raise LeaseLostError(
                    f"trial {self.config_index}: attempt {self.attempt} has lost its lease; "
                    "another worker has taken the trial over"
                )
            yield connection

    def renew(self) -> None:
        """Put off the expiry to `lease_s` from now."""
        with self._fenced():
            pass

    def write(self, records: Sequence[EpochRecord], checkpoint: bytes | None = None) -> None:
        """Add epochs, and replace the checkpoint by the state after the last of all epochs.

        Parameters
        ----------
        records
            Epochs that follow those already written.
        checkpoint
            State after the last epoch written, this time or before; None leaves the old one.
        """
        with self._fenced() as connection:
            self._insert(connection, tables.epochs, map(_epoch, records))
            self._insert(connection, tables.measurements, _measured(records))
            if checkpoint is not None:
                self._delete(connection, tables.checkpoints)
                last = sa.select(sa.func.max(tables.epochs.c.epoch)).where(
                    tables.epochs.c.trial_id == self.trial_id
                )
                connection.execute(
                    tables.checkpoints.insert().values(
                        trial_id=self.trial_id,
                        epoch=last.scalar_subquery(),
                        written_at=now_s(),
                        state=checkpoint,
                    )
                )

    def restart(self) -> None:
        """Forget the trial's epochs and checkpoint."""
        with self._fenced() as connection:
            self._delete(connection, tables.epochs, tables.measurements, tables.checkpoints)

    def release(self) -> None:
        """Let the trial wait for another worker."""
        with self._fenced(state=tables.WAITING, worker=None, host=None, pid=None, **_NO_LEASE):
            pass

    def finish(self, result: TrialResult, machine: str) -> None:
        """Write the result, its test sequences and best parameters; remove the checkpoint.

        Parameters
        ----------
        result
            The end of the training run.
        machine
            What `fdrnn.search.machine.describe_machine` says of the machine.
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
            machine=machine,
            **_NO_LEASE,
        ) as connection:
            self._delete(connection, tables.checkpoints)
            sequences = (
                {"sequence_index": index, "nll_sum": float(nll_sum), "n_steps": int(n_steps)}
                for index, (nll_sum, n_steps) in enumerate(
                    zip(result.test_nll_sums, result.test_steps, strict=True)
                )
            )
            arrays = ({"name": name, **_packed(array)} for name, array in result.parameters.items())
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

    def _insert(
        self, connection: sa.Connection, table: sa.Table, rows: Iterable[dict[str, Any]]
    ) -> None:
        keyed = [{"trial_id": self.trial_id, **row} for row in rows]
        if keyed:
            connection.execute(table.insert(), keyed)

    def _delete(self, connection: sa.Connection, *where: sa.Table) -> None:
        for table in where:
            connection.execute(table.delete().where(table.c.trial_id == self.trial_id))


_NO_LEASE: dict[str, None] = {"lease_renewed": None, "lease_expires": None}


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


def _packed(array: np.ndarray[Any, np.dtype[Any]]) -> dict[str, Any]:
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": array.tobytes()}


def claim(
    database: Database, study_id: int, worker: WorkerIdentity, lease_s: float
) -> Lease | None:
    """Claim the first trial that waits or whose lease has expired.

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

    Returns
    -------
    Lease or None
        The lease; None if every trial is finished, failed or in the hands of another.
    """
    trials, checkpoints = tables.trials, tables.checkpoints
    claimable = (trials.c.state == tables.WAITING) | (
        (trials.c.state == tables.RUNNING) & (trials.c.lease_expires < now_s())
    )
    first = (
        sa.select(trials)
        .where(trials.c.study_id == study_id, claimable)
        .order_by(trials.c.config_index)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    with database.write() as connection:
        row = connection.execute(first).one_or_none()
        if row is None:
            return None
        attempt = row.attempt + 1
        connection.execute(
            trials.update()
            .where(trials.c.trial_id == row.trial_id)
            .values(
                state=tables.RUNNING,
                attempt=attempt,
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


def seconds_to_expiry(database: Database, study_id: int) -> float | None:
    """Return the seconds until the first lease of a study expires, None if no trial runs.

    It is negative if one has expired.
    """
    trials = tables.trials
    query = sa.select(sa.func.min(trials.c.lease_expires) - now_s()).where(
        trials.c.study_id == study_id, trials.c.state == tables.RUNNING
    )
    with database.read() as connection:
        return connection.scalar(query)


class LeaseKeeper:
    """A thread that renews a lease from its start to its end, as a context manager.

    An error of the store does not end it: it tries again until the lease is known to be lost.

    Parameters
    ----------
    lease
        The lease; it is renewed every third of `Lease.lease_s`.

    Examples
    --------
    ::

        with LeaseKeeper(lease) as keeper:
            while not keeper.lost and not trainer.finished:
                trainer.run_epoch(lambda: keeper.lost)
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease keeper", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether another worker is known to have taken the trial over."""
        return self._lost.is_set()

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        pause_s = interval_s = self._lease.lease_s / 3
        while not self._ended.wait(pause_s):
            try:
                self._lease.renew()
                pause_s = interval_s
            except StoreError as error:
                _log.warning("trial %d: lease not renewed: %s", self._lease.config_index, error)
                pause_s = min(_RETRY_S, interval_s)
            except LeaseLostError:
                self._lost.set()
                return
