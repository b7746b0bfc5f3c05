"""Files of exported studies, and a temporary store of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fdrnn.datasets import user_path
from fdrnn.search import Store, open_store
from fdrnn.studies.errors import OptionError

if TYPE_CHECKING:
    from fdrnn.search import PortableStudy

SUFFIX = ".fdrnn.zip"
"""Of the files that `fdrnn study export` writes."""


@contextmanager
def exported_store(paths: Sequence[Path]) -> Iterator[Store]:
    """Import exported studies into a temporary store, which is deleted after the block.

    Parameters
    ----------
    paths
        Files of exported studies, or folders that hold such files.

    Raises
    ------
    OptionError
        If a folder holds none, or two files hold studies of one name.
    PortableFileError
        If a file cannot be read or is no exported study.
    """
    # Imported here because the names of files are all that `fdrnn study` needs at its start.
    from fdrnn.search import PortableStudy  # noqa: PLC0415

    files = exported_files(paths)
    studies = [PortableStudy.read(file) for file in files]
    require_one_each(files, studies)
    with TemporaryDirectory(prefix="fdrnn-exports-") as folder:
        store = open_store(str(Path(folder) / "store.sqlite3"), create=True)
        try:
            for study in studies:
                # No report reads Optuna's tables.
                study.insert(store, mirrored=False)
            yield store
        finally:
            store.close()


def require_one_each(files: Sequence[Path], studies: Sequence[PortableStudy]) -> None:
    """Raise OptionError if two files hold studies of one name."""
    by_name: dict[str, Path] = {}
    for file, study in zip(files, studies, strict=True):
        first = by_name.setdefault(study.name, file)
        if first != file:
            raise OptionError(
                f"{first} and {file} both hold a study {study.name!r}; name one of them"
            )


def names_file(source: str) -> bool:
    """Return whether a study is given by its exported file, not by its name in the store."""
    return "/" in source or source.endswith(".zip")


def exported_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files of exported studies that paths name.

    Parameters
    ----------
    paths
        Files, which need not exist, or folders.

    Raises
    ------
    OptionError
        If a folder holds none.
    """
    return [file for path in paths for file in _files(user_path(path))]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob(f"*{SUFFIX}"))
    if not files:
        raise OptionError(f"folder {path} holds no exported study, no file *{SUFFIX}")
    return files
