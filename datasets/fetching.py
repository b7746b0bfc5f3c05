"""Fetching benchmark files into the user's cache.

A file gets its name in the cache only when it is complete and its SHA-256 is right, so that
processes can fetch at the same time, and an interrupted download leaves no file of that name.
A cached file that was damaged later is logged, removed and fetched again.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from fdrnn.datasets.benchmarks import Benchmark, BenchmarkFile
from fdrnn.datasets.cache import data_directory, make_directory
from fdrnn.datasets.errors import CacheError, FetchError, FileError, MissingFileError
from fdrnn.datasets.files import is_file, read_file

_TIMEOUT_S = 20.0

_log = logging.getLogger(__name__)


def cached_file(benchmark: Benchmark) -> BenchmarkFile | None:
    """Return the file of a benchmark that the cache holds, None if it holds neither.

    The checksum is not checked.

    Raises
    ------
    PathError
        If the cache cannot be accessed.
    """
    directory = data_directory()
    return next((file for file in benchmark.files if is_file(directory / file.name)), None)


def fetch_benchmark(benchmark: Benchmark, *, progress: bool = False) -> BenchmarkFile:
    """Fetch a file of a benchmark into the cache, unless an intact one is there.

    The mirrors of the .mat file are tried in turn, then those of the .pickle file.

    Parameters
    ----------
    benchmark
        The set.
    progress
        Whether to show a progress bar on standard error.

    Returns
    -------
    BenchmarkFile
        The file that is in `data_directory`.

    Raises
    ------
    FetchError
        If no mirror delivered a file with the right checksum; the message says how each failed.
    CacheError
        If a file of the cache cannot be read, or the directory cannot be written.
    """
    directory = data_directory()
    for file in benchmark.files:
        if _holds_intact(directory / file.name, file):
            return file
    make_directory(directory)
    failures = []
    for file in benchmark.files:
        for url in file.urls:
            failure = _download(url, file, directory, progress)
            if failure is None:
                return file
            failures.append(f"{url}: {failure}")
    names = " or ".join(repr(file.name) for file in benchmark.files)
    raise FetchError(
        f"{benchmark.title} could not be fetched ({'; '.join(failures)}). Check the network and "
        f"try again, or put {names} into a folder and name it with --data-dir or "
        "FDRNN_DATA_DIR; the data set 'bach' needs no network"
    )


def _holds_intact(path: Path, file: BenchmarkFile) -> bool:
    try:
        content = read_file(path)
    except MissingFileError:
        return False
    except FileError as error:
        raise CacheError(
            f"{error}; remove it, or name another cache directory in the environment variable "
            "FDRNN_CACHE_DIR"
        ) from error
    if hashlib.sha256(content).hexdigest() == file.sha256:
        return True
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CacheError(
            f"{path} is damaged (wrong SHA-256) and cannot be removed ({error.strerror}); remove "
            "it, or name another cache directory in the environment variable FDRNN_CACHE_DIR"
        ) from error
    _log.warning("%s is damaged (wrong SHA-256): removed, to be fetched again", path)
    return False


def _download(url: str, file: BenchmarkFile, directory: Path, progress: bool) -> str | None:
    """Download a file and return why it failed, None if it did not."""
    import pooch  # noqa: PLC0415 - slow to import, and needed for a download alone

    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{file.sha256}",
            fname=file.name,
            path=directory,
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=_TIMEOUT_S),
        )
        # A cache may be shared, and a temporary file is readable by its owner alone.
        (directory / file.name).chmod(0o644)
    except OSError as error:  # the base of every error of the HTTP library, too
        response = getattr(error, "response", None)
        if response is not None:
            return f"HTTP status {response.status_code}"
        return error.strerror or f"no connection ({type(error).__name__})"
    except ValueError:
        return "the file received has the wrong checksum"
    return None
