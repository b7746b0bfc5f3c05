"""Files of a report: each written whole, all of them or none.

The files are first written into a hidden folder beside their places; only when the last is
complete do they take their names, one rename each. A reader sees an old file or a new one and
never a part of one. If a rename fails, the files in place before are put back; an interrupt waits
until all have their names. A process that is killed between two renames leaves files of both sets,
and the hidden folder, which the next one removes.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from fdrnn.reports.errors import OutputError

_CONTENTS = "fdrnn-report-contents.txt"
_STAGING = ".writing-"
_EARLIER = ".earlier"


class FileSet:
    """Files on their way into a folder; made by `file_set`.

    Parameters
    ----------
    staging
        The hidden folder.
    """

    def __init__(self, staging: Path) -> None:
        self._staging = staging
        self._names: list[str] = []

    def add(self, name: str, content: str | bytes) -> None:
        """Write a file; text as UTF-8.

        Parameters
        ----------
        name
            Path relative to the folder, with slashes.
        content
            Its whole content.
        """
        with self.open(name) as file:
            file.write(content.encode() if isinstance(content, str) else content)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file to be written piece by piece."""
        path = self._staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        self._names.append(name)

    @property
    def names(self) -> list[str]:
        """Names of the files so far, in the order in which they were added."""
        return list(self._names)


@contextmanager
def file_set(folder: Path, *, whole: bool = True) -> Iterator[FileSet]:
    """Write files into a folder as a set.

    If the block raises, nothing in the folder has changed.

    Parameters
    ----------
    folder
        Made where it is missing.
    whole
        Whether the set is a whole report. Its names are then kept in
        ``fdrnn-report-contents.txt``, and files of an earlier report that it lacks are removed,
        so that no number of an earlier report stays beside a newer one.

    Yields
    ------
    FileSet
        Takes the files.

    Raises
    ------
    OutputError
        If the folder or a file cannot be written.
    """
    try:
        made = _make_folder(folder)
        try:
            _remove_left_behind(folder)
            prefix = f"{_STAGING}{platform.node()}-{os.getpid()}-"
            # Readable by its owner alone; files made in it have the user's mask.
            staging = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
            try:
                files = FileSet(staging)
                yield files
                names = files.names
                stale = _listed(folder) - set(names) if whole else set()
                if whole:
                    files.add(_CONTENTS, "".join(f"{name}\n" for name in sorted(names)))
                with _uninterrupted():
                    _put_in_place(staging, folder, files.names)
                    _remove(folder, stale)
            finally:
                with _uninterrupted(), suppress(FileNotFoundError):
                    shutil.rmtree(staging)
        except BaseException:
            for empty in made:
                _remove_if_empty(empty)
            raise
    except OSError as error:
        if isinstance(error, OutputError) or error.strerror is None:
            raise
        place = error.filename2 or error.filename or folder
        raise OutputError(
            f"cannot write the report into {folder}: {error.strerror} ({place}); "
            "name another folder with --output"
        ) from error


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a Ctrl-C wait for the end of the block, which is short."""
    before = signal.getsignal(signal.SIGINT)
    # Interrupts come to the main thread alone; a handler that is not Python's cannot be put back.
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    interrupted = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupted:
            signal.raise_signal(signal.SIGINT)


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; return those made, the innermost first."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return made


def _listed(folder: Path) -> set[str]:
    contents = folder / _CONTENTS
    if not contents.is_file():
        return set()
    # A name that is not UTF-8 is not of a report.
    return set(contents.read_text(encoding="utf-8", errors="replace").splitlines())


def _put_in_place(staging: Path, folder: Path, names: list[str]) -> None:
    for name in names:
        # Before the first file is in place.
        if (folder / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder / name))
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    placed: list[str] = []
    try:
        for name in names:
            if (folder / name).exists():
                _keep(folder / name, staging / _EARLIER / name)
            placed.append(name)
            (staging / name).replace(folder / name)
    except BaseException:
        for name in placed:
            earlier = staging / _EARLIER / name
            if earlier.exists():
                earlier.replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
                _remove_if_empty((folder / name).parent)
        raise


def _keep(file: Path, place: Path) -> None:
    """Keep a file under a second name, so that it never lacks under its first."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.hardlink_to(file)
    except OSError:
        # A file system without hard links.
        shutil.copy2(file, place)


def _remove_left_behind(folder: Path) -> None:
    """Remove hidden folders of processes of this machine that have been killed."""
    prefix = f"{_STAGING}{platform.node()}-"
    for left in folder.iterdir():
        pid = left.name.removeprefix(prefix).split("-")[0]
        if left.name.startswith(prefix) and pid.isdigit() and not _is_alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(folder: Path, names: set[str]) -> None:
    for name in names:
        file = folder / name
        # The list is a file that anyone may have edited.
        if file.is_file() and folder.resolve() in file.resolve().parents:
            file.unlink(missing_ok=True)
            _remove_if_empty(file.parent)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
