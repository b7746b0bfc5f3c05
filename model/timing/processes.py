"""Time what needs other processes: compilation, memory, several workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from fdrnn.model.errors import BenchmarkError

_COMPILE = "from fdrnn.model.network import network; network('fast_dropout', 'bernoulli')"
_TRIAL = """
import json, sys, time
from pathlib import Path
from dataclasses import replace
from fdrnn.datasets import load
from fdrnn.model import TrainingSettings
from fdrnn.model.timing.step import HYPERPARAMETERS
from fdrnn.model.trainer import Trainer

name, data_dir, n_hidden, epochs = json.loads(sys.argv[1])
hyperparameters = replace(HYPERPARAMETERS, n_hidden=n_hidden, step_rate=1e-4)
settings = TrainingSettings(max_epochs=epochs)
dataset = load(name, Path(data_dir) if data_dir else None)
trainer = Trainer(dataset, "fast_dropout", hyperparameters, settings, 0)
begin = time.perf_counter()
while not trainer.finished:
    trainer.run_epoch()
trainer.result()
seconds = time.perf_counter() - begin
# Not ru_maxrss, which starts at the memory of the parent process.
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
print(json.dumps([seconds, peak]))
"""


@dataclass(frozen=True, kw_only=True)
class CompileTimes:
    """Wall times of a process that imports and compiles the network.

    Attributes
    ----------
    cold_s
        With an empty compile directory.
    warm_s
        With the compiled modules there.
    """

    cold_s: float
    warm_s: float


def time_compilation() -> CompileTimes:
    """Compile twice into a temporary directory.

    Raises
    ------
    BenchmarkError
        If the process fails.
    """
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "FDRNN_CACHE_DIR": cache}
        seconds = []
        for _ in range(2):
            begin = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", _COMPILE], env=environment, check=False)
            _require_success("compilation", done.returncode)
            seconds.append(time.perf_counter() - begin)
    return CompileTimes(cold_s=seconds[0], warm_s=seconds[1])


@dataclass(frozen=True, kw_only=True)
class TrialCost:
    """Time and memory of a short trial in another process.

    Attributes
    ----------
    seconds
        Training, validation and test, without start and compilation.
    peak_bytes
        Largest resident memory of the process, data included.
    """

    seconds: float
    peak_bytes: int


def run_trials(
    n_processes: int, dataset: str, data_dir: Path | None, n_hidden: int, n_epochs: int
) -> list[TrialCost]:
    """Run one short trial in each of several processes at once.

    Raises
    ------
    BenchmarkError
        If a process fails; the others are stopped.
    """
    arguments = json.dumps([dataset, str(data_dir) if data_dir else None, n_hidden, n_epochs])
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _TRIAL, arguments],
            env={**os.environ, **one_thread},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(n_processes)
    ]
    costs = []
    try:
        for process in processes:
            output, _ = process.communicate()
            _require_success("a trial", process.returncode)
            seconds, peak_bytes = json.loads(output)
            costs.append(TrialCost(seconds=seconds, peak_bytes=peak_bytes))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return costs


def _require_success(what: str, code: int) -> None:
    if code:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise BenchmarkError(f"{what} of the benchmark {how}; see its output above")
