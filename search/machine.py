"""The machine of a worker: its cores, its CPU and BLAS, and the version of this code."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import threadpoolctl

_BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_CPU_MODEL_KEY = "model name"


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def limit_threads(n_threads: int) -> None:
    """Limit this process's training to a number of threads, and NumPy's linear algebra to one.

    Neither changes a bit. Loaded libraries are limited directly, those that are loaded later, and
    how `fdrnn.model` compiles, by the environment.
    """
    os.environ.update(dict.fromkeys(_BLAS_VARIABLES, "1"))
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
    threadpoolctl.threadpool_limits({"blas": 1, "openmp": n_threads})


def describe_machine() -> str:
    """Return the CPU, the compiler and each loaded BLAS.

    The last bits of spectral radii depend on the CPU and the BLAS, no other number on any of them.

    Returns
    -------
    str
        For example ``"AMD EPYC 7B13; g++ 12; openblas 0.3.34 Zen, 1 thread"``, followed by the
        user's THEANO_FLAGS, if any; no compiler in a process that has not compiled.
    """
    libraries = {
        " ".join(
            str(library[key])
            for key in ("internal_api", "version", "architecture")
            if library.get(key)
        )
        + f", {library['num_threads']} thread{'s' if library['num_threads'] > 1 else ''}"
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas"
    }
    flags = os.environ.get("THEANO_FLAGS")
    return "; ".join(
        [
            _cpu_model(),
            *_compiler(),
            *sorted(libraries),
            *([f"THEANO_FLAGS={flags}"] if flags else []),
        ]
    )


def _compiler() -> list[str]:
    toolchain = sys.modules.get("fdrnn.model.toolchain")
    return [toolchain.compiler_version()] if toolchain else []


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == _CPU_MODEL_KEY:
            return value.strip()
    # Some architectures' kernels name no model.
    return platform.machine()


def code_version() -> str:
    """Return the version of fdrnn; ``"not installed"`` if it runs from its source alone."""
    try:
        return importlib.metadata.version("fdrnn")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
