"""Files of a report, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fdrnn.reports.errors import OutputError


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; its folder is made where it is missing.

    The content goes to a temporary file in the same folder, which then takes the file's name, so
    that a reader sees the old content or the new one and never a part.

    Parameters
    ----------
    path
        The file; an existing one is replaced.
    content
        Its whole content.

    Raises
    ------
    OutputError
        If the folder or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
            # A file made by open() has the permissions of the user's umask, one of
            # NamedTemporaryFile would be readable by its owner alone.
            temporary = Path(folder) / path.name
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write the report {path}: {error.strerror}; name another folder with --output"
        ) from error
