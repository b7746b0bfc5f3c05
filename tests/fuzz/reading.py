"""Reading files in a separate process, which may die, with time and memory measured.

``python -m fuzz.reading READER`` reads paths from standard input and writes an outcome each.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import fuzz

if TYPE_CHECKING:
    from fuzz.readers import Reader

LIMIT_S = 10.0
LIMIT_BYTES = 10**9
_DEADLY_S, _DEADLY_BYTES = 60, 6 * 10**9


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes
    ----------
    path
        The file.
    error
        The class of the error and its message, None if the file was read.
    is_ours
        Whether the error is an `FdrnnError`.
    seconds
        Processor time.
    n_bytes
        Memory at its peak, above what was taken before the first input.
    """

    path: Path
    error: str | None
    is_ours: bool
    seconds: float
    n_bytes: int

    @property
    def fault(self) -> str:
        """Which promise it broke, empty for none."""
        if self.error is not None and not self.is_ours:
            return self.error
        if self.seconds > LIMIT_S:
            return f"{self.seconds:.1f} s"
        return f"{self.n_bytes / 1e6:.0f} MB" if self.n_bytes > LIMIT_BYTES else ""


def read_all(reader: str, paths: list[Path]) -> list[Outcome]:
    """Read files one after another; a file that ends the process is an outcome, too."""
    outcomes: list[Outcome] = []
    while len(outcomes) < len(paths):
        left = paths[len(outcomes) :]
        environment = {**os.environ, "PYTHONPATH": str(Path(fuzz.__path__[0]).parent)}
        process = subprocess.run(
            [sys.executable, "-m", "fuzz.reading", reader],
            input="\n".join(map(str, left)),
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            check=False,
        )
        lines = process.stdout.splitlines()
        outcomes += [
            Outcome(path, *json.loads(line)) for path, line in zip(left, lines, strict=False)
        ]
        if len(lines) < len(left):
            died = f"the process ended with {process.returncode}"
            outcomes.append(Outcome(left[len(lines)], died, False, 0.0, 0))
    return outcomes


def _memory(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def _read(reader: Reader, path: Path, taken: int) -> tuple[str | None, bool, float, int]:
    from fdrnn.datasets import FdrnnError  # noqa: PLC0415 - in the child alone

    error, is_ours = None, True
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    began = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, _DEADLY_S)  # for a reader that does not end
    try:
        reader.read(path)
    except Exception as caught:
        error, is_ours = f"{type(caught).__name__}: {caught}", isinstance(caught, FdrnnError)
        is_ours &= error.isprintable() and len(error) < 2100
    signal.setitimer(signal.ITIMER_PROF, 0)
    return error, is_ours, time.process_time() - began, _memory("VmHWM") - taken


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (_DEADLY_BYTES, _DEADLY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from fuzz.readers import READERS

    taken_before = _memory("VmRSS")
    for line in sys.stdin.read().splitlines():
        print(json.dumps(_read(READERS[sys.argv[1]], Path(line), taken_before)), flush=True)
