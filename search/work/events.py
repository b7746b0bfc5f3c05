"""What a worker tells of itself while it works, for a display or a log."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    """What has happened."""

    CLAIMED = "claimed"
    """A trial was begun, or is gone on with: `epoch` epochs are behind it."""
    EPOCH = "epoch"
    """An epoch was finished."""
    FINISHED = "finished"
    """A trial is finished; `text` is ``"diverged"`` if it diverged."""
    FAILED = "failed"
    """A trial met a program error; `text` is its first line."""
    RELEASED = "released"
    """A trial was put back, with its checkpoint, because the worker stops."""
    TROUBLE = "trouble"
    """A trial was put back because of the machine's trouble; `text` says which."""
    AWAY = "away"
    """The store cannot be used now; `text` is its error. A trial under way goes on."""
    BACK = "back"
    """The store answers again; `text` says after how long, `seconds` likewise."""
    LOST = "lost"
    """A trial's lease was taken over by another worker."""
    RESTARTED = "restarted"
    """A trial begins anew because its checkpoint could not be restored; `text` says why."""
    WAITING = "waiting"
    """Nothing waits, but trials of others run: their end or expiry is waited for."""
    STOPPED = "stopped"
    """The worker has ended; `text` says why, if not because nothing was left to do."""
    REPLACED = "replaced"
    """The worker's process died and another takes its place; `text` says how it died."""


@dataclass(frozen=True, kw_only=True)
class WorkerEvent:
    """One event of one worker.

    Attributes
    ----------
    worker
        Name of the worker, as in the store.
    kind
        What has happened.
    study
        Name of the study of the trial concerned, where the worker has several; empty otherwise.
    config_index
        Configuration index of the trial concerned, None if it concerns none.
    epoch
        Epochs of that trial finished so far.
    valid_nll
        Validation NLL of its last epoch under the study's padding rule, in nats per step.
    best_valid_nll
        Lowest so far; infinite before there is one.
    seconds
        Wall time of its last epoch, or of the outage that has ended.
    text
        More, in words; often empty.
    """

    worker: str
    kind: EventKind
    study: str = ""
    config_index: int | None = None
    epoch: int = 0
    valid_nll: float = math.nan
    best_valid_nll: float = math.inf
    seconds: float = 0.0
    text: str = ""
