"""``fdrnn cache``: what the cache directory holds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from fdrnn.datasets import cache_directory
from fdrnn.datasets.errors import CacheError, UnknownNameError
from fdrnn.studies.cli.options import commands
from fdrnn.studies.cli.tables import print_table
from fdrnn.studies.cli.units import file_size

PARTS = {
    "data": "downloaded and parsed data sets",
    "compile": "compiled operations",
    "figures": "drawn figures",
    "matplotlib": "Matplotlib's list of fonts",
}
"""The folders of the cache directory, each with its contents."""

app = commands("Show or clear the cache of data sets and compiled operations.")


@app.command()
def show() -> None:
    """Print the folders of the cache, their files and sizes."""
    folder = cache_directory()
    typer.echo(f"cache {folder} (FDRNN_CACHE_DIR names another)")
    print_table(
        ("part", "contents", "files", "size"),
        [(name, contents, *_size(folder / name)) for name, contents in PARTS.items()],
        n_text=2,
    )


@app.command()
def clear(
    parts: Annotated[
        list[str],
        typer.Argument(
            metavar="PART",
            help=f"What to delete: {', '.join(PARTS)}; all of it by default.",
            default_factory=list,
            show_default=False,
        ),
    ],
) -> None:
    """Delete parts of the cache, which are fetched or computed again when they are needed.

    Do not clear it while workers start: they may be compiling into it.

    For example:

        fdrnn cache clear compile
    """
    for name in parts:
        if name not in PARTS:
            raise UnknownNameError("part of the cache", name, PARTS)
    for name in parts or PARTS:
        path = cache_directory() / name
        n_files, size = _size(path)
        try:
            if path.exists():
                shutil.rmtree(path)
        except OSError as error:
            raise CacheError(
                f"{path} cannot be deleted: {error.strerror or error}; delete it by hand"
            ) from error
        typer.echo(f"{path}: deleted {n_files} files, {size}")


def _size(folder: Path) -> tuple[str, str]:
    sizes = list(_file_sizes(folder))
    return str(len(sizes)), file_size(sum(sizes))


def _file_sizes(folder: Path) -> Iterator[int]:
    # Other processes create and delete files and folders meanwhile.
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            try:
                if path.is_file():
                    yield path.lstat().st_size
            except OSError:
                continue
