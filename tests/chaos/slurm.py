"""A Slurm of one node, Debian's `slurm-wlm` and `munge`, and workers that it starts.

Only root may run it. Its configuration, state and key are in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.disturbances import judge, wait_for_epochs
from chaos.engines import MARK, OPTIONS, marked
from chaos.outcome import Outcome
from chaos.stores import empty_store
from chaos.study import Numbers, create, fdrnn, is_finished
from postgres import PostgresServer

_SCRIPT = Path(__file__).parents[2] / "studies" / "cluster" / "slurm.sh"
_LIMIT_S = 2400.0
_NODE = socket.gethostname().partition(".")[0]
_CONFIGURATION = """\
ClusterName=chaos
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/daemon.pid
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/daemon.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=30
NodeName={node} NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
_JOBQUEUE = """\
jobqueue:
  slurm:
    cores: 1
    processes: 1
    memory: 2GB
    walltime: "00:03:00"
    interface: null
    log-directory: {folder}
    local-directory: {folder}
    scheduler-options: {{host: 127.0.0.1}}
"""


@dataclass
class Slurm:
    """The commands of a Slurm that runs.

    Attributes
    ----------
    folder
        Its configuration, its state, and what its jobs print.
    environment
        With which its commands run.
    """

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: object) -> str:
        """Run a command of Slurm and return what it prints."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout.strip()

    def jobs(self) -> dict[str, str]:
        """Return the states of jobs by their numbers."""
        lines = self.run("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return {line.split()[0]: line.split()[1] for line in lines}

    def log(self) -> str:
        """Return what the jobs have printed."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


@contextmanager
def slurm(environment: Mapping[str, str]) -> Iterator[Slurm]:
    """Run a controller and a node until the end of the context."""
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="fdrnn-slurm-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for made in ("state", "spool", "jobs"):
            (folder / made).mkdir()
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o600)
        (folder / "slurm.conf").write_text(
            _CONFIGURATION.format(
                folder=folder, node=_NODE, controller=_free_port(), daemon=_free_port()
            )
        )
        variables = {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"}
        variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
        running = Slurm(folder / "jobs", {**variables, **environment})
        munge = ("--foreground", "--force", "--key-file", folder / "key", "--socket")
        munge = (*munge, folder / "munge", "--pid-file", folder / "munge.pid")
        munge = (*munge, "--log-file", folder / "munge.log", "--seed-file", folder / "seed")
        try:
            for command in (("munged", *munge), ("slurmctld", "-D", "-i"), ("slurmd", "-D")):
                with (folder / "daemons.log").open("ab") as log:
                    started.append(
                        subprocess.Popen(
                            [str(word) for word in command],
                            env=variables,
                            stdout=log,
                            stderr=log,
                        )
                    )
                time.sleep(2.0)
            _until(lambda: "idle" in running.run("sinfo", "--noheader"), 60.0)
            yield running
        except (RuntimeError, TimeoutError) as error:
            logs = [path.read_text(errors="replace")[-2000:] for path in folder.glob("*.log")]
            raise RuntimeError(f"{error}\n{' '.join(logs)}") from error
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _until(holds: Callable[[], bool], limit_s: float = _LIMIT_S) -> None:
    until = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {limit_s:g} s")
        time.sleep(1.0)


def arrays(server: PostgresServer, definition: Path, expected: Numbers) -> Outcome:
    """Run the script for Slurm as an array of jobs; signal, requeue and drain them."""
    outcome = Outcome("an array of jobs of a Slurm of one node")
    if shutil.which("slurmctld") is None:
        outcome.faults.append("no Slurm: install Debian's slurm-wlm and munge")
        return outcome
    with empty_store("postgresql", server) as url, tempfile.NamedTemporaryFile("w") as file:
        file.write(url)
        file.flush()
        create(url, definition)
        with slurm({MARK: file.name, "FDRNN_STORAGE": f"@{file.name}"}) as running:
            # The time limit is four minutes; the signal comes after three.
            submitted = ("sbatch", "--parsable", "--array=1-3", "--time=4", "--mem=1G")
            job = running.run(*submitted, _SCRIPT, "small")
            wait_for_epochs(url)
            running.run("scancel", "--signal=TERM", f"{job}_1")
            _until(lambda: running.jobs().get(f"{job}_1") == "PENDING")
            outcome.facts.append("scancel --signal=TERM: the task is queued again")
            running.run("scontrol", "requeue", f"{job}_2")
            _until(lambda: running.jobs().get(f"{job}_2") == "PENDING")
            outcome.facts.append("scontrol requeue: the task is queued again")
            running.run("scontrol", "update", f"NodeName={_NODE}", "State=DRAIN", "Reason=chaos")
            _until(lambda: "RUNNING" not in running.jobs().values())
            outcome.facts.append(f"node drained after the time limit: {running.jobs()}")
            outcome.require(not is_finished(url), "the study ended before the node was drained")
            waiting = set(running.jobs().values())
            outcome.require(waiting == {"PENDING"}, f"tasks are {waiting}, not queued again")
            left = list(marked(file.name).values())
            outcome.require(not left, f"left behind on the drained node: {left}")
            running.run("scontrol", "update", f"NodeName={_NODE}", "State=RESUME")
            _until(lambda: is_finished(url) and not running.jobs())
            outcome.require("Traceback" not in running.log(), running.log()[-2000:])
            outcome.facts.append(f"{running.log().count('stopping:')} stops by a signal")
        judge(outcome, url, expected)
    return outcome


def jobqueue(server: PostgresServer, definition: Path, expected: Numbers) -> Outcome:
    """Let dask-jobqueue make jobs of a wall time shorter than the study; cancel one."""
    outcome = Outcome("dask-jobqueue on a Slurm of one node")
    if shutil.which("slurmctld") is None:
        outcome.faults.append("no Slurm: install Debian's slurm-wlm and munge")
        return outcome
    with (
        empty_store("postgresql", server) as url,
        tempfile.TemporaryDirectory(prefix="fdrnn-chaos-") as name,
    ):
        create(url, definition)
        (Path(name) / "jobqueue.yaml").write_text(_JOBQUEUE.format(folder=name))
        environment = {MARK: name, "FDRNN_STORAGE": url, "DASK_CONFIG": name}
        log = Path(name) / "log"
        with slurm(environment) as running, log.open("wb") as out:
            arguments = ("--dask", "jobqueue:slurm", "--workers", 3, *OPTIONS)
            command = subprocess.Popen(
                fdrnn("run", definition, *arguments, "--output", Path(name) / "report"),
                env=running.environment,
                stdout=out,
                stderr=out,
            )
            try:
                begun, seen = time.monotonic(), set()
                wait_for_epochs(url)
                time.sleep(20.0)
                running.run("scancel", next(iter(running.jobs())))
                while command.poll() is None and time.monotonic() < begun + _LIMIT_S:
                    seen |= running.jobs().keys()
                    time.sleep(2.0)
                code = command.wait(1.0)
            finally:
                command.kill()
            text = log.read_text()
            outcome.facts.append(f"{len(seen)} jobs in {time.monotonic() - begun:.0f} s")
            outcome.require(code == 0, f"the command ended with {code}: {text[-2000:]}")
            outcome.require("Traceback" not in text, "the command printed a traceback")
            outcome.require(len(seen) > 4, "the study ended before the wall time")
            _until(lambda: not running.jobs(), 120.0)
            left = list(marked(name).values())
            outcome.require(not left, f"left behind: {left}")
        judge(outcome, url, expected)
    return outcome
