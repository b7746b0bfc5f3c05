"""Training a study by workers on a Dask cluster, from where the command is given.

Each task is `fdrnn.studies.cli.engine_task.train`. Dask starts a task again where its worker is
lost; a task that a restarted scheduler has forgotten is submitted again. The store decides who
trains what. A data file of the user's own is sent to all of Dask's workers, those that join later
too.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fdrnn.datasets.errors import error_line, shown
from fdrnn.search.work.events import EventKind, WorkerEvent
from fdrnn.search.work.pool import STOP_DEADLINE_S, after, on_signals
from fdrnn.studies.cli.display import Display
from fdrnn.studies.cli.engine_task import MISTAKE, Order, event_of, send_signal, train
from fdrnn.studies.errors import OptionError

_CONNECT_S = 10
_POLL_S = 0.2
_PAUSE_S = 2.0


class _SchedulerLostError(Exception):
    """The scheduler has ended, or forgotten the tasks."""


def run_on_dask(
    cluster: Any,
    order: Order,
    n_workers: int | None = None,
    *,
    display: Display,
    most_s: float | None = None,
) -> tuple[bool, list[str]]:
    """Train a study by workers on a Dask cluster until no trial waits or runs.

    Parameters
    ----------
    cluster
        The address of a scheduler, or a cluster of dask-jobqueue.
    order
        What each task starts.
    n_workers
        The number of tasks; None for one per thread of the cluster.
    display
        Shows events of the workers, and that the scheduler is lost.
    most_s
        Seconds after which the workers are stopped; None for never.

    Returns
    -------
    stopped
        Whether a signal, or the time, has stopped them.
    errors
        Why workers ended early, a line each.

    Raises
    ------
    OptionError
        If no scheduler answers at first, or one of another version of Dask.
    """
    from distributed.diagnostics.plugin import UploadFile  # noqa: PLC0415

    sent = None if order.data_file is None else UploadFile(str(order.data_file), load=False)
    run = _Run(order, n_workers, display, sent)
    connected = False
    with on_signals(run.request_stop), after(most_s, run.end_time):
        while not run.stop_requests:
            try:
                with _client(cluster) as client:
                    connected = True
                    run.supervise(client)
                    break
            except (_SchedulerLostError, OSError) as error:
                if not connected:
                    raise OptionError(
                        f"--dask: no scheduler answers at {shown(str(cluster))}: "
                        f"{error_line(error)}; check the address, or start one by `dask scheduler`"
                    ) from error
                run.report(f"{error_line(error)}; connecting again")
                time.sleep(_PAUSE_S)
    return run.stop_requests > 0, run.errors


@contextlib.contextmanager
def _client(cluster: Any) -> Iterator[Any]:
    import distributed  # noqa: PLC0415

    # Of a lost scheduler it logs tracebacks; it is reported as an event.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        # Of versions that differ; the message is below.
        warnings.simplefilter("ignore")
        client = distributed.Client(cluster, timeout=_CONNECT_S, set_as_default=False)
    try:
        there = client.get_versions()["scheduler"]["packages"]["distributed"]
        if there != distributed.__version__:
            raise OptionError(
                f"--dask: the scheduler has distributed {there}, this environment "
                f"{distributed.__version__}; install one version on both"
            )
        yield client
    finally:
        # Without a scheduler it would wait for one.
        client.close(timeout=_PAUSE_S)


def _reach_all(call: Callable[..., object], *arguments: object, **options: object) -> None:
    """Call what waits for an answer of each of Dask's workers, but not long: one may hang."""

    def reach() -> None:
        # That the scheduler is lost shows elsewhere.
        with contextlib.suppress(Exception):
            call(*arguments, **options)

    thread = threading.Thread(target=reach, name="reach", daemon=True)
    thread.start()
    thread.join(_PAUSE_S)


@dataclass
class _Run:
    order: Order
    n_workers: int | None
    display: Display
    sent: Any
    errors: list[str] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)
    stop_requests: int = 0
    tasks: list[Any] = field(default_factory=list)
    lines: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    claims: dict[tuple[str, int | None], str] = field(default_factory=dict)

    def request_stop(self) -> None:
        self.stop_requests += 1
        if self.stop_requests == 1:
            self.display.stopping()

    def end_time(self) -> None:
        if not self.stop_requests:
            self.request_stop()

    def supervise(self, client: Any) -> None:
        client.subscribe_topic(self.order.run, lambda event: self.lines.put(event[1]))
        if self.sent is not None:
            client.register_plugin(self.sent, name=self.order.run)
        n_workers = self.n_workers or sum(client.nthreads().values()) or 1
        self.tasks = [self.submit(client) for _ in range(n_workers)]
        sent = 0
        until: float | None = None
        while self.tasks and (until is None or time.monotonic() < until):
            if self.stop_requests > sent:
                sent += 1
                number = signal.SIGTERM if sent == 1 else signal.SIGKILL
                _reach_all(client.run, send_signal, self.order.run, number, on_error="ignore")
                until = time.monotonic() + STOP_DEADLINE_S + _CONNECT_S
            self.show_events()
            for task in [each for each in self.tasks if each.done()]:
                self.tasks.remove(task)
                code = self.exit_code(task)
                if code == 0:
                    # No trial is left: the others end by themselves, or have not begun.
                    until = until or time.monotonic() + STOP_DEADLINE_S + _CONNECT_S
                elif code != MISTAKE and not self.stop_requests:
                    self.tasks.append(self.submit(client))
            if client.status != "running":
                raise _SchedulerLostError("the connection to the scheduler is lost")
            time.sleep(_POLL_S)
        client.cancel(self.tasks)
        if self.sent is not None:
            _reach_all(client.unregister_worker_plugin, self.order.run)
        self.show_events()

    def submit(self, client: Any) -> Any:
        # One that is lost with its worker is started again by Dask itself, a few times.
        return client.submit(train, self.order, pure=False)

    def exit_code(self, task: Any) -> int | None:
        """Return the exit code of a task that is done, None if it was lost with its worker."""
        import distributed  # noqa: PLC0415

        if task.status in {"cancelled", "lost"}:
            raise _SchedulerLostError("the scheduler has forgotten the workers")
        code: int
        if task.status != "error":
            code, line = task.result()
        elif isinstance(error := task.exception(), distributed.KilledWorker):
            return None
        else:
            code, line = MISTAKE, f"{error_line(error)}; install fdrnn with Dask's workers"
        if code == MISTAKE and line not in self.errors:
            self.errors.append(line)
            if self.tasks:
                self.report(line)
        elif code not in {0, MISTAKE} and line not in self.reported and not self.stop_requests:
            # It is submitted again, as often as it takes: an outage of the store may be long.
            self.reported.add(line)
            self.report(f"{line}; starting again")
        return code

    def report(self, line: str) -> None:
        self.display.show(WorkerEvent(worker="Dask", kind=EventKind.STOPPED, text=line))

    def show_events(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                event = event_of(self.lines.get_nowait())
                if event.kind is EventKind.CLAIMED:
                    self.drop_lost(event)
                self.display.show(event)

    def drop_lost(self, claimed: WorkerEvent) -> None:
        """Report a worker as lost when another one claims its trial."""
        trial = (claimed.study, claimed.config_index)
        self.claims = {other: name for other, name in self.claims.items() if name != claimed.worker}
        if (lost := self.claims.get(trial)) is not None:
            text = "another worker has claimed its trial"
            self.display.show(WorkerEvent(worker=lost, kind=EventKind.STOPPED, text=text))
        self.claims[trial] = claimed.worker
