"""Showing the status of studies once, or again and again until they are complete."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from fdrnn.search import StoreError
from fdrnn.studies.cli.status_view import StudyStatus, status_blocks, status_mapping
from fdrnn.studies.cli.tables import output_console
from fdrnn.studies.errors import OptionError

Statuses = Sequence[StudyStatus]

_LONGEST_INTERVAL_S = 86_400.0


def require_interval(every_s: float) -> None:
    """Require a time that may pass between two looks.

    Raises
    ------
    OptionError
        If it is not positive, or more than a day.
    """
    if not 0 < every_s <= _LONGEST_INTERVAL_S:
        raise OptionError(
            f"--every must be more than 0 seconds and at most {_LONGEST_INTERVAL_S:g}, a day, got "
            f"{every_s:g}"
        )


class View(Protocol):
    """Shows statuses."""

    def show(self, statuses: Statuses) -> None:
        """Show where studies stand."""

    def away(self, error: StoreError) -> None:
        """Show that the store cannot be read at the moment."""


class JsonView:
    """A line of JSON each time: ``store``, ``time`` and ``studies``, or ``error`` in its place.

    Parameters
    ----------
    store
        The store's name for display.
    """

    def __init__(self, store: str) -> None:
        self._store = store

    def show(self, statuses: Statuses) -> None:
        """Print where studies stand; `status_mapping` says with which keys."""
        self._print({"studies": [status_mapping(status) for status in statuses]})

    def away(self, error: StoreError) -> None:
        """Print why the store cannot be read."""
        self._print({"error": str(error)})

    def _print(self, content: dict[str, object]) -> None:
        head = {"store": self._store, "time": _now().isoformat()}
        typer.echo(json.dumps(head | content, allow_nan=False))


class TextView:
    """A block of text each time.

    Parameters
    ----------
    store
        The store's name for display.
    console
        Where it is printed.
    watched
        Whether blocks follow each other: they then bear the time, and errors are short.
    """

    def __init__(self, store: str, console: Console, *, watched: bool) -> None:
        self._store = store
        self._console = console
        self._watched = watched

    def show(self, statuses: Statuses) -> None:
        """Print where studies stand."""
        if self._watched:
            self._console.print(f"{_now():%Y-%m-%d %H:%M:%S} UTC", markup=False)
        self._console.print(_group(self._store, statuses, whole_errors=not self._watched))
        if self._watched:
            self._console.print()

    def away(self, error: StoreError) -> None:
        """Print why the store cannot be read."""
        self._console.print(f"{_now():%Y-%m-%d %H:%M:%S} UTC: {error}; waiting", markup=False)


class LiveView:
    """The latest status in place, on a terminal.

    Parameters
    ----------
    store
        The store's name for display.
    live
        The display, begun.
    """

    def __init__(self, store: str, live: Live) -> None:
        self._store = store
        self._live = live
        self._shown: RenderableType = Text("")
        self._away_since: datetime | None = None

    def show(self, statuses: Statuses) -> None:
        """Replace what is shown."""
        self._away_since = None
        self._shown = _group(self._store, statuses, whole_errors=False)
        updated = Text(f"{_now():%H:%M:%S} UTC; Ctrl-C ends the display alone", style="dim")
        self._live.update(Group(updated, self._shown), refresh=True)

    def away(self, error: StoreError) -> None:
        """Say above what was shown last that the store is away."""
        self._away_since = self._away_since or _now()
        line = Text(f"not up to date since {self._away_since:%H:%M:%S} UTC: {error}", style="red")
        self._live.update(Group(line, self._shown), refresh=True)


@contextmanager
def view(store: str, *, watched: bool, as_json: bool) -> Iterator[View]:
    """Give the view that fits the standard output.

    Parameters
    ----------
    store
        The store's name for display.
    watched
        Whether it shows more than one status.
    as_json
        Whether a program reads it.
    """
    console = output_console()
    if as_json:
        yield JsonView(store)
    elif watched and console.is_terminal:
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            yield LiveView(store, live)
    else:
        yield TextView(store, console, watched=watched)


def follow(
    statuses: Statuses, read: Callable[[], Statuses], view: View, every_s: float
) -> Statuses:
    """Show statuses until every study is complete, and return the last ones.

    A store that cannot be read is waited for.

    Parameters
    ----------
    statuses
        The first ones, shown already.
    read
        Reads them again.
    view
        Shows them.
    every_s
        Seconds between two looks.
    """
    while not all(status.progress.complete for status in statuses):
        time.sleep(every_s)
        try:
            statuses = read()
        except StoreError as error:
            view.away(error)
        else:
            view.show(statuses)
    return statuses


def _group(store: str, statuses: Statuses, *, whole_errors: bool) -> Group:
    if not statuses:
        return Group(Text(f"store {store} holds no study"))
    return Group(*status_blocks(statuses, whole_errors=whole_errors))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
