"""Theano with its compiler and BLAS: the one place that configures and imports it.

Theano reads its configuration once, at its first import, and refuses to be imported without
BLAS flags. Every module that needs it therefore takes it from here::

    from fdrnn.model.toolchain import theano

The BLAS is chosen by `fdrnn.model.blas`. Compiled modules go to ``compile`` in the user's cache
directory (or ``FDRNN_CACHE_DIR``), which processes may share. Flags in the environment's
``THEANO_FLAGS`` are kept and take precedence.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import platform
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fdrnn.datasets import cache_directory
from fdrnn.datasets.cache import make_directory
from fdrnn.model.blas import linked_blas
from fdrnn.model.errors import ToolchainError

_LOCK_WAIT_S = 600


def check_toolchain() -> None:
    """Check that native operations can be compiled here.

    Raises
    ------
    ToolchainError
        If there is no C++ compiler or no Python headers; the line says what to install.
    """
    compiler = os.environ.get("CXX", "g++")
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


def compile_directory() -> Path:
    """Directory of the compiled modules."""
    return cache_directory() / "compile"


def _first_line(error: BaseException) -> str:
    """Return the first line of an error that says something: of Theano's, the compiler's."""
    texts = [text for text in map(str, error.args) if text.strip()] or [type(error).__name__]
    text = next((text for text in texts if "ompilation failed" in text), texts[0])
    return text.strip().splitlines()[0][:300]


@contextlib.contextmanager
def compilation() -> Iterator[None]:
    """Compile functions; what Theano and the compiler print is kept from the user's screen.

    Raises
    ------
    ToolchainError
        If the block fails: for want of a compiler or of space, say.
    """
    said = io.StringIO()
    try:
        # Theano prints whole C files when the compiler fails.
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield
    except Exception as error:
        raise ToolchainError(
            f"the network cannot be compiled: {_first_line(error)}; see that the compiler "
            f"{theano.config.cxx!r} works and that {theano.config.base_compiledir} has room"
        ) from error


def _escape(text: str) -> str:
    # Theano splits its flags at commas.
    return text.replace(",", r"\,")


def _flags() -> str:
    blas = linked_blas()
    # Without the first of these no loop that takes a square root is vectorised.
    cxx = ["-fno-math-errno", *blas.definitions]
    if platform.machine() == "x86_64":
        cxx.append("-mprefer-vector-width=512")
    ours = {
        "device": "cpu",
        "floatX": "float32",
        "warn_float64": "raise",
        # An optimization that fails would else print a traceback, and the next one, and go on.
        "on_opt_error": "raise",
        "allow_gc": "False",
        "cxx": os.environ.get("CXX", "g++"),
        "base_compiledir": str(compile_directory()),
        "compile__wait": "1",
        "compile__timeout": str(_LOCK_WAIT_S),
        "gcc__cxxflags": " ".join(cxx),
        "blas__ldflags": blas.link_flags,
    }
    given = os.environ.get("THEANO_FLAGS", "")
    flags = ",".join(f"{key}={_escape(value)}" for key, value in ours.items())
    return f"{flags},{given}" if given else flags


def _import_theano() -> Any:
    check_toolchain()
    make_directory(compile_directory())
    # MKL reads these when it is loaded: no threads of its own unless they are asked for, and
    # results that do not depend on where in memory an array lies.
    os.environ.setdefault("MKL_THREADING_LAYER", "SEQUENTIAL")
    os.environ.setdefault("MKL_CBWR", "AUTO")
    # The one warns of a library with a version in its name, which links all the same; the other
    # prints the traceback of an error that is raised as well.
    for name in ("theano.tensor.blas", "theano.graph.opt"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    given = os.environ.get("THEANO_FLAGS")
    os.environ["THEANO_FLAGS"] = _flags()
    try:
        import theano  # noqa: PLC0415 - must follow the flags
    except Exception as error:
        # Whatever it stumbles over: flags, compiler, the files of its cache.
        raise ToolchainError(f"Theano cannot be started: {_first_line(error)}") from error
    finally:
        # Processes started from here find what the user set, and make their own.
        if given is None:
            del os.environ["THEANO_FLAGS"]
        else:
            os.environ["THEANO_FLAGS"] = given
    theano.graph.op.ExternalCOp.c_code_cache_version = _source_version
    return theano


def _source_version(op: Any, **_: object) -> tuple[Any, ...]:
    """Version of a `theano.graph.op.ExternalCOp`: a digest of its sources.

    Theano's own hashes strings, by a seed that differs between processes, so that every process
    would compile these operations again, Theano's own ones included.
    """
    digest = hashlib.sha256("".join(op.func_codes).encode()).hexdigest()
    params = getattr(op, "params_type", None)
    return (digest, params.c_code_cache_version()) if params else (digest,)


theano = _import_theano()
