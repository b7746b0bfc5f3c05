"""A Dask cluster of the tests' own: a scheduler and workers of one thread, each a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

_LIMIT_S = 60
PRELOAD = "preload.py"
"""A file in the cluster's folder that its processes run at their start, if it exists."""


class DaskCluster:
    """A scheduler, which begins at once, and the workers that are added.

    Parameters
    ----------
    folder
        Where the processes run and log.
    environment
        Variables of the processes beside those of this one.
    options
        Of each `dask worker`.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        options: tuple[str, ...] = ("--no-nanny",),
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.dashboard_port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.folder, self.log = folder, folder / "dask.log"
        self.environment, self.options = {**os.environ, **(environment or {})}, options
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start_scheduler()

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Start the scheduler, at the same address each time, and wait until it answers."""
        dashboard = ("--dashboard-address", f"127.0.0.1:{self.dashboard_port}")
        address = ("--host", "127.0.0.1", "--port", str(self.port))
        self.scheduler = self._start("scheduler", *address, *dashboard)
        until = time.monotonic() + _LIMIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                if time.monotonic() > until or self.scheduler.poll() is not None:
                    raise RuntimeError(self.log.read_text()) from None
                time.sleep(0.1)
            else:
                return self.scheduler

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker."""
        options = ("--nthreads", "1", "--no-dashboard", *self.options)
        self.workers.append(self._start("worker", self.address, *options))
        return self.workers[-1]

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        preload = ("--preload", PRELOAD) if (self.folder / PRELOAD).exists() else ()
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, Path(sys.executable).with_name("dask"), *arguments, *preload],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def close(self) -> None:
        """Kill all processes."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
