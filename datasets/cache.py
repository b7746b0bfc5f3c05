"""The user's cache directory: where it is, and writing into it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import platformdirs

from fdrnn.datasets.errors import CacheError, FileError
from fdrnn.datasets.files import user_path, write_atomically

_WAY_OUT = "name another directory in the environment variable FDRNN_CACHE_DIR"


def cache_directory() -> Path:
    """Return the directory for all that can be fetched or recomputed; it need not exist.

    It is the environment's ``FDRNN_CACHE_DIR`` if set, else the platform's directory for caches
    (``~/.cache/fdrnn`` on Linux).
    """
    named = os.environ.get("FDRNN_CACHE_DIR")
    return user_path(named or platformdirs.user_cache_dir("fdrnn"))


def data_directory() -> Path:
    """Return the directory of data files in the cache; it need not exist."""
    return cache_directory() / "data"


def make_directory(directory: Path) -> None:
    """Create `directory` with its parents, if it does not exist.

    Raises
    ------
    CacheError
        If it cannot be created or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(directory, error) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise _not_writable(directory, PermissionError(13, "Permission denied"))


def write_cached(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file of the cache atomically.

    Parameters
    ----------
    path
        The file; its directory is created.
    write
        Called once with the open file, which is binary.

    Raises
    ------
    CacheError
        If the directory cannot be created or the file cannot be written.
    """
    make_directory(path.parent)
    try:
        write_atomically(path, write, way_out=_WAY_OUT)
    except FileError as error:
        raise CacheError(str(error)) from error


def _not_writable(directory: Path, error: OSError) -> CacheError:
    return CacheError(
        f"the cache directory {directory} cannot be written ({error.strerror or error}); {_WAY_OUT}"
    )
