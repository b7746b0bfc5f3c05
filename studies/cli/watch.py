"""Print the status of studies once, or repeatedly until they are complete."""

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

Statuses = Sequence[StudyStatus]


class View(Protocol):
    """Shows statuses."""

    def show(self, statuses: Statuses) -> None:
        """Show the status of studies."""

    def unavailable(self, error: StoreError) -> None:
        """Show that the store cannot be read."""


class JsonView(View):
    """Prints a line of JSON each time: ``store``, ``time``, and ``studies`` or ``error``.

    Parameters
    ----------
    store
        The store's name for display.
    """

    def __init__(self, store: str) -> None:
        self._store = store

    def show(self, statuses: Statuses) -> None:
        """Print the studies with the keys of `status_mapping`."""
        self._print({"studies": [status_mapping(status) for status in statuses]})

    def unavailable(self, error: StoreError) -> None:
        """Print why the store cannot be read."""
        self._print({"error": str(error)})

    def _print(self, content: dict[str, object]) -> None:
        head = {"store": self._store, "time": _now().isoformat()}
        typer.echo(json.dumps(head | content, allow_nan=False))


class TextView(View):
    """Prints a block of text each time.

    Parameters
    ----------
    store
        The store's name for display.
    console
        Where it is printed.
    watched
        Whether blocks follow each other: they then have the time, and errors are short.
    """

    def __init__(self, store: str, console: Console, *, watched: bool) -> None:
        self._store = store
        self._console = console
        self._watched = watched

    def show(self, statuses: Statuses) -> None:
        """Print the status of studies."""
        if self._watched:
            self._console.print(f"{_now():%Y-%m-%d %H:%M:%S} UTC", markup=False)
        self._console.print(_group(self._store, statuses, whole_errors=not self._watched))
        if self._watched:
            self._console.print()

    def unavailable(self, error: StoreError) -> None:
        """Print why the store cannot be read."""
        self._console.print(f"{_now():%Y-%m-%d %H:%M:%S} UTC: {error}; waiting", markup=False)


class LiveView(View):
    """Shows the latest status in place, on a terminal.

    Parameters
    ----------
    store
        The store's name for display.
    live
        The display, started.
    """

    def __init__(self, store: str, live: Live) -> None:
        self._store = store
        self._live = live
        self._latest: RenderableType = Text("")
        self._unavailable_since: datetime | None = None

    def show(self, statuses: Statuses) -> None:
        """Replace the status."""
        self._unavailable_since = None
        self._latest = _group(self._store, statuses, whole_errors=False)
        line = Text(f"{_now():%H:%M:%S} UTC; Ctrl-C ends the display alone", style="dim")
        self._live.update(Group(line, self._latest), refresh=True)

    def unavailable(self, error: StoreError) -> None:
        """Show above the latest status why the store cannot be read."""
        self._unavailable_since = self._unavailable_since or _now()
        since = f"not up to date since {self._unavailable_since:%H:%M:%S} UTC"
        line = Text(f"{since}: {error}", style="red")
        self._live.update(Group(line, self._latest), refresh=True)


@contextmanager
def view(store: str, *, watched: bool, as_json: bool) -> Iterator[View]:
    """Yield the view that fits the standard output.

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

    While the store cannot be read, it is tried again.

    Parameters
    ----------
    statuses
        The first ones, shown already.
    read
        Reads them again.
    view
        Shows them.
    every_s
        Seconds between two reads.
    """
    while not all(status.progress.complete for status in statuses):
        time.sleep(every_s)
        try:
            statuses = read()
        except StoreError as error:
            view.unavailable(error)
        else:
            view.show(statuses)
    return statuses


def _group(store: str, statuses: Statuses, *, whole_errors: bool) -> Group:
    if not statuses:
        return Group(Text(f"store {store} holds no study"))
    return Group(*status_blocks(statuses, whole_errors=whole_errors))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
