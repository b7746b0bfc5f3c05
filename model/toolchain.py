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
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock

from fdrnn.datasets import cache_directory
from fdrnn.datasets.cache import make_directory
from fdrnn.datasets.errors import shown
from fdrnn.datasets.files import write_atomically
from fdrnn.model.errors import ToolchainError
from fdrnn.model.startup import UNUSED, remember_cpu_flags, replaced_by_empty

_LOCK_WAIT_S = 600
_GNU = re.compile(r"(^|-)g\+\+(-\d+)?$")
_INCLUDE = "-include"
_HEADERS = b"""\
#include <Python.h>
#include <iostream>
#include "theano_mod_helper.h"
#include <math.h>
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>
#include <vector>
#include <algorithm>
"""


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
    """Return the compiler as one file, which Theano needs: a script where it has more words.

    Theano asks only a compiler with g++ in its path for the flags of the CPU, so that one of
    another name has a script as well.
    """
    words = _compiler_command()
    if len(words) == 1 and "g++" in words[0]:
        return words[0]
    script = f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'.encode()
    # Theano's flags would follow those of the command, and replace its CPU.
    name = "cxx" if any(word.startswith("-march=") for word in words) else "g++"
    path = compile_directory() / f"{name}-{hashlib.sha256(script).hexdigest()[:12]}"
    # Written again, it would count as a new compiler, whose flags are not known yet.
    if path.exists():
        return str(path)

    def write(file: BinaryIO) -> None:
        os.fchmod(file.fileno(), 0o755)
        file.write(script)

    write_atomically(path, write)
    return str(path)


def compile_directory() -> Path:
    """Return the directory of the compiled modules."""
    return cache_directory() / "compile"


def has_compiled() -> bool:
    """Return whether networks have been compiled on this machine before."""
    return any(compile_directory().glob("compiledir_*/tmp*/key.pkl"))


def _first_line(error: BaseException) -> str:
    """Return the first informative line of an error, the compiler's of Theano's errors."""
    # The first argument of an OSError is its number.
    said = [str(error)] if isinstance(error, OSError) else map(str, error.args)
    texts = [text for text in said if text.strip()] or [type(error).__name__]
    text = next((text for text in texts if "ompilation failed" in text), texts[0])
    return text.strip().splitlines()[0][:300]


def compiled(inputs: Sequence[Any], outputs: Sequence[Any], **options: Any) -> Any:
    """Return a compiled function, as `theano.function`, without the output of the compiler.

    The expressions are built before: an error in building them is one of the program.

    Raises
    ------
    ToolchainError
        If it cannot be compiled on this machine.
    """
    printed = io.StringIO()
    try:
        # Theano prints whole C files when the compiler fails.
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            return theano.function(inputs, outputs, **options)
    except Exception as error:
        raise ToolchainError(
            f"the network cannot be compiled: {_first_line(error)}; check the compiler "
            f"{theano.config.cxx!r}{_need_of_threads()} and the free space of "
            f"{theano.config.base_compiledir}, where files may be damaged: `fdrnn cache clear "
            f"compile` deletes them{_user_flags()}"
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
    # Theano splits its flags at commas, with the quotes and comments of a shell.
    return re.sub(r"([,\\'\"#])", r"\\\1", text)


def _flags() -> str:
    # Without the first no loop with a square root is vectorised, without the second no selection;
    # the third leaves no compiler a choice of what to fuse; clang++ refuses Theano's C++ without
    # the fourth; the last undoes Theano's -g.
    cxx = ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-Wno-narrowing", "-g0"]
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
        with replaced_by_empty(*UNUSED):
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
    remember_cpu_flags(theano, compile_directory())
    _precompile_headers(theano)
    _lock_modules()
    return theano


def _precompile_headers(theano: Any) -> None:
    """Have g++ parse once what every module includes, two thirds of the time of a small one."""
    # THEANO_FLAGS may name another. clang++ refuses headers whose files have another time than they
    # had, as those of a NumPy that was installed again.
    path = shutil.which(_compiler_command()[0]) if theano.config.cxx == _compiler() else None
    if path is None or not _GNU.search(Path(path).resolve().name):
        return
    command = _module_command(theano)
    # g++ does not notice headers that changed.
    versions = [_compiler_version(theano), np.__version__, theano.__version__, sys.version]
    content = "\0".join([*command, *versions]).encode() + _HEADERS
    digest = hashlib.sha256(content).hexdigest()[:12]
    header = compile_directory().resolve() / f"headers-{digest}.h"
    # Theano splits its flags at spaces.
    if len(str(header).split()) > 1:
        return
    precompiled = header.with_suffix(".h.gch")
    if not (header.exists() and precompiled.exists()):
        write_atomically(header, lambda file: file.write(_HEADERS))
        with tempfile.TemporaryDirectory(dir=compile_directory()) as folder:
            made = Path(folder) / "made.gch"
            command += ["-x", "c++-header", str(header), "-o", str(made)]
            # Where it fails, compiling a module will, with a message.
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return
            made.replace(precompiled)
    theano.config.gcc__cxxflags += f" {_INCLUDE} {header}"


def compiler_command() -> list[str]:
    """Return the command that compiles operations, without their files."""
    return [*_module_command(theano), *thread_flags()]


def _module_command(theano: Any) -> list[str]:
    from theano.link.c import basic, cmodule  # noqa: PLC0415 - must follow the flags

    linker = basic.CLinker()
    linker.variables, linker.node_order = [], []
    folders = [f"-I{folder}" for folder in cmodule.std_include_dirs()]
    return [theano.config.cxx, *linker.compile_args(), *folders, "-fvisibility=hidden"]


def compile_object(name: str, source: str) -> Path:
    """Return the object file of C++, compiled where the compile directory lacks it.

    Its name has a digest of the source, the compiler and the flags; one of several processes that
    need it at once compiles it.

    Parameters
    ----------
    name
        What the file's name begins with.
    source
        C++ that includes what it needs, compiled by `compiler_command`.

    Raises
    ------
    ToolchainError
        If it cannot be compiled.
    """
    command = compiler_command()
    digest = hashlib.sha256("\0".join([*command, compiler_version(), source]).encode()).hexdigest()
    path = compile_directory().resolve() / f"{name}-{digest[:12]}.o"
    if path.exists():
        return path
    with FileLock(path.with_suffix(".lock"), timeout=_LOCK_WAIT_S):
        if path.exists():
            return path
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            command += ["-x", "c++", "-", "-c", "-o", str(made)]
            done = subprocess.run(
                command, input=source, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise ToolchainError(f"compilation failed: {' '.join(done.stderr.split())}")
            made.replace(path)
    return path


def _lock_modules() -> None:
    """Let processes compile different modules at the same time; Theano has one lock for all."""
    from theano.compile import compilelock  # noqa: PLC0415 - must follow the flags
    from theano.link.c import cmodule  # noqa: PLC0415

    compile_module = cmodule.ModuleCache.module_from_key

    def module_from_key(cache: Any, key: Any, lnk: Any = None) -> Any:
        module = cache._get_from_key(key)
        if module is not None:
            return module
        digest = cmodule.get_module_hash(lnk.get_src_code(), key)
        # What Theano finds here it takes for its own lock, held already.
        held, own = compilelock.local_mem._locks, f"{cache.dirname}-{os.getpid()}"
        with FileLock(Path(cache.dirname) / f"{digest[1:3]}.lock", timeout=_LOCK_WAIT_S):
            held[own] = True
            try:
                return compile_module(cache, key, lnk)
            finally:
                held.pop(own, None)

    cmodule.ModuleCache.module_from_key = module_from_key


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
    return _compiler_version(theano)


def _compiler_version(theano: Any) -> str:
    return f"{Path(theano.config.cxx).name} {theano.configdefaults.gcc_version_str}"


theano = _import_theano()
