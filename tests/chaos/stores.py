"""Empty stores to be disturbed, on each kind of database."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postgres import PostgresServer

BACKENDS = ("sqlite", "postgresql")


@contextmanager
def empty_store(backend: str, server: PostgresServer | None) -> Iterator[str]:
    """Give the URL of a store that is not initialized, and remove it in the end."""
    if backend == "postgresql":
        assert server is not None
        database = server.create_database()
        yield server.url(database)
        server.drop_database(database)
        return
    with tempfile.TemporaryDirectory(prefix="fdrnn-chaos-") as folder:
        yield f"sqlite:///{Path(folder) / 'store.sqlite3'}"


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount a file system in memory; only root may."""
    with tempfile.TemporaryDirectory(prefix="fdrnn-small-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "fdrnn-small", folder]
        subprocess.run(mount, check=True, capture_output=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
