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
from fdrnn.studies.cli.console import CliConsole
from fdrnn.studies.cli.units import duration

_SUMMARY_INTERVAL_S = 1.0
_EPOCH_LINE_INTERVAL_S = 10.0
_STOPPING = (
    "stopping: each worker ends its minibatch, or its compilation, and puts its trial back; "
    "Ctrl-C again kills them"
)
_START = "workers start; the first run on a machine compiles for a minute or so"


class Display(AbstractContextManager["Display"], Protocol):
    """Shows events between its entry and its exit."""

    def show(self, event: WorkerEvent) -> None:
        """Show what has happened."""

    def stopping(self) -> None:
        """Say that a stop was asked for and what it takes."""


def make_display(summary: Callable[[], str], max_epochs: int) -> Display:
    """Return the display that fits the standard error.

    Parameters
    ----------
    summary
        Says in one line how far the study is; called at most once a second.
    max_epochs
        Most epochs of a trial.
    """
    console = CliConsole(stderr=True, highlight=False)
    if console.is_terminal:
        return LiveDisplay(console, summary, max_epochs)
    return LogDisplay(console, summary, max_epochs)


def describe(event: WorkerEvent, max_epochs: int) -> str:
    """Say an event in words.

    Parameters
    ----------
    event
        What has happened.
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
            after = f"goes on after epoch {event.epoch}" if event.epoch else "begins"
            return f"{trial} {after}"
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
    told = f": {event.text}" if event.text else ""
    return _TEXTS[event.kind].format(trial=trial, epoch=event.epoch) + told


_TEXTS = {
    EventKind.FAILED: "{trial} failed",
    EventKind.RELEASED: "{trial} is put back after epoch {epoch}",
    EventKind.TROUBLE: "{trial} is put back because of trouble with this machine",
    EventKind.AWAY: "the store cannot be used now; a trial under way goes on, its epochs are kept",
    EventKind.BACK: "the store answers again",
    EventKind.LOST: "{trial} was taken over by another worker",
    EventKind.RESTARTED: "{trial} begins anew",
    EventKind.WAITING: "waits for trials of other workers",
    EventKind.STOPPED: "has ended",
    EventKind.REPLACED: "died and is replaced",
}


def _trial(event: WorkerEvent) -> str:
    return f"{event.study} trial {event.config_index}".lstrip()


def _nll(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


class _Names:
    """Short names of workers, in the order in which they are first heard of."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def __call__(self, worker: str) -> str:
        return self._names.setdefault(worker, f"worker {len(self._names) + 1}")


class LogDisplay(Display):
    """Log lines: the begin and end of every trial, epochs now and then.

    Parameters
    ----------
    console
        Where the lines go.
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
        """End; there is nothing to tidy up."""

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
        """Print that a stop was asked for."""
        self._line(_STOPPING)

    def _line(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True, markup=False)


class LiveDisplay(Display):
    """One line per worker and one for the study, redrawn in place; ends of trials stay above.

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
        self._heard = False
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
        """Take the event into the display."""
        self._heard = True
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
        """Print above the lines that a stop was asked for."""
        self._stopping = True
        self._console.print(_STOPPING)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines."""
        yield Text(self._study_line, style="bold")
        if not self._heard:
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
