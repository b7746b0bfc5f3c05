"""Configure and import Theano with its compiler, in this one place.

Theano reads its configuration once, at its first import, and then searches for a BLAS
unless its flags say that there is none. Every module that needs it therefore takes it from here::

    from fdrnn.model.toolchain import theano

Compiled modules go to ``compile`` in the user's cache
directory (or ``FDRNN_CACHE_DIR``), which processes may share. Flags in the environment's
``THEANO_FLAGS`` are kept and take precedence; configuration files of Theano are ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import platform
import shlex
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fdrnn.datasets import cache_directory
from fdrnn.datasets.cache import make_directory
from fdrnn.datasets.errors import shown
from fdrnn.datasets.files import write_atomically
from fdrnn.model.errors import ToolchainError

_LOCK_WAIT_S = 600


def check_toolchain() -> None:
    """Check that native operations can be compiled here.

    Raises
    ------
    ToolchainError
        If there is no C++ compiler or no Python headers.
    """
    compiler = _compiler_command()[0]
    if shutil.which(compiler) is None:
        raise ToolchainError(
            f"no C++ compiler: {compiler!r} is not on the PATH; install one "
            "(Debian: apt-get install g++) or name it in the environment variable CXX"
        )
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").is_file():
        raise ToolchainError(
            f"no Python headers: {include / 'Python.h'} is missing; install them "
            "(Debian: apt-get install python3.11-dev)"
        )


def _compiler_command() -> list[str]:
    """Return the words of the environment variable CXX, g++ where it is empty."""
    command = os.environ.get("CXX", "").strip() or "g++"
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ToolchainError(f"CXX must be a command, got {command!r} ({error})") from error


def _compiler() -> str:
    """Return the compiler as one file, which Theano needs: a script where it has more words."""
    words = _compiler_command()
    if len(words) == 1:
        return words[0]
    script = f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'.encode()
    path = compile_directory() / f"cxx-{hashlib.sha256(script).hexdigest()[:12]}"

    def write(file: BinaryIO) -> None:
        os.fchmod(file.fileno(), 0o755)
        file.write(script)

    write_atomically(path, write)
    return str(path)


def compile_directory() -> Path:
    """Return the directory of the compiled modules."""
    return cache_directory() / "compile"


def _first_line(error: BaseException) -> str:
    """Return the first informative line of an error, the compiler's of Theano's errors."""
    texts = [text for text in map(str, error.args) if text.strip()] or [type(error).__name__]
    text = next((text for text in texts if "ompilation failed" in text), texts[0])
    return text.strip().splitlines()[0][:300]


@contextlib.contextmanager
def compilation() -> Iterator[None]:
    """Compile functions without the output of Theano and the compiler.

    Raises
    ------
    ToolchainError
        If the block fails.
    """
    printed = io.StringIO()
    try:
        # Theano prints whole C files when the compiler fails.
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    except Exception as error:
        raise ToolchainError(
            f"the network cannot be compiled: {_first_line(error)}; check the compiler "
            f"{theano.config.cxx!r}{_need_of_threads()} and the free space of "
            f"{theano.config.base_compiledir}{_user_flags()}"
        ) from error


def thread_flags() -> list[str]:
    """Return the compiler's flags for the threads that OMP_NUM_THREADS asks for, if any."""
    n_threads = os.environ.get("OMP_NUM_THREADS", "1").split(",")[0].strip()
    return [] if n_threads in ("", "1") else ["-fopenmp"]


def _need_of_threads() -> str:
    return " (it must have OpenMP for more than one thread)" if thread_flags() else ""


def _user_flags() -> str:
    """Return the end of a message on flags of the environment, empty without any."""
    given = os.environ.get("THEANO_FLAGS")
    return f"; THEANO_FLAGS={shown(given)} may be at fault" if given else ""


def _escape(text: str) -> str:
    # Theano splits its flags at commas.
    return text.replace(",", r"\,")


def _flags() -> str:
    # Without the first no loop with a square root is vectorised; the second leaves no compiler a
    # choice of what to fuse; clang++ refuses Theano's C++ without the third.
    cxx = ["-fno-math-errno", "-ffp-contract=off", "-Wno-narrowing"]
    if platform.machine() == "x86_64":
        cxx.append("-mprefer-vector-width=512")
    ours = {
        "device": "cpu",
        "floatX": "float32",
        "warn_float64": "raise",
        # By default a failed optimization prints a traceback and continues.
        "on_opt_error": "raise",
        "allow_gc": "False",
        "cxx": _compiler(),
        "base_compiledir": str(compile_directory()),
        "compile__wait": "1",
        "compile__timeout": str(_LOCK_WAIT_S),
        "gcc__cxxflags": " ".join(cxx),
        "blas__ldflags": "",
    }
    given = os.environ.get("THEANO_FLAGS", "")
    flags = ",".join(f"{key}={_escape(value)}" for key, value in ours.items())
    return f"{flags},{given}" if given else flags


def _import_theano() -> Any:
    check_toolchain()
    make_directory(compile_directory())
    # The first warns that there is no BLAS; the second prints the traceback of an error that is
    # also raised.
    for name in ("theano.tensor.blas", "theano.graph.opt"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # The user's configuration files could change numbers unnoticed.
    ours = {"THEANO_FLAGS": _flags(), "THEANORC": os.devnull}
    given, at_fault = {name: os.environ.get(name) for name in ours}, _user_flags()
    os.environ.update(ours)
    try:
        import theano  # noqa: PLC0415 - must follow the flags
    except Exception as error:
        # Flags, compiler or files of the cache may be at fault.
        raise ToolchainError(f"Theano cannot be started: {_first_line(error)}{at_fault}") from error
    finally:
        # Child processes inherit the user's flags and add their own.
        for name, value in given.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    theano.graph.op.ExternalCOp.c_code_cache_version = _source_version
    return theano


def _source_version(op: Any, **_: object) -> tuple[Any, ...]:
    """Return the version of a `theano.graph.op.ExternalCOp`: a digest of its sources.

    Theano's version hashes strings with a seed that differs between processes, so that every
    process would recompile these operations, including Theano's own.
    """
    digest = hashlib.sha256("".join(op.func_codes).encode()).hexdigest()
    params = getattr(op, "params_type", None)
    return (digest, params.c_code_cache_version()) if params else (digest,)


def compiler_version() -> str:
    """Return the compiler and its version, for example ``"g++ 12"``."""
    return f"{Path(theano.config.cxx).name} {theano.configdefaults.gcc_version_str}"


theano = _import_theano()
