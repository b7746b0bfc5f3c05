"""What runs in Dask's workers: a task that starts `fdrnn worker` and reports what it does.

A task runs `fdrnn worker` in a separate process, so that training does not starve the heartbeat
of Dask's worker. The process ends, with a checkpoint, when Dask's worker does.

A store's URL that holds a password is in no task: `FDRNN_STORAGE` in the environment of Dask's
workers then says where the store is, for example by a file. A data file of the user's own is sent
to Dask's workers; each `fdrnn worker` compares its content with the fingerprint in the store.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from fdrnn.datasets import is_path, user_path
from fdrnn.datasets.errors import one_line
from fdrnn.datasets.files import is_file
from fdrnn.search.machine import code_version
from fdrnn.search.work.events import EventKind, WorkerEvent
from fdrnn.search.work.settings import WorkerSettings

COMMAND = (sys.executable, "-m", "fdrnn.studies.cli")
"""Starts fdrnn."""

MISTAKE = 2
"""The exit code of a worker that a further try does not help."""

_POLL_S = 0.2
_PR_SET_PDEATHSIG = 1
_EVENT_INTERVAL_S = 0.5

_processes: dict[str, list[subprocess.Popen[str]]] = {}
_stopped: set[str] = set()


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a task is to start.

    Attributes
    ----------
    studies
        The names of studies in the store.
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

    studies: tuple[str, ...]
    store_url: str | None
    data_dir: Path | None
    data_file: Path | None
    settings: tuple[str, ...]
    version: str = field(default_factory=code_version)
    run: str = field(default_factory=lambda: f"fdrnn-{secrets.token_hex(6)}")


def order_of(
    studies: tuple[str, ...],
    data: str,
    store_url: str,
    data_dir: Path | None,
    settings: WorkerSettings,
) -> Order:
    """Return the order for workers of a study, or of the studies of a comparison.

    Parameters
    ----------
    studies
        Their names in the store.
    data
        Their data set: a name, or the path of a file, which is sent if it is here.
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
        studies=studies,
        store_url=None if holds_secret(store_url) else store_url,
        data_dir=None if data_dir is None else user_path(data_dir),
        data_file=user_path(data) if is_path(data) and is_file(user_path(data)) else None,
        settings=tuple(f"{name}={value:g}" for name, value in options.items()),
    )


def train(order: Order) -> tuple[int, str]:
    """Run `fdrnn worker` to its end, and return its exit code and last line of errors."""
    import distributed  # noqa: PLC0415 - in the extra fdrnn[dask]

    if order.run in _stopped:
        return 128 + signal.SIGINT, "stopped before it began"
    host = socket.gethostname()
    if code_version() != order.version:
        return MISTAKE, (
            f"fdrnn {code_version()} is installed on {host}, and {order.version} where the command "
            "was given; install one version on both"
        )
    if order.store_url is None and "FDRNN_STORAGE" not in os.environ:
        return MISTAKE, (
            f"worker on {host}: FDRNN_STORAGE is not set, and a store's URL with a password is not "
            "sent; set it in the environment of Dask's workers, for example to @FILE"
        )
    dask_worker = distributed.get_worker()
    data_dir = dask_worker.local_directory if order.data_file else order.data_dir
    command = [*COMMAND, "worker", *order.studies]
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
        if order.run in _stopped:
            # The signal came too early for this process.
            process.terminate()
        threading.Thread(target=_leave, args=(process, dask_worker), daemon=True).start()
        assert process.stdout is not None
        for line in process.stdout:
            dask_worker.log_event(order.run, line)
        code = process.wait()
        _processes[order.run].remove(process)
        errors.seek(0)
        lines = [line for line in errors.read().splitlines() if line.strip()]
    last = lines[-1].removeprefix("fdrnn: error: ") if lines else f"exit code {code}"
    # Python ends with 1 where it cannot even start fdrnn.
    return MISTAKE if code == 1 else code, f"worker on {host}: {one_line(last)}"


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


def event_of(line: str) -> WorkerEvent:
    """Return the event that `JsonDisplay` has printed as a line."""
    values = json.loads(line)
    return WorkerEvent(**values | {"kind": EventKind(values["kind"])})
