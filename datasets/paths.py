"""Paths as a user gives them."""

from __future__ import annotations

from pathlib import Path

from fdrnn.datasets.errors import PathError


def user_path(text: str | Path) -> Path:
    """Return the absolute path that `text` names, ``~`` and ``~user`` expanded.

    Raises
    ------
    PathError
        If there is no such home folder, or the text can be no path.
    """
    if "\0" in str(text):
        raise PathError(f"a path must not hold a null character, got {str(text)!r}")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise PathError(f"{str(text)!r} is no path: {error}; write it out in full") from error
