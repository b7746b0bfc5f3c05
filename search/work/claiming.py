"""Who trains what: trials are claimed, and taken up again where their worker fell silent.

A claim is one transaction, atomic on SQLite (BEGIN IMMEDIATE) and on PostgreSQL (row lock). It
counts up the trial's attempt, by which `fdrnn.search.work.lease` knows its writes from those of
earlier attempts. A lease that is not renewed expires by the database's clock, and whoever claims
next takes its trial up.
"""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fdrnn.search.store import tables
from fdrnn.search.store.database import Database, now_s, up_since_s
from fdrnn.search.store.tables import TrialState
from fdrnn.search.work.lease import NO_LEASE, WAITING_AGAIN, Lease

MOST_STALLS = 20
"""Attempts in a row without a later checkpoint after which a trial counts as failed."""


@dataclass(frozen=True)
class WorkerIdentity:
    """Who trains: shown beside its trials.

    Attributes
    ----------
    name
        Distinct among the workers of a store, for example ``"ada-3f2c-4711"``: the machine's name,
        which machine and container of that name it is, the process.
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
    return WorkerIdentity(f"{host}-{_place()}-{pid}", host, pid)


@cache
def _place() -> str:
    """Tell machines of one name apart, and containers, whose processes have the same numbers.

    A boot and a namespace of process numbers have an identifier each, where there are such.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return "0000"
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:4]


def this_worker() -> WorkerIdentity:
    """Return the identity of a worker in this process."""
    return worker_of(os.getpid())


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
    the database server has been up for its length, so that the living can renew theirs first.

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
    claimable = trials.c.state == TrialState.WAITING
    if take_expired:
        claimable |= _expired()
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
                state=TrialState.RUNNING,
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


def _expired() -> sa.ColumnElement[bool]:
    trials = tables.trials.c
    return (
        (trials.state == TrialState.RUNNING)
        & (trials.lease_expires < now_s())
        & (_settled_s() < now_s())
    )


def _settled_s() -> sa.ColumnElement[float]:
    # When a lease's holder has had one length of it to come back to a server that was away.
    trials = tables.trials.c
    return up_since_s() + trials.lease_expires - trials.lease_renewed


def _fail_stalled(connection: sa.Connection, row: sa.Row[Any]) -> None:
    last = f"; the last one: {row.trouble}" if row.trouble else ""
    connection.execute(
        tables.trials.update()
        .where(tables.trials.c.trial_id == row.trial_id)
        .values(
            state=TrialState.FAILED,
            finished_at=now_s(),
            error=f"{row.stalls} attempts in a row ended without a later checkpoint, the last by "
            f"worker {row.worker or 'unknown'}{last}; see why its process ends (memory?), then "
            "`fdrnn study retry`",
            **NO_LEASE,
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
    held = (columns.worker == worker) & (columns.state == TrialState.RUNNING)
    with database.write() as connection:
        connection.execute(tables.trials.update().where(held).values(lease_expires=0.0))


def requeue_expired(database: Database, study_id: int) -> int:
    """Let the trials whose leases have expired wait again; return how many.

    A worker needs no such help: it claims them as they are. Their former holders may write
    nothing more.
    """
    mine = tables.trials.c.study_id == study_id
    with database.write() as connection:
        return connection.execute(
            tables.trials.update().where(mine, _expired()).values(WAITING_AGAIN)
        ).rowcount


def seconds_to_expiry(database: Database, study_id: int) -> float | None:
    """Return the seconds until `claim` may find a trial; None if none waits or runs.

    It is 0 if one waits, though another worker may be claiming it just now, and negative if a
    lease has expired.
    """
    trials = tables.trials
    query = sa.select(
        trials.c.state, trials.c.lease_expires - now_s(), _settled_s() - now_s()
    ).where(
        trials.c.study_id == study_id,
        trials.c.state.in_((TrialState.WAITING, TrialState.RUNNING)),
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    left_s = [
        0.0 if state == TrialState.WAITING else max(expiry_s, settled_s)
        for state, expiry_s, settled_s in rows
    ]
    return min(left_s, default=None)
