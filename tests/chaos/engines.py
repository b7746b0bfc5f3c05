"""Workers that an engine starts: Dask's, killed with its scheduler, and Slurm's."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from chaos.disturbances import judge
from chaos.outcome import Outcome
from chaos.stores import empty_store
from chaos.study import CHECKPOINT_S, LEASE_S, Numbers, create, fdrnn, spawned
from dask_cluster import DaskCluster
from postgres import PostgresServer

_LIMIT_S = 3600.0
OPTIONS = ("--lease", LEASE_S, "--checkpoint-every", CHECKPOINT_S)
"""Of the command, for leases and checkpoints that fit small trials."""
MARK = "FDRNN_CHAOS"
"""Variable of the environment by which all processes of a trial by fire are found."""


def marked(mark: str) -> dict[int, str]:
    """Return the processes whose environment has a mark, and their command lines."""
    wanted = f"{MARK}={mark}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                found[int(folder.name)] = b" ".join(words).decode()
        except OSError:
            continue
    return found


def dask(
    backend: str,
    server: PostgresServer | None,
    definition: Path,
    expected: Numbers,
    *,
    pause_s: float,
    seed: int,
) -> Outcome:
    """Kill one of three workers of Dask again and again, and its scheduler once."""
    outcome = Outcome(f"one of three Dask workers killed every {pause_s:g} s, {backend}")
    generator = random.Random(seed)
    n_kills = n_scheduler = 0
    with (
        empty_store(backend, server) as url,
        tempfile.TemporaryDirectory(prefix="fdrnn-chaos-") as name,
    ):
        create(url, definition)
        environment = {MARK: name, "FDRNN_STORAGE": url}
        cluster = DaskCluster(Path(name), environment, options=())
        log = Path(name) / "log"
        try:
            for _ in range(3):
                cluster.add_worker()
            with log.open("wb") as out:
                command = subprocess.Popen(
                    fdrnn(
                        *("run", definition, "--dask", cluster.address, "--workers", 3),
                        *(*OPTIONS, "--output", Path(name) / "report"),
                    ),
                    env={**os.environ, **environment},
                    stdout=out,
                    stderr=out,
                )
            begun = time.monotonic()
            while command.poll() is None and time.monotonic() - begun < _LIMIT_S:
                time.sleep(pause_s)
                if command.poll() is None:
                    # A nanny starts its worker again; without both, the user's loop does.
                    victim = generator.choice(
                        [one for one in cluster.workers if one.poll() is None]
                    )
                    pid = generator.choice([victim.pid, *spawned(victim.pid)])
                    os.kill(pid, signal.SIGKILL)
                    n_kills += 1
                    if n_kills == 4:
                        cluster.scheduler.kill()
                        cluster.scheduler.wait()
                        time.sleep(5.0)
                        cluster.start_scheduler()
                        n_scheduler += 1
                time.sleep(1.0)
                cluster.workers = [one for one in cluster.workers if one.poll() is None]
                while len(cluster.workers) < 3:
                    cluster.add_worker()
            seconds = time.monotonic() - begun
            code = command.wait(1.0)
            outcome.facts.append(
                f"{n_kills} kills, the scheduler restarted {n_scheduler} times, {seconds:.0f} s"
            )
            text = log.read_text()
            outcome.require(code == 0, f"the command ended with {code}: {text[-2000:]}")
            outcome.require("Traceback" not in text, "the command printed a traceback")
            outcome.require(n_scheduler == 1, "the study ended before the scheduler was restarted")
            time.sleep(15.0)
            # By the module that runs them: the folder of the checkout may be called fdrnn, too.
            left = [line for line in marked(name).values() if "fdrnn.studies.cli" in line]
            outcome.require(not left, f"left behind by the command: {left}")
        finally:
            for one in cluster.workers:
                one.terminate()
            cluster.scheduler.terminate()
            time.sleep(15.0)
            left = list(marked(name).values())
            outcome.require(not left, f"left behind: {left}")
            outcome.facts.append(f"{len(left)} processes left")
            cluster.close()
        judge(outcome, url, expected)
    return outcome
