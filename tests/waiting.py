from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

_LIMIT_S = 240.0


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[Any] | None = None) -> None:
    """Wait until something holds; fail when it takes too long, or a process ends before."""
    until = time.monotonic() + _LIMIT_S
    while not holds():
        assert time.monotonic() < until, f"not within {_LIMIT_S:g} s"
        assert process is None or process.poll() is None, "the process has ended"
        time.sleep(0.02)
