"""Paths as a user gives them."""

from __future__ import annotations

import errno
from pathlib import Path

from fdrnn.datasets.errors import PathError

_NO_PLACE = {errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP}


def is_file(path: Path) -> bool:
    """Tell whether `path` is a file.

    Raises
    ------
    PathError
        If this user may not look at it, which is not to say that it is not there.
    """
    try:
        return path.is_file()
    except OSError as error:
        raise _unseen(path, error) from error


def user_path(text: str | Path) -> Path:
    """Return the absolute path that `text` names, ``~`` and ``~user`` expanded.

    Raises
    ------
    PathError
        If there is no such home folder, the text can be no path, or it names a place that this
        user may not look at. Whether something is there is not asked.
    """
    if "\0" in str(text):
        raise PathError(f"a path must not hold a null character, got {str(text)!r}")
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise PathError(f"{str(text)!r} is no path: {error}; write it out in full") from error
    try:
        path.stat()
    except OSError as error:
        if error.errno in _NO_PLACE:
            raise _unseen(path, error) from error
    return path


def _unseen(path: Path, error: OSError) -> PathError:
    return PathError(f"{path} cannot be looked at: {error.strerror}; name another path")
