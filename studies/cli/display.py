"""What a display of training knows: the progress of studies, and what each worker did last.

`LiveDisplay` shows it on a terminal, `LogDisplay` elsewhere. Both write to the standard error, so
that the standard output holds the table alone.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Protocol

from rich.console import Console

from fdrnn.search import EventKind, StoreError, StudyProgress, WorkerEvent, total_progress
from fdrnn.studies.cli.status_view import summary_line
from fdrnn.studies.cli.units import duration

STOPPING = (
    "stopping: each worker ends its minibatch, or its compilation, and releases its trial; "
    "Ctrl-C again kills them"
)
STARTING = "starting workers"

_READ_INTERVAL_S = 1.0


@dataclass(frozen=True)
class StudyGroup:
    """A study that is trained, or the studies of a comparison, which are shown as one.

    Attributes
    ----------
    title
        The name of the study or comparison.
    studies
        The names of its studies in the store.
    read
        Reads their progress.
    """

    title: str
    studies: tuple[str, ...]
    read: Callable[[], Sequence[StudyProgress]]

    def total(self, studies: Sequence[StudyProgress]) -> StudyProgress:
        """Return the progress of the whole, of what `read` has returned."""
        return studies[0] if len(studies) == 1 else total_progress(self.title, studies)


OnComplete = Callable[[StudyGroup], None]
"""Is called when a study, or a whole comparison, is seen to be complete."""


class Display(AbstractContextManager["Display"], Protocol):
    """Shows events between its entry and its exit."""

    def show(self, event: WorkerEvent) -> None:
        """Show an event."""

    def stopping(self) -> None:
        """Show that a stop was requested and what it waits for."""


def describe(event: WorkerEvent, *, several: bool = False) -> str:
    """Return an event in words.

    Parameters
    ----------
    event
        The event.
    several
        Whether several studies are trained, so that a trial is called by its study, too.

    Returns
    -------
    str
        For example ``"trial 3: epoch 17 of at most 300, validation NLL 8.610 (best 8.524), 0.81
        s/epoch"``.
    """
    trial = trial_name(event, several=several)
    match event.kind:
        case EventKind.CLAIMED:
            return f"{trial} {f'resumes after epoch {event.epoch}' if event.epoch else 'starts'}"
        case EventKind.EPOCH:
            return (
                f"{trial}: epoch {event.epoch} of at most {event.max_epochs}, validation NLL "
                f"{nll_text(event.valid_nll)} (best {nll_text(event.best_valid_nll)}), "
                f"{event.seconds:.2f} s/epoch"
            )
        case EventKind.FINISHED:
            outcome = "diverged" if event.text else "finished"
            return (
                f"{trial} {outcome} after epoch {event.epoch}, best validation NLL "
                f"{nll_text(event.best_valid_nll)}"
            )
    detail = f": {event.text}" if event.text else ""
    return _TEXTS[event.kind].format(trial=trial, epoch=event.epoch) + detail


_TEXTS = {
    EventKind.COMPILED: "{trial} is compiled",
    EventKind.PAUSED: "{trial} paused at a rung after epoch {epoch}",
    EventKind.FAILED: "{trial} failed",
    EventKind.RELEASED: "{trial} released after epoch {epoch}",
    EventKind.TROUBLE: "{trial} released because of trouble with this machine",
    EventKind.OUTAGE: "the store is unavailable; a running trial continues, its epochs are kept",
    EventKind.RECONNECTED: "reconnected to the store",
    EventKind.LOST: "{trial} lost its lease to another worker",
    EventKind.RESTARTED: "{trial} starts over",
    EventKind.WAITING: "waiting for trials of other workers",
    EventKind.STOPPED: "stopped",
    EventKind.REPLACED: "died; another worker replaces it",
}


def trial_name(event: WorkerEvent, *, several: bool) -> str:
    """Return the name of the trial of an event, with its study where there are several."""
    index = event.config_index
    which = f"repeat {-index}" if index is not None and index < 0 else f"trial {index}"
    return f"{event.study} {which}" if several else which


def nll_text(value: float) -> str:
    """Return an NLL as text, a dash if it is not finite."""
    return f"{value:.3f}" if math.isfinite(value) else "-"


def outlook(studies: Sequence[StudyProgress]) -> str:
    """Return the lowest validation NLL so far and the time left, as far as they are known.

    Parameters
    ----------
    studies
        The progress of a study, or of those of a comparison.

    Returns
    -------
    str
        For example ``"best NLL 8.524 (trial 3), 12 min left"``.
    """
    parts = []
    selected = [(study.selected, study.study) for study in studies if study.selected is not None]
    if selected:
        best, name = min(selected, key=lambda pair: pair[0].valid_nll)
        of = f"{name} " if len(studies) > 1 else ""
        parts.append(f"best NLL {best.valid_nll:.3f} ({of}trial {best.config_index})")
    times = [study.time_left for study in studies if not study.complete]
    known = [left for left in times if left is not None]
    n_workers = sum(left.n_workers for left in known)
    if known and n_workers and len(known) == len(times):
        alone = known[0].seconds if len(known) == 1 else None
        seconds = sum(left.worker_seconds for left in known) / n_workers if alone is None else alone
        bound = "" if all(left.n_finished for left in known) else "at most "
        parts.append(f"{bound}{duration(seconds)} left")
    return ", ".join(parts)


@dataclass
class Worker:
    """What a worker did last, and since when."""

    name: str
    event: WorkerEvent
    since: float


@dataclass(frozen=True)
class Standing:
    """The sums over the trials of a study or comparison, and its outlook."""

    progress: StudyProgress
    outlook: str

    @property
    def line(self) -> str:
        """Both in one line."""
        return "; ".join(filter(None, (summary_line(self.progress), self.outlook)))


class StudiesDisplay(Display):
    """What both displays know: the workers, numbered by their first events, and the studies.

    A thread reads the studies, because a store may take long to answer, or not answer at all.

    Parameters
    ----------
    console
        Where they are shown.
    groups
        What is trained, at least one; read at most once a second, by another thread.
    first_run
        Whether no network has been compiled on this machine before.
    on_complete
        Called once with each that becomes complete while it is shown.
    now_s
        The clock.

    Attributes
    ----------
    read_share
        Of its time the thread that reads spends at most this share with reading.
    """

    read_share: ClassVar[float] = 0.1

    def __init__(
        self,
        console: Console,
        groups: Sequence[StudyGroup],
        *,
        first_run: bool = False,
        on_complete: OnComplete = lambda group: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._groups = groups
        self._title_of = {study: group.title for group in groups for study in group.studies}
        self._standings: dict[str, Standing] = {}
        self._trouble = ""
        self._first_run = first_run
        self._on_complete = on_complete
        self._now_s = now_s
        self._names: dict[str, str] = {}
        self._workers: dict[str, Worker] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        self._started_at = now_s()

    def tick(self) -> None:
        """Read the studies that are not complete, and show what has changed."""
        for group in self._groups:
            if group.title in self._standings and self._standings[group.title].progress.complete:
                continue
            try:
                studies = group.read()
            except StoreError as error:
                # Of one store: the next study would wait as long.
                self._trouble = str(error)
                return
            self._trouble = ""
            standing = Standing(group.total(studies), outlook(studies))
            # A new mapping, because another thread draws what is known.
            self._standings = {**self._standings, group.title: standing}
            # A study without trials has been deleted meanwhile.
            if standing.progress.complete and standing.progress.n_trials:
                self._show_complete(standing)
                self._on_complete(group)

    def _show_complete(self, standing: Standing) -> None:
        """Show that a study or comparison is complete."""

    def _run(self) -> None:
        due_at = 0.0
        while not self._over.wait(_READ_INTERVAL_S):
            begun_at = time.monotonic()
            if begun_at >= due_at:
                self.tick()
                due_at = begun_at + (time.monotonic() - begun_at) / self.read_share
            self.show_silent()

    def show_silent(self) -> None:
        """Show what has taken long and is not over, where nothing else shows it."""

    def _end_reading(self) -> None:
        """End the thread; what was stopped does not wait for the store once more."""
        self._over.set()
        if not self._stopping:
            self._thread.join()
            self.tick()

    def _note(self, event: WorkerEvent) -> Worker:
        name = self._names.setdefault(event.worker, f"worker {len(self._names) + 1}")
        worker = Worker(name, event, self._now_s())
        self._workers[event.worker] = worker
        if event.kind in {EventKind.STOPPED, EventKind.REPLACED}:
            del self._workers[event.worker]
        return worker

    def _describe(self, event: WorkerEvent) -> str:
        return describe(event, several=self._several)

    @property
    def _several(self) -> bool:
        return len(self._title_of) > 1

    def _phase(self, event: WorkerEvent) -> str:
        """Return what a worker is busy with where no event comes meanwhile; empty if it is not."""
        if event.kind is EventKind.CLAIMED:
            first = "compiling (first run on this machine, about a minute)"
            return first if self._first_run else "building the network"
        if event.kind is EventKind.COMPILED:
            trial = trial_name(event, several=self._several)
            return f"{trial}: training epoch {event.epoch + 1}"
        return ""
