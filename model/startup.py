"""Shorten the start of Theano in every process.

A worker process would spend a third of a second of CPU on asking the compiler for the flags of its
CPU, and as much on importing parts of SciPy that Theano does not use.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fdrnn.datasets.files import write_atomically

UNUSED = ("scipy.stats", "scipy.signal.signaltools", "scipy.signal.sigtools")
"""Modules that Theano imports and does not need at its start.

Of the first it reads a function where one of its operations runs in Python, by the name of the
package, which imports it then. The others have lost the functions for which it imports them."""

_CPU = ("vendor_id", "cpu family", "model", "stepping", "flags", "CPU ", "Features")
"""Beginnings of the lines of /proc/cpuinfo that identify a model of CPU."""


@contextlib.contextmanager
def replaced_by_empty(*names: str) -> Iterator[None]:
    """Replace modules that are not imported yet by empty ones within the block."""
    empty = {name: types.ModuleType(name) for name in names if name not in sys.modules}
    sys.modules.update(empty)
    try:
        yield
    finally:
        for name in empty:
            del sys.modules[name]


def remember_cpu_flags(theano: Any, folder: Path) -> None:
    """Read the compiler's flags for this CPU from a file, or have Theano find them and write it.

    Where there are none, as where the compiler has failed, the next process asks again.

    Parameters
    ----------
    theano
        The library, with its configuration.
    folder
        Where the file is, one for each CPU, compiler and configured flags.
    """
    from theano.configdefaults import gcc_version_str  # noqa: PLC0415 - must follow the flags
    from theano.link.c.cmodule import GCC_compiler  # noqa: PLC0415 - must follow the flags

    config = theano.config
    path = Path(shutil.which(config.cxx) or config.cxx)
    compiler = [str(path), gcc_version_str, config.gcc__cxxflags]
    if path.exists():
        compiler.append(str(path.stat().st_mtime_ns))
    digest = hashlib.sha256("\n".join([*compiler, *_cpu()]).encode()).hexdigest()[:12]
    file = folder / f"cpu-flags-{digest}.json"
    try:
        flags = json.loads(file.read_text())
    except (OSError, ValueError):
        flags = None
    if isinstance(flags, list) and flags and all(isinstance(flag, str) for flag in flags):
        GCC_compiler.march_flags = flags
        return
    GCC_compiler.compile_args()
    named = "-march=" in f"{os.environ.get('CXX')} {config.gcc__cxxflags}"
    if not (GCC_compiler.march_flags or named) and shutil.which(config.cxx):
        # Of clang++ Theano reads options that its command does not have. Modules of different CPUs
        # may share the folder, so that the flags must differ.
        flags = ["-march=native", f"-DFDRNN_CPU=0x{digest}"]
        command = [config.cxx, *flags, "-x", "c++", "-fsyntax-only", os.devnull]
        if not subprocess.run(command, capture_output=True, check=False).returncode:
            GCC_compiler.march_flags = flags
    if GCC_compiler.march_flags:
        write_atomically(file, json.dumps(GCC_compiler.march_flags).encode())


def _cpu() -> list[str]:
    """Return the lines of the first processor that identify its model."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return []
    return [line for line in first.splitlines() if line.startswith(_CPU)]
