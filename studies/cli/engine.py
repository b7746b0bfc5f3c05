"""Workers on a Dask cluster: tasks that start `fdrnn worker` and report what it does.

A task runs `fdrnn worker` in a separate process, so that training does not starve the heartbeat
of Dask's worker. The process ends, with a checkpoint, when Dask's worker does. Dask starts a task
again where its worker is lost; a task that a restarted scheduler has forgotten is submitted again.
The store decides who trains what.

A store's URL that holds a password is in no task: `FDRNN_STORAGE` in the environment of Dask's
workers then says where the store is, for example by a file. A data file of the user's own is sent
to Dask's workers, those that join later too; each `fdrnn worker` compares its content with the
fingerprint in the store.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from fdrnn.datasets import is_path, user_path
from fdrnn.datasets.errors import error_line, one_line, shown
from fdrnn.datasets.files import is_file
from fdrnn.search.machine import code_version
from fdrnn.search.work.events import EventKind, WorkerEvent
from fdrnn.search.work.pool import STOP_DEADLINE_S, after, on_signals
from fdrnn.search.work.settings import WorkerSettings
from fdrnn.studies.cli.display import Display
from fdrnn.studies.errors import OptionError

JOBQUEUE = "jobqueue:"
"""Begins the address of a cluster that is made by dask-jobqueue."""

_QUEUES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "local": "LocalCluster",
}
_CONNECT_S = 10
_POLL_S = 0.2
_PAUSE_S = 2.0
_ENDED_BY_STUDY = {0, 1}
_MISTAKE = 2
_PR_SET_PDEATHSIG = 1
_EVENT_INTERVAL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a task is to start.

    Attributes
    ----------
    study
        A study or comparison of the store.
    store_url
        The store's URL; None where Dask's worker has it in its environment.
    data_dir
        Folder with the data files on the workers' machines; None for their own.
    data_file
        The user's own data file, which is sent; None where each worker has the data.
    settings
        Options of `fdrnn worker`.
    version
        The version of fdrnn that the worker must have.
    run
        A name of this run, by which its processes are stopped and its events are found.
    """

    study: str
    store_url: str | None
    data_dir: Path | None
    data_file: Path | None
    settings: tuple[str, ...]
    version: str = field(default_factory=code_version)
    run: str = field(default_factory=lambda: f"fdrnn-{secrets.token_hex(6)}")


def order_of(
    study: str, data: str, store_url: str, data_dir: Path | None, settings: WorkerSettings
) -> Order:
    """Return the order for workers of a study.

    Parameters
    ----------
    study
        A study or comparison of the store.
    data
        Its data set: a name, or the path of a file, which is sent if it is here.
    store_url
        The store's URL, which is left out if it holds a secret.
    data_dir, settings
        As of `fdrnn worker`.
    """
    from fdrnn.search import holds_secret  # noqa: PLC0415

    options = {
        "--lease": settings.lease_s,
        "--checkpoint-every": settings.checkpoint_interval_s,
        "--threads": settings.threads,
        "--patience": settings.patience_s,
    }
    return Order(
        study=study,
        store_url=None if holds_secret(store_url) else store_url,
        data_dir=data_dir,
        data_file=user_path(data) if is_path(data) and is_file(user_path(data)) else None,
        settings=tuple(f"{name}={value:g}" for name, value in options.items()),
    )


# -- in Dask's workers ----------------------------------------------------------------------

COMMAND = (sys.executable, "-m", "fdrnn.studies.cli")
"""Starts fdrnn."""

_processes: dict[str, list[subprocess.Popen[str]]] = {}
_stopped: set[str] = set()


def train(order: Order) -> tuple[int, str]:
    """Run `fdrnn worker` to its end, and return its exit code and last line of errors."""
    import distributed  # noqa: PLC0415 - in the extra fdrnn[dask]

    if order.run in _stopped:
        return 128 + signal.SIGINT, "stopped before it began"
    host = socket.gethostname()
    if code_version() != order.version:
        return _MISTAKE, (
            f"fdrnn {code_version()} is installed on {host}, and {order.version} where the command "
            "was given; install one version on both"
        )
    if order.store_url is None and "FDRNN_STORAGE" not in os.environ:
        return _MISTAKE, (
            f"worker on {host}: FDRNN_STORAGE is not set, and a store's URL with a password is not "
            "sent; set it in the environment of Dask's workers, for example to @FILE"
        )
    dask_worker = distributed.get_worker()
    data_dir = dask_worker.local_directory if order.data_file else order.data_dir
    command = [*COMMAND, "worker", order.study]
    command += ["--engine", str(os.getpid()), *order.settings]
    if data_dir is not None:
        command += ["--data-dir", str(data_dir)]
    store = {} if order.store_url is None else {"FDRNN_STORAGE": order.store_url}
    with TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            env=os.environ | store,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        _processes.setdefault(order.run, []).append(process)
        threading.Thread(target=_leave, args=(process, dask_worker), daemon=True).start()
        assert process.stdout is not None
        for line in process.stdout:
            dask_worker.log_event(order.run, line)
        code = process.wait()
        _processes[order.run].remove(process)
        errors.seek(0)
        lines = [line for line in errors.read().splitlines() if line.strip()]
    last = lines[-1].removeprefix("fdrnn: error: ") if lines else f"exit code {code}"
    return code, f"worker on {host}: {one_line(last)}"


def _leave(process: subprocess.Popen[str], dask_worker: Any) -> None:
    # While Dask's worker closes, it waits for its tasks; what outlives it, a queue may kill.
    while process.poll() is None:
        if dask_worker.status.name in {"closing", "closing_gracefully"}:
            process.terminate()
            return
        time.sleep(_POLL_S)


def send_signal(run: str, number: int) -> None:
    """Send a signal to the processes of a run in this process of Dask, and start no more."""
    _stopped.add(run)
    for process in _processes.get(run, []):
        process.send_signal(number)


def end_with(parent: int) -> None:
    """Have this process get SIGTERM when the process that started it ends, or has ended."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


class JsonDisplay(AbstractContextManager["JsonDisplay"]):
    """Lines of JSON on the standard output, which a task reads: few epochs, every other event."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}

    def __exit__(self, *error: object) -> None:
        """End."""

    def show(self, event: WorkerEvent) -> None:
        """Print an event."""
        now = time.monotonic()
        if event.kind is EventKind.EPOCH:
            if now < self._quiet_until.get(event.worker, 0.0):
                return
            self._quiet_until[event.worker] = now + _EVENT_INTERVAL_S
        print(json.dumps(asdict(event)), flush=True)

    def stopping(self) -> None:
        """Have the end of Dask's worker be no second request, which would kill."""
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)


def _event(line: str) -> WorkerEvent:
    values = json.loads(line)
    return WorkerEvent(**values | {"kind": EventKind(values["kind"])})


# -- where the command is given -------------------------------------------------------------


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


@dataclass
class _Run:
    order: Order
    n_workers: int | None
    display: Display
    sent: Any
    errors: list[str] = field(default_factory=list)
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
                client.run(send_signal, self.order.run, number, on_error="ignore")
                until = time.monotonic() + STOP_DEADLINE_S + _CONNECT_S
            self.show_events()
            for task in [each for each in self.tasks if each.done()]:
                self.tasks.remove(task)
                code = self.exit_code(task)
                if code in _ENDED_BY_STUDY:
                    # No trial is left: the others end by themselves, or have not begun.
                    until = until or time.monotonic() + STOP_DEADLINE_S + _CONNECT_S
                elif code != _MISTAKE and not self.stop_requests:
                    self.tasks.append(self.submit(client))
            if client.status != "running":
                raise _SchedulerLostError("the connection to the scheduler is lost")
            time.sleep(_POLL_S)
        client.cancel(self.tasks)
        if self.sent is not None:
            client.unregister_worker_plugin(self.order.run)
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
            code, line = _MISTAKE, f"{error_line(error)}; install fdrnn with Dask's workers"
        if code == _MISTAKE and line not in self.errors:
            self.errors.append(line)
            if self.tasks:
                self.report(line)
        return code

    def report(self, line: str) -> None:
        self.display.show(WorkerEvent(worker="Dask", kind=EventKind.STOPPED, text=line))

    def show_events(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                event = _event(self.lines.get_nowait())
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


# -- clusters of dask-jobqueue --------------------------------------------------------------


def require_cluster(address: str, n_workers: int | None, adapt: tuple[int, int] | None) -> None:
    """Check options of a cluster; parameters are those of `cluster_of`.

    Raises
    ------
    OptionError
        If dask-jobqueue knows no such system, or the number of jobs is missing.
    """
    if not address.startswith(JOBQUEUE):
        if adapt is not None:
            raise OptionError(f"--adapt needs a cluster that is made: --dask {JOBQUEUE}slurm")
        return
    name = address.removeprefix(JOBQUEUE)
    if name not in _QUEUES:
        raise OptionError(
            f"--dask {JOBQUEUE}NAME must name one of {', '.join(_QUEUES)}, got {shown(name)}"
        )
    if find_spec("dask_jobqueue") is None:
        raise OptionError(
            "--dask jobqueue needs dask-jobqueue, which is not installed: pip install 'fdrnn[dask]'"
        )
    if n_workers is None and adapt is None:
        raise OptionError("--dask jobqueue needs the number of jobs: add --workers or --adapt")


@contextlib.contextmanager
def cluster_of(
    address: str, n_workers: int | None, adapt: tuple[int, int] | None
) -> Iterator[tuple[Any, int | None]]:
    """Yield what a client connects to, and the number of tasks.

    Parameters
    ----------
    address
        The address of a scheduler, or `JOBQUEUE` and the name of a queueing system. A cluster of
        the user's own Dask configuration is then made, and closed at the end. Dask's workers
        leave before the wall time of their jobs, one after the other.
    n_workers
        Tasks, and jobs of a cluster that is made.
    adapt
        Fewest and most jobs of a cluster that follows the number of tasks; None for a fixed one.
    """
    if not address.startswith(JOBQUEUE):
        yield address, n_workers
        return
    name = address.removeprefix(JOBQUEUE)
    fewest, most = adapt or (n_workers, n_workers)
    import dask  # noqa: PLC0415
    import dask_jobqueue  # noqa: PLC0415
    from dask_jobqueue.local import LocalCluster  # noqa: PLC0415

    made = LocalCluster if name == "local" else getattr(dask_jobqueue, _QUEUES[name])
    # A task lasts as long as the study: the cluster is to grow to all of them at once.
    tasks = {"distributed.scheduler.default-task-durations": {"train": "1h"}}
    with dask.config.set(tasks), contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(made(worker_extra_args=_lifetime(name)))
            # A cluster that adapts only logs that its jobs are refused.
            cluster.worker_spec.update(cluster.new_worker_spec())
            cluster.sync(_submit, cluster)
        except (OSError, RuntimeError, ValueError) as error:
            # What a command of the queue has printed last, or a missing key with an example.
            lines = str(error).strip().splitlines()
            reason = lines[0 if isinstance(error, ValueError) else -1].removesuffix(
                ", for example:"
            )
            raise OptionError(
                f"--dask {address}: the first job cannot be submitted: {one_line(reason)}; check "
                f"the queue, and jobqueue.{name} of your Dask configuration"
            ) from error
        # A fixed number adapts, too: `scale` replaces no job that has ended.
        cluster.adapt(minimum_jobs=fewest, maximum_jobs=most)
        yield cluster, most


async def _submit(cluster: Any) -> None:
    import distributed  # noqa: PLC0415

    try:
        await cluster
    except BaseException:
        # The cluster must not wait for their end when it closes.
        for job in cluster.workers.values():
            job.status = distributed.Status.failed
        cluster.workers.clear()
        raise


def _lifetime(name: str) -> list[str]:
    """Return the options of Dask's workers that have them leave before the wall time."""
    import dask  # noqa: PLC0415

    given = dask.config.get(f"jobqueue.{name}.worker-extra-args", None) or []
    walltime = dask.config.get(f"jobqueue.{name}.walltime", None)
    if not walltime or "--lifetime" in given:
        return list(given)
    try:
        hours, minutes, seconds = [0, *map(int, str(walltime).split(":"))][-3:]
    except ValueError:
        # Queueing systems have forms of their own, such as days.
        return list(given)
    wall_s = 3600 * hours + 60 * minutes + seconds
    stagger_s = wall_s // 20
    lifetime_s = wall_s - 2 * stagger_s - 60
    return [*given, "--lifetime", f"{lifetime_s}s", "--lifetime-stagger", f"{stagger_s}s"]
