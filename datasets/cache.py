"""The user's cache directory and files written into it whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import platformdirs

from fdrnn.datasets.errors import CacheError
from fdrnn.datasets.paths import user_path


def cache_directory() -> Path:
    """Return the directory of everything that can be fetched or computed again.

    It is the environment's ``FDRNN_CACHE_DIR`` if set, else the platform's place for caches
    (``~/.cache/fdrnn`` on Linux). It need not exist.
    """
    named = os.environ.get("FDRNN_CACHE_DIR")
    return user_path(named or platformdirs.user_cache_dir("fdrnn"))


def data_directory() -> Path:
    """Return the part of the cache directory that holds data files; it need not exist."""
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


def make_readable(path: Path) -> None:
    """Let every user read a file: a cache may be shared, a temporary file is its owner's alone."""
    path.chmod(0o644)


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file of the cache so that no reader ever sees a part of it.

    The bytes go to a temporary file beside `path`, which then takes its name. Of several
    writers the last one wins; readers see either's whole file.

    Parameters
    ----------
    path
        The file; its directory is created.
    write
        Called once with the temporary file, open for binary writing.

    Raises
    ------
    CacheError
        If the directory cannot be created or the file not written.
    """
    make_directory(path.parent)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
            make_readable(Path(temporary))
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _not_writable(path.parent, error) from error


def _not_writable(directory: Path, error: OSError) -> CacheError:
    return CacheError(
        f"the cache directory {directory} cannot be written ({error.strerror or error}); "
        "name another one in the environment variable FDRNN_CACHE_DIR"
    )
