"""Progress of the workers: a live display on a terminal, log lines elsewhere.

Both write to the standard error, so that the standard output holds the table alone.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fdrnn.search import EventKind, StoreError, StudyProgress, WorkerEvent, total_progress
from fdrnn.studies.cli.phases import SILENCE_S
from fdrnn.studies.cli.status_view import summary_line
from fdrnn.studies.cli.tables import CliConsole
from fdrnn.studies.cli.units import clock, duration

_SUMMARY_INTERVAL_S = 1.0
_EPOCH_LINE_INTERVAL_S = 10.0
_LONGEST_SILENCE_S = 30.0
_STOPPING = (
    "stopping: each worker ends its minibatch, or its compilation, and releases its trial; "
    "Ctrl-C again kills them"
)
_STARTING = "starting workers"
_WIDEST_BAR = 40
# What a narrow terminal leaves out, first to last; the columns are those of `_epoch_cells`.
_DISPENSABLE = (4, 5, 3)

Read = Callable[[], Sequence[StudyProgress]]
"""Reads the progress of the studies that are trained; one, or those of a comparison."""


class Display(AbstractContextManager["Display"], Protocol):
    """Shows events between its entry and its exit."""

    def show(self, event: WorkerEvent) -> None:
        """Show an event."""

    def stopping(self) -> None:
        """Show that a stop was requested and what it waits for."""


def make_display(title: str, read: Read, max_epochs: int, *, first_run: bool) -> Display:
    """Return the display that fits the standard error.

    Parameters
    ----------
    title
        The name of the study or comparison.
    read
        Reads the studies' progress; called at most once a second.
    max_epochs
        Most epochs of a trial.
    first_run
        Whether no network has been compiled on this machine before.
    """
    console = CliConsole(stderr=True, highlight=False)
    kind = LiveDisplay if console.is_terminal else LogDisplay
    return kind(console, title, read, max_epochs, first_run=first_run)


def describe(event: WorkerEvent, max_epochs: int) -> str:
    """Return an event in words.

    Parameters
    ----------
    event
        The event.
    max_epochs
        Most epochs of a trial.

    Returns
    -------
    str
        For example ``"trial 3: epoch 17 of at most 300, validation NLL 8.610 (best 8.524), 0.81
        s/epoch"``.
    """
    trial = _trial(event)
    match event.kind:
        case EventKind.CLAIMED:
            return f"{trial} {f'resumes after epoch {event.epoch}' if event.epoch else 'starts'}"
        case EventKind.EPOCH:
            return (
                f"{trial}: epoch {event.epoch} of at most {max_epochs}, validation NLL "
                f"{_nll(event.valid_nll)} (best {_nll(event.best_valid_nll)}), "
                f"{event.seconds:.2f} s/epoch"
            )
        case EventKind.FINISHED:
            outcome = "diverged" if event.text else "finished"
            return (
                f"{trial} {outcome} after epoch {event.epoch}, best validation NLL "
                f"{_nll(event.best_valid_nll)}"
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


# Kinds that the live display shows in a worker's line alone.
_IN_PLACE = {EventKind.CLAIMED, EventKind.COMPILED, EventKind.EPOCH, EventKind.WAITING}


def _trial(event: WorkerEvent) -> str:
    index = event.config_index
    which = f"repeat {-index}" if index is not None and index < 0 else f"trial {index}"
    return f"{event.study} {which}".lstrip()


def _nll(value: float) -> str:
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
    selected = [(one.selected, one.study) for one in studies if one.selected is not None]
    if selected:
        best, study = min(selected, key=lambda pair: pair[0].valid_nll)
        of = f"{study} " if len(studies) > 1 else ""
        parts.append(f"best NLL {best.valid_nll:.3f} ({of}trial {best.config_index})")
    times = [one.time_left for one in studies if not one.complete]
    known = [left for left in times if left is not None]
    n_workers = sum(left.n_workers for left in known)
    if known and n_workers and len(known) == len(times):
        alone = known[0].seconds if len(known) == 1 else None
        seconds = sum(left.worker_seconds for left in known) / n_workers if alone is None else alone
        bound = "" if all(left.n_finished for left in known) else "at most "
        parts.append(f"{bound}{duration(seconds)} left")
    return ", ".join(parts)


@dataclass
class _Worker:
    """What a worker did last, and since when."""

    name: str
    event: WorkerEvent
    since: float

    def phase(self, *, first_run: bool) -> str:
        """Return what it is busy with where no event comes meanwhile; empty if it is not."""
        if self.event.kind is EventKind.CLAIMED:
            first = "compiling (first run on this machine, about a minute)"
            return first if first_run else "building the network"
        if self.event.kind is EventKind.COMPILED:
            return f"{_trial(self.event)}: training epoch {self.event.epoch + 1}"
        return ""


class _Display(Display):
    """What both displays know: the workers, numbered by their first events, and the studies.

    Parameters
    ----------
    console
        Where they are shown.
    title, read, max_epochs, first_run
        As for `make_display`.
    now_s
        The clock.
    """

    def __init__(
        self,
        console: Console,
        title: str,
        read: Read,
        max_epochs: int,
        *,
        first_run: bool = False,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._title = title
        self._read = read
        self._max_epochs = max_epochs
        self._first_run = first_run
        self._now_s = now_s
        self._names: dict[str, str] = {}
        self._workers: dict[str, _Worker] = {}
        self._started_at = now_s()

    def _note(self, event: WorkerEvent) -> _Worker:
        name = self._names.setdefault(event.worker, f"worker {len(self._names) + 1}")
        worker = _Worker(name, event, self._now_s())
        self._workers[event.worker] = worker
        if event.kind in {EventKind.STOPPED, EventKind.REPLACED}:
            del self._workers[event.worker]
        return worker

    def _standing(self) -> tuple[StudyProgress, str] | str:
        """Return the sums over the studies and their outlook, or why they cannot be read."""
        try:
            studies = self._read()
        except StoreError as error:
            return str(error)
        total = studies[0] if len(studies) == 1 else total_progress(self._title, studies)
        return total, outlook(studies)


class LogDisplay(_Display):
    """Log lines: the start and end of every trial, an epoch of each worker every 10 s.

    What takes longer than 5 s has a line as well, and another one every 30 s.
    """

    def __enter__(self) -> LogDisplay:
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._due: dict[str, float] = {}
        self._quiet_until: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._print_standing()
        self._line(_STARTING)
        threading.Thread(target=self._run, name="display", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Print nothing more."""
        self._over.set()

    def show(self, event: WorkerEvent) -> None:
        """Print the event, unless it is an epoch soon after another."""
        with self._lock:
            worker = self._note(event)
            self._due[event.worker] = worker.since + SILENCE_S
            if self._is_worth_a_line(worker):
                self._line(f"{worker.name}: {describe(event, self._max_epochs)}")
            if event.kind in {EventKind.FINISHED, EventKind.FAILED}:
                self._print_standing()

    def tick(self) -> None:
        """Print what has taken long, and is not over."""
        now = self._now_s()
        with self._lock:
            if not self._names and now >= self._due.setdefault("", self._started_at + SILENCE_S):
                self._due[""] = now + _LONGEST_SILENCE_S
                self._line(f"{_STARTING} {clock(now - self._started_at)}")
            for name, worker in self._workers.items():
                phase = worker.phase(first_run=self._first_run)
                if phase and now >= self._due[name]:
                    self._due[name] = now + _LONGEST_SILENCE_S
                    self._line(f"{worker.name}: {phase} {clock(now - worker.since)}")

    def _run(self) -> None:
        while not self._over.wait(1.0):
            self.tick()

    def _is_worth_a_line(self, worker: _Worker) -> bool:
        kind, key = worker.event.kind, worker.event.worker
        if kind is EventKind.EPOCH:
            if worker.since < self._quiet_until.get(key, 0.0):
                return False
            self._quiet_until[key] = worker.since + _EPOCH_LINE_INTERVAL_S
        again = kind is EventKind.WAITING and key in self._waiting
        self._waiting.discard(key)
        if kind is EventKind.WAITING:
            self._waiting.add(key)
        return kind is not EventKind.COMPILED and not again

    def stopping(self) -> None:
        """Print that a stop was requested."""
        self._line(_STOPPING)

    def _print_standing(self) -> None:
        standing = self._standing()
        if not isinstance(standing, str):
            standing = "; ".join(filter(None, (summary_line(standing[0]), standing[1])))
        self._line(standing)

    def _line(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True, markup=False)


class LiveDisplay(_Display):
    """Lines for the study and one for each worker, redrawn in place below the ends of trials."""

    def __enter__(self) -> LiveDisplay:
        self._stopping = False
        self._update()
        self._live = Live(self, console=self._console, refresh_per_second=4)
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state on the terminal."""
        if not self._stopping:
            self._update()
        self._live.stop()

    def show(self, event: WorkerEvent) -> None:
        """Show the event in its worker's line."""
        worker = self._note(event)
        if event.kind not in _IN_PLACE:
            text = f"{worker.name}: {describe(event, self._max_epochs)}"
            self._console.print(text, markup=False)
        if not self._stopping and self._now_s() - self._updated_at >= _SUMMARY_INTERVAL_S:
            self._update()

    def stopping(self) -> None:
        """Print above the lines that a stop was requested."""
        self._stopping = True
        self._console.print(_STOPPING)

    def _update(self) -> None:
        self._shown = self._standing()
        self._updated_at = self._now_s()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines."""
        if isinstance(self._shown, str):
            yield Text(self._shown, style="red")
        else:
            progress, coming = self._shown
            yield Text(summary_line(progress), style="bold")
            bar = Table.grid(padding=(0, 2))
            width = min(options.max_width // 3, _WIDEST_BAR)
            left = progress.waiting + progress.running + progress.paused
            done = progress.n_trials - left
            bar.add_row(ProgressBar(progress.n_trials, done, width), Text(coming))
            yield bar
        if not self._names:
            yield Text(f"{_STARTING} {clock(self._now_s() - self._started_at)}")
        yield from self._worker_lines(options.max_width)

    def _worker_lines(self, width: int) -> Iterator[Text]:
        rows = [(worker, self._cells(worker, width)) for worker in self._workers.values()]
        several = [cells for _, cells in rows if len(cells) > 1]
        widths = [max(map(len, column)) for column in zip(*several, strict=True)]
        kept = list(range(len(widths)))
        for column in _DISPENSABLE:
            if sum(widths[k] + 2 for k in kept) - 2 > width and column in kept:
                kept.remove(column)
        for _, cells in rows:
            parts = [cells[k].ljust(widths[k]) for k in kept] if len(cells) > 1 else cells
            yield Text("  ".join(parts).rstrip(), no_wrap=True, overflow="ellipsis")

    def _cells(self, worker: _Worker, width: int) -> tuple[str, ...]:
        event = worker.event
        if phase := worker.phase(first_run=self._first_run):
            end = clock(self._now_s() - worker.since)
            line = f"{worker.name}  {phase} {end}"
            return (line if len(line) <= width else f"{line.partition(' (')[0]} {end}",)
        if event.kind is not EventKind.EPOCH:
            return (f"{worker.name}  {describe(event, self._max_epochs)}",)
        left_s = (self._max_epochs - event.epoch) * event.seconds
        return (
            worker.name,
            _trial(event),
            f"epoch {event.epoch}/{self._max_epochs}",
            f"best {_nll(event.best_valid_nll)}",
            f"{event.seconds:.2f} s/epoch",
            f"at most {duration(left_s)}",
        )
