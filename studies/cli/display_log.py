"""Progress of the workers as log lines, where the standard error is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from fdrnn.search import EventKind, WorkerEvent
from fdrnn.studies.cli.display import STARTING, STOPPING, StudiesDisplay, Worker
from fdrnn.studies.cli.phases import SILENCE_S
from fdrnn.studies.cli.units import clock

_EPOCH_LINE_INTERVAL_S = 10.0
_LONGEST_SILENCE_S = 30.0


class LogDisplay(StudiesDisplay):
    """Log lines: the start and end of every trial, an epoch of each worker every 10 s.

    What takes longer than 5 s has a line as well, and another one every 30 s.
    """

    # On a cluster each worker has one, and a large study takes the store's server a second to read.
    read_share: ClassVar[float] = 0.01

    def __enter__(self) -> LogDisplay:
        self._due: dict[str, float] = {}
        self._quiet_until: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._changed = dict.fromkeys(group.title for group in self._groups)
        self._told = ""
        self.tick()
        self._line(STARTING)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Print the last state, and nothing more."""
        self._end_reading()

    def show(self, event: WorkerEvent) -> None:
        """Print the event, unless it is an epoch soon after another."""
        with self._lock:
            worker = self._note(event)
            self._due[event.worker] = worker.since + SILENCE_S
            if self._is_worth_a_line(worker):
                self._line(f"{worker.name}: {self._describe(event)}")
            title = self._title_of.get(event.study)
            if title is not None and event.kind in {EventKind.FINISHED, EventKind.FAILED}:
                self._changed[title] = None

    def tick(self) -> None:
        """Print what has changed."""
        with self._lock:
            # What ends from here on has its line next time.
            changed, self._changed = self._changed, {}
        super().tick()
        with self._lock:
            self._print_standings(changed)

    def _print_standings(self, changed: Mapping[str, None]) -> None:
        if self._trouble:
            self._changed = {**changed, **self._changed}
        else:
            for title in changed:
                self._line(self._standings[title].line)
        if self._trouble not in {"", self._told}:
            self._line(self._trouble)
        self._told = self._trouble

    def show_silent(self) -> None:
        """Print what has taken long and is not over."""
        with self._lock:
            self._print_silent()

    def _print_silent(self) -> None:
        now = self._now_s()
        if not self._names and now >= self._due.setdefault("", self._started_at + SILENCE_S):
            self._due[""] = now + _LONGEST_SILENCE_S
            self._line(f"{STARTING} {clock(now - self._started_at)}")
        for name, worker in self._workers.items():
            phase = self._phase(worker.event)
            if phase and now >= self._due[name]:
                self._due[name] = now + _LONGEST_SILENCE_S
                self._line(f"{worker.name}: {phase} {clock(now - worker.since)}")

    def _is_worth_a_line(self, worker: Worker) -> bool:
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
        self._line(STOPPING)

    def _line(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True, markup=False)
