"""Files as users name them: paths, bounded reading of regular files, atomic writing.

Everything in fdrnn that reads a file which a user names reads it by `read_file` or `open_file`,
and everything that writes one writes it by `write_atomically`.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from fdrnn.datasets.errors import FileError, MissingFileError, PathError, shown

MIB, GIB = 2**20, 2**30
"""Sizes in bytes."""

_UNITS = (("GiB", GIB), ("MiB", MIB), ("KiB", 2**10))
_UNUSABLE = {errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP}
_TYPES = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def user_path(text: str | Path) -> Path:
    """Return the absolute path that `text` names, ``~`` and ``~user`` expanded, without ``..``.

    Raises
    ------
    PathError
        If there is no such home folder, `text` is not a valid path, or it names a place that
        this user may not access. The place need not exist.
    """
    try:
        path = Path(text).expanduser().absolute()
    # No such home folder, or the current directory was removed.
    except (RuntimeError, OSError) as error:
        raise PathError(
            f"{shown(str(text))} is not a valid path: {error}; write it out in full"
        ) from error
    try:
        path.stat()
    except OSError as error:
        if error.errno in _UNUSABLE:
            raise _inaccessible(path, error) from error
    except ValueError as error:
        raise PathError(f"{shown(str(text))} is not a valid path: {error}") from error
    # "a/../b" is "b", unless a is a link to elsewhere.
    short = os.path.normpath(path)
    return Path(short) if os.path.realpath(short) == os.path.realpath(path) else path


def is_file(path: Path) -> bool:
    """Return whether `path` is a regular file.

    Raises
    ------
    PathError
        If this user may not access the place.
    """
    try:
        return path.is_file()
    except OSError as error:
        raise _inaccessible(path, error) from error


def open_file(path: Path, *, limit_bytes: int = GIB, what: str = "file") -> BinaryIO:
    """Open a regular file for binary reading.

    Named pipes, devices and directories are refused without being opened or waited for.

    Parameters
    ----------
    path
        The file, as `user_path` returns it.
    limit_bytes
        Largest size that is accepted, in bytes.
    what
        What an error calls it, for example ``"data file"``.

    Raises
    ------
    MissingFileError
        If it does not exist.
    FileError
        If it is not a regular file, is larger than `limit_bytes`, or cannot be opened.
    """
    try:
        _require_regular(path, path.stat().st_mode, what)
        # The path may name something else by now: do not wait for the writer of a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            _require_regular(path, status.st_mode, what)
            _require_size(path, status.st_size, limit_bytes, what)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
    except FileNotFoundError as error:
        raise MissingFileError(f"there is no {what} {path}") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def read_file(path: Path, *, limit_bytes: int = GIB, what: str = "file") -> bytes:
    """Return the content of a regular file; parameters and errors are those of `open_file`."""
    with open_file(path, limit_bytes=limit_bytes, what=what) as file:
        try:
            content = file.read(limit_bytes + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
    _require_size(path, len(content), limit_bytes, what)
    return content


def write_atomically(
    path: Path,
    content: bytes | Callable[[BinaryIO], object],
    *,
    way_out: str = "name another path",
) -> None:
    """Write a file so that readers, and a crash, find the old file or the new one.

    The bytes are written into a temporary file beside `path`, flushed to the disk and renamed.
    Of several writers the last one wins. A symbolic link stays, and its target is replaced.
    A killed process may leave a file ``.fdrnn-*.part``.

    Parameters
    ----------
    path
        The file; its folder is created. Its permissions are those of the user's umask.
    content
        The bytes, or a function that writes them into the open file passed to it.
    way_out
        What the user can do if it fails, the end of the error's line.

    Raises
    ------
    FileError
        If the folder cannot be created, the file cannot be written, or `path` is a device, a
        named pipe, a socket or a directory.
    """
    try:
        if path.exists():
            _require_regular(path, path.stat().st_mode, "file to write")
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f".fdrnn-{secrets.token_hex(8)}.part"
        try:
            with temporary.open("xb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            f"{path} cannot be written: {error.strerror or error}; {way_out}"
        ) from error


def _require_regular(path: Path, mode: int, what: str) -> None:
    if not stat.S_ISREG(mode):
        found = _TYPES.get(stat.S_IFMT(mode), "no regular file")
        article = "an" if what[0] in "aeiou" else "a"
        raise FileError(f"{path} is {found}; {article} {what} must be a regular file")


def _require_size(path: Path, size: int, limit_bytes: int, what: str) -> None:
    if size > limit_bytes:
        raise FileError(
            f"{path} is too large: a {what} may have at most {size_shown(limit_bytes)}, "
            f"got {size_shown(size)}"
        )


def size_shown(n_bytes: int) -> str:
    """Return a number of bytes as text for a message, for example ``"64 MiB"``."""
    unit, scale = next(((name, scale) for name, scale in _UNITS if n_bytes >= scale), ("bytes", 1))
    return f"{n_bytes / scale:.4g} {unit}"


def _unreadable(path: Path, error: OSError) -> FileError:
    if isinstance(error, FileError):
        return error
    return FileError(f"{path} cannot be read: {error.strerror or error}")


def _inaccessible(path: Path, error: OSError) -> PathError:
    return PathError(f"{path} cannot be accessed: {error.strerror}; name another path")
