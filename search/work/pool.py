"""A pool of worker processes on this machine: started, replaced and stopped together."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any

from fdrnn.datasets.errors import FdrnnError, error_line
from fdrnn.search.errors import StoreError, WorkerError
from fdrnn.search.machine import usable_cores
from fdrnn.search.store.store import Store, open_store
from fdrnn.search.work.claiming import expire, this_worker, worker_of
from fdrnn.search.work.events import EventKind, WorkerEvent
from fdrnn.search.work.outage import with_patience
from fdrnn.search.work.settings import WorkerSettings
from fdrnn.search.work.worker import OnEvent, run_worker

REPLACEMENTS_PER_WORKER = 3
"""Processes per worker that are replaced when they die without an epoch in between."""

STOP_DEADLINE_S = 9.0
"""Seconds after which a worker that was asked to stop ends, whatever it does."""

_POLL_S = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_workers(
    store_url: str,
    studies: str | Sequence[str],
    n_workers: int | None = None,
    *,
    data_dir: Path | None = None,
    on_event: OnEvent = lambda event: None,
    on_stop: Callable[[], None] = lambda: None,
    settings: WorkerSettings | None = None,
    most_s: float | None = None,
) -> bool:
    """Train studies with several processes until no trial of them waits or runs.

    SIGINT, SIGTERM and the SIGHUP of a closed terminal, where this is called from the main thread,
    make every worker checkpoint and release its trial within `STOP_DEADLINE_S`; a second signal
    kills them. Under `nohup` SIGHUP stays ignored. A worker process
    that dies is replaced and its lease expires at once; after `REPLACEMENTS_PER_WORKER` times
    the number of workers have died without an epoch in between, no more are started. Workers
    whose parent dies stop by themselves.

    The processes are spawned: a script that calls this does so under
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    store_url
        The URL of the store.
    studies
        The names of studies in it, trained as `run_worker` does, or one name.
    n_workers
        The number of processes, at least 1; None for as many as the usable cores allow. At most
        the larger of the numbers of cores and of trials left are started.
    data_dir
        The folder of data files; None where they are cached or fetched.
    on_event
        Called in this process with each event of each worker.
    on_stop
        Called when the first signal asks for a stop, after the workers got it.
    settings
        The settings of the workers; None for the defaults.
    most_s
        Seconds after which the workers are stopped as by a first signal; None for never.

    Returns
    -------
    bool
        Whether the workers were stopped, by a signal or after `most_s`.

    Raises
    ------
    ValueError
        If `n_workers` is below 1.
    WorkerError
        If a process cannot be started at the beginning, or if trials are left because workers
        ended with an error or died too often.
    StoreError
        If the store cannot be opened within the settings' `patience_s`, or read at the end.
    """
    settings = settings or WorkerSettings()
    names = (studies,) if isinstance(studies, str) else tuple(studies)
    if n_workers is None:
        n_workers = max(usable_cores() // settings.threads, 1)
    if n_workers < 1:
        raise ValueError(f"n_workers must be at least 1, got {n_workers}")
    store, n_left = with_patience(
        lambda: _begun(store_url, names), settings.patience_s, lambda reason: None
    )
    n_workers = min(n_workers, max(n_left, usable_cores()))
    try:
        pool = _Pool(store, n_workers, (store_url, names, data_dir, settings), on_event, on_stop)
        with on_signals(pool.request_stop), after(most_s, pool.end_time):
            pool.run()
    finally:
        store.close()
    if pool.stop_requests:
        return True
    if pool.errors:
        with_patience(
            lambda: require_nothing_left(store_url, names, pool.errors),
            settings.patience_s,
            lambda reason: None,
        )
    return False


def _begun(store_url: str, names: Sequence[str]) -> tuple[Store, int]:
    """Return the store, without a connection, and the number of trials that are left."""
    store = open_store(store_url)
    try:
        n_left = sum(store.study(name).progress().left for name in names)
        # This shows whether the store can be written; later the workers wait until it can.
        expire(store.database, "")
    finally:
        # A server's connections are for the workers.
        store.close()
    return store, n_left


def require_nothing_left(store_url: str, names: Sequence[str], errors: list[str]) -> None:
    """Raise WorkerError, with why workers ended, if trials of studies are left."""
    store = open_store(store_url)
    try:
        studies = [study for name in names if (study := store.find(name)) is not None]
        each = [study.progress() for study in studies]
    finally:
        store.close()
    if left := [
        f"{one.left} of {one.n_trials} trials of study {one.study!r}" for one in each if one.left
    ]:
        raise WorkerError(
            f"workers ended with {', '.join(left)} left: {'; '.join(dict.fromkeys(errors))}"
        )


@dataclass(eq=False)
class _Child:
    process: SpawnProcess
    pipe: Connection
    name: str
    reported_end: bool = False


@dataclass
class _Pool:
    store: Store
    n_workers: int
    arguments: tuple[Any, ...]
    on_event: OnEvent
    on_stop: Callable[[], None]
    children: list[_Child] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stop_requests: int = 0
    n_died: int = 0
    context: SpawnContext = field(default_factory=lambda: multiprocessing.get_context("spawn"))

    def request_stop(self) -> None:
        self.stop_requests += 1
        first = self.stop_requests == 1
        # A copy: at the end of the time this is another thread than the one that replaces workers.
        for child in list(self.children):
            if first:
                child.process.terminate()
            else:
                child.process.kill()
        # Last: it may print, which blocks while nobody reads.
        if first:
            self.on_stop()

    def end_time(self) -> None:
        # A second request kills, which is for the user to make.
        if not self.stop_requests:
            self.request_stop()

    def run(self) -> None:
        try:
            for _ in range(self.n_workers):
                self.start()
            while self.children:
                self.poll()
        finally:
            # Only an exception, from `on_event` for example, leaves processes behind.
            for child in self.children:
                child.process.terminate()
            for child in self.children:
                child.process.join()

    def start(self) -> None:
        try:
            # The first process would start it, and that unblocks SIGINT.
            resource_tracker.ensure_running()
            # A pipe for each: a shared queue's lock would stay locked by a worker killed inside it.
            ours, theirs = self.context.Pipe(duplex=False)
            with theirs:
                process = self.context.Process(target=_run_child, args=(theirs, *self.arguments))
                # Ctrl-C reaches the whole process group; a child ignores it as soon as it can.
                before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
                try:
                    process.start()
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, before)
        except OSError as error:
            raise WorkerError(
                f"worker {len(self.children) + 1} of {self.n_workers} cannot be started: "
                f"{error.strerror or error}; use fewer --workers"
            ) from error
        self.children.append(_Child(process, ours, worker_of(process.pid or 0).name))
        if self.stop_requests:
            process.terminate()

    def poll(self) -> None:
        pipes = [child.pipe for child in self.children if not child.pipe.closed]
        wait([*pipes, *(child.process.sentinel for child in self.children)], timeout=_POLL_S)
        for child in list(self.children):
            ended = not child.process.is_alive()
            self.relay(child)
            if ended:
                self.children.remove(child)
                self.replace(child)

    def relay(self, child: _Child) -> None:
        while (event := _next_event(child.pipe)) is not None:
            if event.kind is EventKind.STOPPED:
                child.reported_end = True
                if event.text and not self.stop_requests:
                    self.errors.append(event.text)
            elif event.kind is EventKind.EPOCH:
                self.n_died = 0
            self.on_event(event)

    def replace(self, child: _Child) -> None:
        child.pipe.close()
        if child.reported_end or self.stop_requests:
            return
        how = f"worker {child.name} died ({_exit(child.process.exitcode)})"
        # Without this, its trial would wait for the lease to expire.
        with contextlib.suppress(StoreError):
            expire(self.store.database, child.name)
        self.store.close()
        self.n_died += 1
        if self.n_died > REPLACEMENTS_PER_WORKER * self.n_workers:
            self.errors.append(how)
            return
        self.on_event(WorkerEvent(worker=child.name, kind=EventKind.REPLACED, text=how))
        try:
            self.start()
        except WorkerError as error:
            # The other workers continue.
            self.errors.append(str(error))


def _next_event(pipe: Connection) -> WorkerEvent | None:
    try:
        if pipe.closed or not pipe.poll():
            return None
        event: WorkerEvent = pipe.recv()
    except (EOFError, OSError):
        # The end of the process, in the middle of an event if it was killed there.
        pipe.close()
        return None
    return event


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


@contextlib.contextmanager
def after(seconds: float | None, call: Callable[[], None]) -> Iterator[None]:
    """Call something in another thread after some seconds, unless the block has ended."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def on_signals(request_stop: Callable[[], None]) -> Iterator[None]:
    """Call something at SIGINT, SIGTERM and, unless it is ignored, SIGHUP, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        request_stop()

    before = {
        number: signal.signal(number, handle)
        for number in _SIGNALS
        if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_child(
    pipe: Connection,
    store_url: str,
    names: tuple[str, ...],
    data_dir: Path | None,
    settings: WorkerSettings,
) -> None:
    stopped = threading.Event()
    # The parent passes Ctrl-C on as SIGTERM, and the end of the terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    # The handler itself runs only when the main thread leaves C code; the pipe is read at once.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    threading.Thread(
        target=_await_signal, args=(reader, stopped), name="signal", daemon=True
    ).start()
    parent = multiprocessing.parent_process()

    def stop() -> bool:
        return stopped.is_set() or parent is None or not parent.is_alive()

    def send(event: WorkerEvent) -> None:
        # Without a parent the worker is about to stop anyway.
        with contextlib.suppress(BrokenPipeError):
            pipe.send(event)

    threading.Thread(target=_end_late, args=(stop,), name="deadline", daemon=True).start()
    error = ""
    try:
        run_worker(
            store_url,
            names,
            data_dir=data_dir,
            stop=stop,
            on_event=send,
            settings=settings,
            patient=True,
        )
    except FdrnnError as failure:
        error = str(failure)
    except OSError as failure:
        error = error_line(failure)
    except MemoryError as failure:
        error = f"{error_line(failure)}; use fewer --workers, or use a larger machine"
    if stopped.is_set() and not error:
        error = "stopped by a signal"
    send(WorkerEvent(worker=this_worker().name, kind=EventKind.STOPPED, text=error))
    pipe.close()
    # All is reported and written; the interpreter would take seconds to unload Theano.
    sys.stderr.flush()
    os._exit(0)


def _await_signal(reader: int, stopped: threading.Event) -> None:
    os.read(reader, 1)
    stopped.set()


def _end_late(stop: Callable[[], bool]) -> None:
    # Nothing else interrupts a compilation or the scoring of a long test set. The trial has been
    # released by then, or is left to its lease.
    while not stop():
        time.sleep(_POLL_S)
    time.sleep(STOP_DEADLINE_S)
    os._exit(0)
