"""The C of `model/native/` compiled alone, in every way whose results must have the same bits."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import fdrnn.model

_NATIVE = Path(fdrnn.model.__file__).parent / "native"
_PRELUDE = """
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
typedef std::ptrdiff_t npy_intp;
"""
# As the operations are compiled, but for optimization and the instructions used.
_FLAGS = ("-std=c++17", "-shared", "-fPIC", "-Wno-psabi", "-fno-math-errno", "-ffp-contract=off")


def _has(instructions: str) -> bool:
    cpu = Path("/proc/cpuinfo")
    return cpu.is_file() and instructions in cpu.read_text().split()


BUILDS = {
    "g++ -O3": ("g++", "-O3", "-march=native"),
    "g++ -O2, 16 bytes": ("g++", "-O2", "-march=native", "-DFDRNN_VECTOR_BYTES=16"),
    "g++ -O2, threads": ("g++", "-O2", "-march=native", "-fopenmp", "-DFDRNN_THREAD_WORK=9"),
    "clang++ -O3": ("clang++", "-O3", "-march=native"),
    "clang++ -O2, 16 bytes": ("clang++", "-O2", "-march=native", "-DFDRNN_VECTOR_BYTES=16"),
}
"""Compiler and flags by name; those whose compiler is missing are left out."""
if _has("avx512f"):
    BUILDS["g++ -O3, 32 bytes"] = ("g++", "-O3", "-march=native", "-DFDRNN_VECTOR_BYTES=32")
if _has("sse2"):
    # The fused multiply-add is then a function of the C library.
    BUILDS["g++ -O2, no FMA"] = ("g++", "-O2", "-march=x86-64")
BUILDS = {name: build for name, build in BUILDS.items() if shutil.which(build[0])}


@functools.cache
def library(name: str, sources: Sequence[str], functions: str) -> ctypes.CDLL:
    """Return `functions`, C++ text, with native files (without ``.c``) as the build `name`."""
    texts = [(_NATIVE / f"{source}.c").read_text() for source in sources]
    native = "\n".join(text.replace("#section support_code\n", "") for text in texts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "native.so"
        subprocess.run(
            [*BUILDS[name], *_FLAGS, "-x", "c++", "-", "-o", str(path)],
            input=_PRELUDE + native + functions,
            text=True,
            check=True,
        )
        return ctypes.CDLL(str(path))
