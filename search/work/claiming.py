"""Claims: which worker trains which trial, and what happens when a lease expires.

A claim is one transaction, atomic on SQLite (BEGIN IMMEDIATE) and on PostgreSQL (row lock). It
increments the trial's attempt, by which `fdrnn.search.work.lease` refuses the writes of earlier
attempts. A lease that is not renewed expires by the database's clock; the next claim takes the
trial, or `requeue_expired` makes it wait again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database, now_s, up_since_s
from fdrnn.search.store.progress import selected_index
from fdrnn.search.store.tables import NO_LEASE, WAITING_AGAIN, TrialState
from fdrnn.search.work.decisions import settle
from fdrnn.search.work.lease import Lease

MOST_STALLS = 20
"""Attempts in a row without a later checkpoint after which a trial fails."""

_TRIALS = tables.trials.c


@dataclass(frozen=True)
class WorkerIdentity:
    """The identity of a worker, as its trials show it.

    Attributes
    ----------
    name
        Distinct among the workers of a store, for example ``"ada-3f2c-4711"``: the machine's name,
        a digest of machine and container, the process.
    host
        The name of the machine.
    pid
        The process there.
    """

    name: str
    host: str
    pid: int


def worker_of(pid: int) -> WorkerIdentity:
    """Return the identity of a worker in a process of this machine."""
    host = platform.node()
    return WorkerIdentity(f"{host}-{_machine_digest()}-{pid}", host, pid)


@cache
def _machine_digest() -> str:
    """Return a digest that differs between machines of one name, and between containers.

    A boot and a namespace of process numbers have an identifier each, on Linux.
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
    created_at: datetime | None = None,
    claim_expired: bool = True,
) -> Lease | None:
    """Claim the first trial that waits or whose lease has expired, a repeat after all draws.

    Of several, one with fewer attempts in a row without a later checkpoint comes first.
    A trial that would begin attempt number `MOST_STALLS` + 1 in a row without a later checkpoint
    fails instead, and the next one is checked. Where no trial can be claimed, the decision that is
    due is taken (`fdrnn.search.work.decisions`), after which one may wait. No lease counts as
    expired where this transaction had to wait for the store, nor until the database server has
    been up for the lease's length, so that live workers can renew theirs first.

    Parameters
    ----------
    database
        The store's database.
    study_id
        The study.
    worker
        The worker that claims.
    lease_s
        Seconds until the lease expires unless it is renewed.
    created_at
        When the study was created, as `Study` has it: nothing is claimed from another one that
        has the key of a deleted study. None for whichever has the key.
    claim_expired
        False ignores expired leases: for a worker that could not reach the store itself.

    Returns
    -------
    Lease or None
        The lease; None if every trial is finished, failed or another worker's.
    """
    while True:
        asked_at = time.monotonic()
        with database.write() as connection:
            if not _is_the_study(connection, study_id, created_at):
                return None
            # Whatever this transaction had to wait for, live workers had to wait for, too.
            waited = time.monotonic() - asked_at > lease_s / 4
            first = _first_claimable(study_id, claim_expired=claim_expired and not waited)
            while (row := connection.execute(first).one_or_none()) is None:
                if not settle(connection, study_id):
                    return None
            if row.stalls < MOST_STALLS:
                return _begin_attempt(database, connection, row, worker, lease_s)
            # Committed before the next decision: what locks both locks the study first.
            _fail_stalled(connection, row)


def _first_claimable(study_id: int, *, claim_expired: bool) -> sa.Select[Any]:
    claimable = _TRIALS.state == TrialState.WAITING
    if claim_expired:
        claimable |= _expired()
    return (
        sa.select(tables.trials)
        .where(_TRIALS.study_id == study_id, claimable, _is_wanted(study_id))
        # A trial that kills its workers last, so that it does not hold up the others.
        .order_by(_TRIALS.stalls, sa.func.abs(_TRIALS.config_index))
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _is_wanted(study_id: int) -> sa.ColumnElement[bool]:
    """Return the condition of a draw, or once all have ended a repeat of the selected one.

    Until then those of an extended study may select another configuration.
    """
    draws = tables.trials.alias().c
    unended = [state for state in TrialState if not state.ended]
    is_left = sa.exists().where(
        draws.study_id == study_id, draws.repeat_of.is_(None), draws.state.in_(unended)
    )
    return _TRIALS.repeat_of.is_(None) | (
        (_TRIALS.repeat_of == selected_index(study_id)) & ~is_left
    )


def _begin_attempt(
    database: Database,
    connection: sa.Connection,
    row: sa.Row[Any],
    worker: WorkerIdentity,
    lease_s: float,
) -> Lease:
    attempt, checkpoints = row.attempt + 1, tables.checkpoints
    connection.execute(
        tables.trials.update()
        .where(_TRIALS.trial_id == row.trial_id)
        .values(
            state=TrialState.RUNNING,
            attempt=attempt,
            stalls=row.stalls + 1,
            worker=worker.name,
            host=worker.host,
            pid=worker.pid,
            lease_renewed=now_s(),
            lease_expires=now_s() + lease_s,
            started_at=sa.func.coalesce(_TRIALS.started_at, now_s()),
        )
    )
    checkpoint = connection.execute(
        sa.select(checkpoints.c.epoch, checkpoints.c.state).where(
            checkpoints.c.trial_id == row.trial_id
        )
    ).one_or_none()
    definition = connection.execute(
        sa.select(tables.studies.c.definition).where(tables.studies.c.study_id == row.study_id)
    ).scalar_one()
    epoch = checkpoint.epoch if checkpoint else 0
    # Epochs after the checkpoint are trained again and would be stored twice.
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
        worker=worker.name,
        attempt=attempt,
        definition=StudyDefinition.from_mapping(definition),
        rung=row.rung,
        epoch=epoch,
        checkpoint=checkpoint.state if checkpoint else None,
        lease_s=lease_s,
    )


def _is_the_study(connection: sa.Connection, study_id: int, created_at: datetime | None) -> bool:
    if created_at is None:
        return True
    created = tables.studies.c.created_at
    stored = connection.scalar(sa.select(created).where(tables.studies.c.study_id == study_id))
    return stored is not None and datetime.fromtimestamp(stored, UTC) == created_at


def _expired() -> sa.ColumnElement[bool]:
    running = _TRIALS.state == TrialState.RUNNING
    return running & (_TRIALS.lease_expires < now_s()) & (_settled_s() < now_s())


def _settled_s() -> sa.ColumnElement[float]:
    # When the worker has had one length of its lease to reconnect to a restarted server.
    return up_since_s() + _TRIALS.lease_expires - _TRIALS.lease_renewed


def _fail_stalled(connection: sa.Connection, row: sa.Row[Any]) -> None:
    last = f"; the last one: {row.trouble}" if row.trouble else ""
    connection.execute(
        tables.trials.update()
        .where(_TRIALS.trial_id == row.trial_id)
        .values(
            state=TrialState.FAILED,
            finished_at=now_s(),
            error=f"{row.stalls} attempts in a row ended without a later checkpoint, the last by "
            f"worker {row.worker or 'unknown'}{last}; find out why its process ends (memory?), "
            "then `fdrnn study retry`",
            **NO_LEASE,
        )
    )


def expire(database: Database, worker: str) -> None:
    """Let the leases of a worker expire now, because its process is known to have ended.

    Parameters
    ----------
    database
        The store's database.
    worker
        The name of the worker.
    """
    running = (_TRIALS.worker == worker) & (_TRIALS.state == TrialState.RUNNING)
    with database.write() as connection:
        connection.execute(tables.trials.update().where(running).values(lease_expires=0.0))


def requeue_expired(database: Database, study_id: int) -> int:
    """Make the trials of a study whose leases have expired wait again, and return how many.

    Workers do not need it: they claim such trials directly. The workers that had the leases can
    write nothing more.
    """
    ours = _TRIALS.study_id == study_id
    with database.write() as connection:
        return connection.execute(
            tables.trials.update().where(ours, _expired()).values(WAITING_AGAIN)
        ).rowcount


def seconds_to_claim(
    database: Database, study_id: int, created_at: datetime | None = None
) -> float | None:
    """Return the seconds until `claim` may find a trial; None if none waits, pauses or runs.

    It is 0 if one waits, though another worker may be claiming it just now, or if the trials that
    pause wait for no other, and negative if a lease has expired.
    """
    left = (TrialState.WAITING, TrialState.PAUSED, TrialState.RUNNING)
    query = sa.select(_TRIALS.state, _TRIALS.lease_expires - now_s(), _settled_s() - now_s()).where(
        _TRIALS.study_id == study_id, _TRIALS.state.in_(left), _is_wanted(study_id)
    )
    with database.read() as connection:
        there = _is_the_study(connection, study_id, created_at)
        rows = connection.execute(query).all() if there else []
    left_s = [
        0.0 if state == TrialState.WAITING else max(expiry_s, settled_s)
        for state, expiry_s, settled_s in rows
        if state != TrialState.PAUSED
    ]
    return min(left_s, default=0.0 if rows else None)
