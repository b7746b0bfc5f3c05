"""Events that a worker reports while it works, for a display or a log."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    """The kind of an event."""

    CLAIMED = "claimed"
    """The worker claimed a trial, which resumes after `epoch` epochs."""
    COMPILED = "compiled"
    """The network of the trial is compiled; its next epoch begins."""
    EPOCH = "epoch"
    """An epoch was finished."""
    PAUSED = "paused"
    """A trial pauses at a rung of the study's halving, after `epoch` epochs."""
    FINISHED = "finished"
    """A trial is finished; `text` is ``"diverged"`` if it diverged."""
    FAILED = "failed"
    """A trial failed by a program error; `text` is its first line."""
    RELEASED = "released"
    """A trial was released, with its checkpoint, because the worker stops."""
    TROUBLE = "trouble"
    """A trial was released because of the machine's trouble, which is `text`."""
    OUTAGE = "outage"
    """The store is unavailable; `text` is its error. The trial is trained meanwhile."""
    RECONNECTED = "reconnected"
    """The store is available again, after `seconds`, which `text` says in words."""
    LOST = "lost"
    """A trial lost its lease to another worker."""
    RESTARTED = "restarted"
    """A trial restarts because its checkpoint could not be restored; `text` is the reason."""
    WAITING = "waiting"
    """No trial waits, but other workers' run: the worker waits for their end or expiry."""
    STOPPED = "stopped"
    """The worker has ended; `text` is the reason, empty if nothing was left to do."""
    REPLACED = "replaced"
    """The worker's process died and another replaces it; `text` says how it died."""


@dataclass(frozen=True, kw_only=True)
class WorkerEvent:
    """One event of one worker.

    Attributes
    ----------
    worker
        Name of the worker, as in the store.
    kind
        The kind of the event.
    study
        Name of the trial's study; empty if the event concerns no trial.
    config_index
        Configuration of the trial; None if the event concerns none.
    epoch, max_epochs
        Epochs of that trial finished so far, and the most that it has.
    valid_nll
        Validation NLL of its last epoch under the study's padding rule, in nats per step.
    best_valid_nll
        The lowest so far; infinite before there is one.
    seconds
        Wall time of its last epoch, or of the outage that has ended.
    text
        The details in words; often empty.
    """

    worker: str
    kind: EventKind
    study: str = ""
    config_index: int | None = None
    epoch: int = 0
    max_epochs: int = 0
    valid_nll: float = math.nan
    best_valid_nll: float = math.inf
    seconds: float = 0.0
    text: str = ""
