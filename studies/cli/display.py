"""Progress of the workers: a live display on a terminal, log lines elsewhere.

Both write to the standard error, so that the standard output holds the table alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fdrnn.search import EventKind, WorkerEvent
from fdrnn.studies.cli.tables import CliConsole
from fdrnn.studies.cli.units import duration

_SUMMARY_INTERVAL_S = 1.0
_EPOCH_LINE_INTERVAL_S = 10.0
_STOPPING = (
    "stopping: each worker ends its minibatch, or its compilation, and releases its trial; "
    "Ctrl-C again kills them"
)
_START = "starting workers; the first run on a machine compiles for about a minute"


class Display(AbstractContextManager["Display"], Protocol):
    """Shows events between its entry and its exit."""

    def show(self, event: WorkerEvent) -> None:
        """Show an event."""

    def stopping(self) -> None:
        """Show that a stop was requested and what it waits for."""


def make_display(summary: Callable[[], str], max_epochs: int) -> Display:
    """Return the display that fits the standard error.

    Parameters
    ----------
    summary
        Returns the study's progress in one line; called at most once a second.
    max_epochs
        Most epochs of a trial.
    """
    console = CliConsole(stderr=True, highlight=False)
    if console.is_terminal:
        return LiveDisplay(console, summary, max_epochs)
    return LogDisplay(console, summary, max_epochs)


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


def _trial(event: WorkerEvent) -> str:
    index = event.config_index
    which = f"repeat {-index}" if index is not None and index < 0 else f"trial {index}"
    return f"{event.study} {which}".lstrip()


def _nll(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


class _Names:
    """Short names of workers, numbered in the order of their first events."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def __call__(self, worker: str) -> str:
        return self._names.setdefault(worker, f"worker {len(self._names) + 1}")


class LogDisplay(Display):
    """Log lines: the start and end of every trial, and an epoch of each worker every 10 s.

    Parameters
    ----------
    console
        Where the lines are printed.
    summary, max_epochs
        As for `make_display`.
    """

    def __init__(self, console: Console, summary: Callable[[], str], max_epochs: int) -> None:
        self._console = console
        self._summary = summary
        self._max_epochs = max_epochs
        self._name = _Names()
        self._quiet_until: dict[str, float] = {}
        self._waiting: set[str] = set()

    def __enter__(self) -> LogDisplay:
        self._line(self._summary())
        self._line(_START)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End; nothing is left to print."""

    def show(self, event: WorkerEvent) -> None:
        """Print the event, unless it is an epoch soon after another."""
        if event.kind is EventKind.EPOCH:
            now = time.monotonic()
            if now < self._quiet_until.get(event.worker, 0.0):
                return
            self._quiet_until[event.worker] = now + _EPOCH_LINE_INTERVAL_S
        if event.kind is not EventKind.WAITING:
            self._waiting.discard(event.worker)
        elif event.worker in self._waiting:
            return
        else:
            self._waiting.add(event.worker)
        self._line(f"{self._name(event.worker)}: {describe(event, self._max_epochs)}")
        if event.kind in {EventKind.FINISHED, EventKind.FAILED}:
            self._line(self._summary())

    def stopping(self) -> None:
        """Print that a stop was requested."""
        self._line(_STOPPING)

    def _line(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True, markup=False)


class LiveDisplay(Display):
    """A line for the study and one for each worker, redrawn in place below the ends of trials.

    Parameters
    ----------
    console
        A terminal.
    summary, max_epochs
        As for `make_display`.
    """

    def __init__(self, console: Console, summary: Callable[[], str], max_epochs: int) -> None:
        self._console = console
        self._summary = summary
        self._max_epochs = max_epochs
        self._name = _Names()
        self._latest: dict[str, WorkerEvent] = {}
        self._started = False
        self._stopping = False
        self._study_line = summary()
        self._study_line_at = time.monotonic()
        self._live = Live(self, console=console, refresh_per_second=4)

    def __enter__(self) -> LiveDisplay:
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
            self._study_line = self._summary()
        self._live.stop()

    def show(self, event: WorkerEvent) -> None:
        """Show the event in its worker's line."""
        self._started = True
        self._latest[event.worker] = event
        name = self._name(event.worker)
        if event.kind not in {EventKind.CLAIMED, EventKind.EPOCH, EventKind.WAITING}:
            self._console.print(f"{name}: {describe(event, self._max_epochs)}", markup=False)
        if event.kind in {EventKind.STOPPED, EventKind.REPLACED}:
            del self._latest[event.worker]
        if not self._stopping and time.monotonic() - self._study_line_at >= _SUMMARY_INTERVAL_S:
            self._study_line = self._summary()
            self._study_line_at = time.monotonic()

    def stopping(self) -> None:
        """Print above the lines that a stop was requested."""
        self._stopping = True
        self._console.print(_STOPPING)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines."""
        yield Text(self._study_line, style="bold")
        if not self._started:
            yield Text(_START)
        table = Table.grid(padding=(0, 2))
        for worker, event in self._latest.items():
            # An error's text may look like markup.
            table.add_row(*map(Text, (self._name(worker), *self._cells(event))))
        yield table

    def _cells(self, event: WorkerEvent) -> tuple[str, ...]:
        if event.kind is not EventKind.EPOCH:
            return (describe(event, self._max_epochs),)
        left_s = (self._max_epochs - event.epoch) * event.seconds
        return (
            _trial(event),
            f"epoch {event.epoch}/{self._max_epochs}",
            f"best NLL {_nll(event.best_valid_nll)}",
            f"{event.seconds:.2f} s/epoch",
            f"at most {duration(left_s)} left",
        )
