"""Progress of the workers: a live display on a terminal, log lines elsewhere.

Both write to the standard error, so that the standard output holds the table alone.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fdrnn.search import EventKind, StoreError, StudyProgress, WorkerEvent, total_progress
from fdrnn.studies.cli.phases import SILENCE_S
from fdrnn.studies.cli.status_view import summary_line
from fdrnn.studies.cli.tables import CliConsole, columns_that_fit
from fdrnn.studies.cli.units import clock, duration

_READ_INTERVAL_S = 1.0
# Of its time the thread that reads spends at most this share.
_READ_SHARE = 0.1
_EPOCH_LINE_INTERVAL_S = 10.0
_LONGEST_SILENCE_S = 30.0
_STOPPING = (
    "stopping: each worker ends its minibatch, or its compilation, and releases its trial; "
    "Ctrl-C again kills them"
)
_STARTING = "starting workers"
_WIDEST_BAR = 40
# What a narrow terminal leaves out, first to last; the columns are those of `_cells`.
_DISPENSABLE = (4, 5, 3)


@dataclass(frozen=True)
class Followed:
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


OnComplete = Callable[[Followed], None]
"""Is called when a study, or a whole comparison, is seen to be complete."""


class Display(AbstractContextManager["Display"], Protocol):
    """Shows events between its entry and its exit."""

    def show(self, event: WorkerEvent) -> None:
        """Show an event."""

    def stopping(self) -> None:
        """Show that a stop was requested and what it waits for."""


def make_display(
    followed: Sequence[Followed], *, first_run: bool, on_complete: OnComplete
) -> Display:
    """Return the display that fits the standard error.

    Parameters
    ----------
    followed
        What is trained, at least one; read at most once a second, by another thread.
    first_run
        Whether no network has been compiled on this machine before.
    on_complete
        Called once with each that becomes complete while it is shown.
    """
    console = CliConsole(stderr=True, highlight=False)
    kind = LiveDisplay if console.is_terminal else LogDisplay
    return kind(console, followed, first_run=first_run, on_complete=on_complete)


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
    trial = _trial(event, several=several)
    match event.kind:
        case EventKind.CLAIMED:
            return f"{trial} {f'resumes after epoch {event.epoch}' if event.epoch else 'starts'}"
        case EventKind.EPOCH:
            return (
                f"{trial}: epoch {event.epoch} of at most {event.max_epochs}, validation NLL "
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


def _trial(event: WorkerEvent, *, several: bool) -> str:
    index = event.config_index
    which = f"repeat {-index}" if index is not None and index < 0 else f"trial {index}"
    return f"{event.study} {which}" if several else which


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


@dataclass(frozen=True)
class _Standing:
    """The sums over the trials of a study or comparison, and its outlook."""

    progress: StudyProgress
    outlook: str

    @property
    def line(self) -> str:
        return "; ".join(filter(None, (summary_line(self.progress), self.outlook)))


class _Display(Display):
    """What both displays know: the workers, numbered by their first events, and the studies.

    A thread reads the studies, because a store may take long to answer, or not answer at all.

    Parameters
    ----------
    console
        Where they are shown.
    followed, first_run, on_complete
        As for `make_display`.
    now_s
        The clock.
    """

    def __init__(
        self,
        console: Console,
        followed: Sequence[Followed],
        *,
        first_run: bool = False,
        on_complete: OnComplete = lambda one: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._followed = followed
        self._title_of = {study: one.title for one in followed for study in one.studies}
        self._standings: dict[str, _Standing] = {}
        self._trouble = ""
        self._first_run = first_run
        self._on_complete = on_complete
        self._now_s = now_s
        self._names: dict[str, str] = {}
        self._workers: dict[str, _Worker] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        self._started_at = now_s()

    def tick(self) -> None:
        """Read the studies that are not complete, and show what has changed."""
        for one in self._followed:
            if one.title in self._standings and self._standings[one.title].progress.complete:
                continue
            try:
                studies = one.read()
            except StoreError as error:
                # Of one store: the next study would wait as long.
                self._trouble = str(error)
                return
            self._trouble = ""
            standing = _Standing(one.total(studies), outlook(studies))
            # A new one, because another thread draws what is known.
            self._standings = {**self._standings, one.title: standing}
            # One without trials has been deleted meanwhile.
            if standing.progress.complete and standing.progress.n_trials:
                self._show_complete(standing)
                self._on_complete(one)

    def _show_complete(self, standing: _Standing) -> None:
        """Show that a study or comparison is complete."""

    def _run(self) -> None:
        took_s = 0.0
        while not self._over.wait(max(_READ_INTERVAL_S, took_s / _READ_SHARE)):
            begun_at = time.monotonic()
            self.tick()
            took_s = time.monotonic() - begun_at

    def _end_reading(self) -> None:
        """End the thread; what was stopped does not wait for the store once more."""
        self._over.set()
        if not self._stopping:
            self._thread.join()
            self.tick()

    def _note(self, event: WorkerEvent) -> _Worker:
        name = self._names.setdefault(event.worker, f"worker {len(self._names) + 1}")
        worker = _Worker(name, event, self._now_s())
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
            trial = _trial(event, several=self._several)
            return f"{trial}: training epoch {event.epoch + 1}"
        return ""


class LogDisplay(_Display):
    """Log lines: the start and end of every trial, an epoch of each worker every 10 s.

    What takes longer than 5 s has a line as well, and another one every 30 s.
    """

    def __enter__(self) -> LogDisplay:
        self._due: dict[str, float] = {}
        self._quiet_until: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._changed = dict.fromkeys(one.title for one in self._followed)
        self._told = ""
        self.tick()
        self._line(_STARTING)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Print the last state, and nothing more."""
        self._end_reading()

    def show(self, event: WorkerEvent) -> None:
        """Print the event, unless it is an epoch soon after another."""
        with self._lock:
            worker = self._note(event)
            self._due[event.worker] = worker.since + SILENCE_S
            if self._is_worth_a_line(worker):
                self._line(f"{worker.name}: {self._describe(event)}")
            if event.kind in {EventKind.FINISHED, EventKind.FAILED}:
                self._changed[self._title_of[event.study]] = None

    def tick(self) -> None:
        """Print what has changed, and what has taken long and is not over."""
        with self._lock:
            # What ends from here on has its line next time.
            changed, self._changed = self._changed, {}
        super().tick()
        with self._lock:
            self._print_standings(changed)
            self._print_silent()

    def _print_standings(self, changed: Mapping[str, None]) -> None:
        if self._trouble:
            self._changed = {**changed, **self._changed}
        else:
            for title in changed:
                self._line(self._standings[title].line)
        if self._trouble not in {"", self._told}:
            self._line(self._trouble)
        self._told = self._trouble

    def _print_silent(self) -> None:
        now = self._now_s()
        if not self._names and now >= self._due.setdefault("", self._started_at + SILENCE_S):
            self._due[""] = now + _LONGEST_SILENCE_S
            self._line(f"{_STARTING} {clock(now - self._started_at)}")
        for name, worker in self._workers.items():
            phase = self._phase(worker.event)
            if phase and now >= self._due[name]:
                self._due[name] = now + _LONGEST_SILENCE_S
                self._line(f"{worker.name}: {phase} {clock(now - worker.since)}")

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
        self._stopping = True
        self._line(_STOPPING)

    def _line(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True, markup=False)


class LiveDisplay(_Display):
    """Lines for what is trained and one for each worker, redrawn in place.

    The ends of trials, and of studies where there are several, are printed above.
    """

    def __enter__(self) -> LiveDisplay:
        self.tick()
        self._live = Live(self, console=self._console, refresh_per_second=4)
        self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state on the terminal."""
        self._end_reading()
        self._live.stop()

    def show(self, event: WorkerEvent) -> None:
        """Show the event in its worker's line."""
        with self._lock:
            worker = self._note(event)
        if event.kind not in _IN_PLACE:
            self._console.print(f"{worker.name}: {self._describe(event)}", markup=False)

    def stopping(self) -> None:
        """Print above the lines that a stop was requested."""
        self._stopping = True
        self._console.print(_STOPPING)

    def _show_complete(self, standing: _Standing) -> None:
        if len(self._followed) > 1:
            self._console.print(standing.line, markup=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines."""
        with self._lock:
            workers = dict(self._workers)
        if self._trouble:
            yield Text(self._trouble, style="red")
        else:
            n_rows = options.max_height - len(workers) - 3
            yield from self._studies(workers.values(), n_rows, options.max_width)
        if not self._names:
            yield Text(f"{_STARTING} {clock(self._now_s() - self._started_at)}")
        yield from self._worker_lines(list(workers.values()), options.max_width)

    def _studies(
        self, workers: Iterable[_Worker], n_rows: int, width: int
    ) -> Iterator[RenderableType]:
        standings = self._standings
        if len(self._followed) > 1:
            n_complete = sum(one.progress.complete for one in standings.values())
            yield Text(f"{n_complete} of {len(self._followed)} studies complete", style="bold")
        trained = {self._title_of[one.event.study] for one in workers if one.event.study}
        left = {title: one for title, one in standings.items() if not one.progress.complete}
        shown = [one for title, one in left.items() if title in trained or one.progress.running]
        # Between two trials none runs.
        shown = shown or list(left.values())[:1]
        if len(self._followed) == 1:
            shown = list(standings.values())
        n_fitting = max(n_rows // 2, 1)
        for standing in shown[:n_fitting]:
            yield from _standing_lines(standing, width)
        if len(shown) > n_fitting:
            yield Text(f"and {len(shown) - n_fitting} more")

    def _worker_lines(self, workers: Sequence[_Worker], width: int) -> Iterator[Text]:
        rows = [(worker, self._cells(worker, width)) for worker in workers]
        several = [cells for _, cells in rows if len(cells) > 1]
        widths = [max(map(len, column)) + 2 for column in zip(*several, strict=True)]
        # No space follows the last column.
        kept = columns_that_fit(widths, _DISPENSABLE, width + 2)
        for _, cells in rows:
            parts = [cells[k].ljust(widths[k]) for k in kept] if len(cells) > 1 else cells
            yield Text("".join(parts).rstrip(), no_wrap=True, overflow="ellipsis")

    def _cells(self, worker: _Worker, width: int) -> tuple[str, ...]:
        event = worker.event
        if phase := self._phase(event):
            end = clock(self._now_s() - worker.since)
            line = f"{worker.name}  {phase} {end}"
            return (line if len(line) <= width else f"{line.partition(' (')[0]} {end}",)
        if event.kind is not EventKind.EPOCH:
            return (f"{worker.name}  {self._describe(event)}",)
        left_s = (event.max_epochs - event.epoch) * event.seconds
        return (
            worker.name,
            _trial(event, several=self._several),
            f"epoch {event.epoch}/{event.max_epochs}",
            f"best {_nll(event.best_valid_nll)}",
            f"{event.seconds:.2f} s/epoch",
            f"at most {duration(left_s)}",
        )


def _standing_lines(standing: _Standing, width: int) -> Iterator[RenderableType]:
    progress = standing.progress
    yield Text(summary_line(progress), style="bold")
    bar = Table.grid(padding=(0, 2))
    left = progress.waiting + progress.running + progress.paused
    done = progress.n_trials - left
    bar_width = min(width // 3, _WIDEST_BAR)
    bar.add_row(ProgressBar(progress.n_trials, done, bar_width), Text(standing.outlook))
    yield bar
