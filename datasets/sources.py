"""Data sets by name or path: where they come from, and loading them.

A benchmark comes from the first of these that applies:

1. the folder that the caller names (``--data-dir``), or else the environment's
   ``FDRNN_DATA_DIR``: it must hold one of the benchmark's files, by its published name; nothing
   is fetched instead;
2. the cache directory, if it holds one;
3. the mirrors, by way of the cache.

In each case the SHA-256 is checked before anything is parsed. A user's own file that is not at its
path comes from that folder too, by its name. The sets ``bach`` and
``bach-melody`` come from the music21 package by way of the cache, and ``waves`` is generated,
whatever folder is named.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fdrnn.datasets import bach, melody, plugins, waves
from fdrnn.datasets.benchmarks import BENCHMARKS, LOWEST_PIANO_NOTE, Benchmark, BenchmarkFile
from fdrnn.datasets.cache import data_directory
from fdrnn.datasets.dataset import Dataset
from fdrnn.datasets.errors import MissingFileError, UnknownNameError
from fdrnn.datasets.fetching import cached_file, fetch_benchmark
from fdrnn.datasets.files import is_file, user_path
from fdrnn.datasets.formats import SUFFIXES, read_dataset
from fdrnn.datasets.plugins import DataSource, PluginError, Registry, load_data


@dataclass(frozen=True)
class KnownDataset:
    """A data set known by name, and where it would come from now.

    Attributes
    ----------
    name, title
        The name on the command line and in reports.
    origin
        ``"folder"``, ``"cache"``, ``"download"``, ``"package"`` (made from the music21 package
        at first use), ``"generated"``, ``"plug-in"``, or ``"missing"`` (a folder is named, and
        lacks it).
    path
        The file, or for ``"missing"`` the folder; None for a download, a package, generated data
        and a plug-in.
    note
        What a report must say of it, empty for nothing.
    package
        The package and version of a plug-in, empty for others.
    """

    name: str
    title: str
    origin: str
    path: Path | None
    note: str = ""
    package: str = ""


class _Made(Protocol):
    """A module that makes a data set."""

    NAME: str
    TITLE: str
    NOTE: str

    def make(self, *, progress: bool = False) -> Dataset:
        """Return the data set."""

    def cached_path(self) -> Path | None:
        """Return the file of the cache that it is kept in; None if it is not kept."""


_MADE: Mapping[str, _Made] = {made.NAME: made for made in (bach, melody, waves)}


DATA_PLUGINS: Registry[DataSource] = Registry(plugins.DATA, {}, DataSource)
"""The data sets of plug-ins."""


def names() -> tuple[str, ...]:
    """Return the names of the known data sets: the project's, then those of plug-ins."""
    own = (*_MADE, *BENCHMARKS)
    return (*own, *(name for name in DATA_PLUGINS if name not in own))


def package(name: str) -> str | None:
    """Return the package and version of the plug-in that a data set is from, None if of none."""
    own = name in _MADE or name in BENCHMARKS
    return None if own else DATA_PLUGINS.package(name)


def is_path(name_or_path: str) -> bool:
    """Return whether `name_or_path` means a file: it has a slash or the suffix of a data file."""
    return name_or_path.lower().endswith(SUFFIXES) or os.sep in name_or_path


def load(name_or_path: str, data_dir: Path | None = None, *, progress: bool = False) -> Dataset:
    """Load a known data set or a user's own file.

    Parameters
    ----------
    name_or_path
        One of `names`, or the path of a file in one of the formats of `fdrnn.datasets.formats`;
        a text with a slash or such a suffix is a path.
    data_dir
        The folder with the benchmarks' files, and the user's own that are not at their paths; None
        for the environment's ``FDRNN_DATA_DIR``, and if that is unset too, for the cache and the
        mirrors.
    progress
        Whether to show a progress bar on standard error while something is fetched or parsed.

    Returns
    -------
    Dataset
        The data set; its `name` is `name_or_path`.

    Raises
    ------
    UnknownNameError
        If there is no data set of that name; the nearest is suggested.
    MissingFileError
        If the file does not exist, or the folder lacks the benchmark.
    PathError
        If the file or the folder cannot be accessed.
    FileError
        If the file cannot be read, is not a regular file or is too large.
    DataError
        If the file is damaged, has the wrong checksum or breaks a rule of the format.
    FetchError
        If it has to be fetched and no mirror delivers it intact.
    CacheError
        If the cache directory cannot be written.

    Examples
    --------
    >>> load("bach").title
    'Bach chorales (music21)'
    """
    if is_path(name_or_path):
        path = user_path(name_or_path)
        folder = _named_folder(data_dir)
        if folder is not None and not path.exists() and is_file(folder / path.name):
            path = folder / path.name
        return read_dataset(path, name=name_or_path, title=path.name)
    if name_or_path in _MADE:
        return _MADE[name_or_path].make(progress=progress)
    if package(name_or_path) is not None:
        return load_data(DATA_PLUGINS, name_or_path)
    benchmark = _benchmark(name_or_path, f"or give the path of a {', '.join(SUFFIXES)} file")
    folder = _named_folder(data_dir)
    if folder is None:
        folder, file = data_directory(), fetch_benchmark(benchmark, progress=progress)
    else:
        file = _file_in(folder, benchmark)
    return read_dataset(
        folder / file.name,
        name=benchmark.name,
        title=benchmark.title,
        sha256=file.sha256,
        lowest_midi_note=LOWEST_PIANO_NOTE,
        step_quarters=benchmark.step_quarters,
    )


def fetch(name: str, *, progress: bool = False) -> Path | None:
    """Put a known data set into the cache, so that loading it needs no network.

    Parameters
    ----------
    name
        One of `names`.
    progress
        Whether to show a progress bar on standard error.

    Returns
    -------
    Path or None
        The file in the cache, with the right checksum; None for generated data.

    Raises
    ------
    UnknownNameError, FetchError, DataError, CacheError
        As for `load`.
    """
    if name in _MADE:
        _MADE[name].make(progress=progress)
        return _MADE[name].cached_path()
    if package(name) is not None:
        load_data(DATA_PLUGINS, name)
        return None
    return data_directory() / fetch_benchmark(_benchmark(name), progress=progress).name


def describe(data_dir: Path | None = None) -> tuple[KnownDataset, ...]:
    """Return for each known data set where `load` would take it from now.

    Files are not opened, so only `load` finds a damaged one. Plug-ins are imported for their
    titles; the title of a broken one is its error.

    Parameters
    ----------
    data_dir
        As for `load`.

    Raises
    ------
    PathError
        If the folder or the cache cannot be accessed.
    """
    known = []
    for made in _MADE.values():
        path = made.cached_path()
        if path is None:
            origin = "generated"
        else:
            origin, path = ("cache", path) if is_file(path) else ("package", None)
        known.append(KnownDataset(made.NAME, made.TITLE, origin, path, made.NOTE))
    folder = _named_folder(data_dir)
    for benchmark in BENCHMARKS.values():
        origin, path = _origin(benchmark, folder)
        known.append(KnownDataset(benchmark.name, benchmark.title, origin, path))
    known += [_described_plugin(name) for name in names()[len(known) :]]
    return tuple(known)


def _described_plugin(name: str) -> KnownDataset:
    try:
        title, note = DATA_PLUGINS[name].title, DATA_PLUGINS[name].note
    except PluginError as error:
        # A broken plug-in must not hide the other data sets.
        title, note = str(error), ""
    return KnownDataset(name, title, "plug-in", None, note, package(name) or "")


def _origin(benchmark: Benchmark, folder: Path | None) -> tuple[str, Path | None]:
    if folder is not None:
        try:
            return "folder", folder / _file_in(folder, benchmark).name
        except MissingFileError:
            return "missing", folder
    cached = cached_file(benchmark)
    return ("download", None) if cached is None else ("cache", data_directory() / cached.name)


def _benchmark(name: str, hint: str = "") -> Benchmark:
    if name not in BENCHMARKS:
        raise UnknownNameError("data set", name, names(), hint)
    return BENCHMARKS[name]


def _named_folder(data_dir: Path | None) -> Path | None:
    named = data_dir or os.environ.get("FDRNN_DATA_DIR")
    return user_path(named) if named else None


def _file_in(folder: Path, benchmark: Benchmark) -> BenchmarkFile:
    for file in benchmark.files:
        if is_file(folder / file.name):
            return file
    problem = (
        f"holds neither {benchmark.mat.name!r} nor {benchmark.pickle.name!r}"
        if folder.is_dir()
        else "is a file"
        if folder.exists()
        else "does not exist"
    )
    raise MissingFileError(
        f"{benchmark.title}: the data folder {folder} {problem}; put a file there, or name no "
        "folder (--data-dir, FDRNN_DATA_DIR) to have it fetched"
    )
