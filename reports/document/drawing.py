"""The files of figures: drawn by processes on every core, or kept from an earlier report.

What is kept is named by a digest of the evidence, of this code and of the libraries that draw. Only
figures of studies whose trials have all ended are kept: others change with every epoch.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import multiprocessing
import signal
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from operator import methodcaller
from pathlib import Path

from fdrnn import reports
from fdrnn.datasets.cache import cache_directory, write_cached
from fdrnn.datasets.errors import CacheError
from fdrnn.reports.artefacts import Figure
from fdrnn.search.machine import usable_cores

Files = Mapping[str, bytes]
"""The files of a figure by suffix."""

_LIBRARIES = ("matplotlib", "numpy", "pandas", "theano-pymc", "fdrnn")
_ON_PARENTS_DEATH = 1


def drawn(figures: Sequence[Figure]) -> Generator[Files, None, None]:
    """Yield the files of figures, one after another, in their formats."""
    kept = [_kept(figure) for figure in figures]
    missing = [figure for figure, files in zip(figures, kept, strict=True) if files is None]
    with _drawing(missing) as made:
        for figure, files in zip(figures, kept, strict=True):
            if files is None:
                files = next(made)  # noqa: PLW2901 - drawn in the order of the figures
                _keep(figure, files)
            yield files


@contextmanager
def _drawing(figures: Sequence[Figure]) -> Iterator[Iterator[Files]]:
    """Draw figures in forked processes, which inherit what the figures show."""
    n_processes = min(usable_cores(), len(figures))
    if n_processes < 2:
        yield map(_draw, figures)
        return
    from fdrnn.reports.figures import style  # noqa: F401, PLC0415 - once, for all processes

    context = multiprocessing.get_context("fork")
    # Arguments of a forked process are inherited, not pickled: figures are functions.
    with context.Pool(n_processes, _begin, (figures,)) as pool:
        yield pool.imap(_draw_one, range(len(figures)))


_inherited: Sequence[Figure] = ()


def _begin(figures: Sequence[Figure]) -> None:
    global _inherited  # noqa: PLW0603 - a process of the pool has no other place
    _inherited = figures
    # Ctrl-C is the parent's, and without it nobody waits for a drawing.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_ON_PARENTS_DEATH, signal.SIGKILL)
    gc.freeze()


def _draw_one(index: int) -> Files:
    return _draw(_inherited[index])


def _draw(figure: Figure) -> Files:
    from fdrnn.reports.figures import style  # noqa: PLC0415 - imports matplotlib, which tables need not

    files = style.rendered(figure.draw, figure.formats)
    # Drawings refer to themselves: without this, those of many studies pile up.
    gc.collect()
    return files


def _kept(figure: Figure) -> Files | None:
    if not figure.basis:
        return None
    try:
        return {suffix: _path(figure, suffix).read_bytes() for suffix in figure.formats}
    except OSError:
        return None


def _keep(figure: Figure, files: Files) -> None:
    if figure.basis:
        # A report needs no cache.
        with suppress(CacheError):
            for suffix, content in files.items():
                write_cached(_path(figure, suffix), methodcaller("write", content))


def _path(figure: Figure, suffix: str) -> Path:
    shown = f"{_code()} {figure.name} {figure.basis}".encode()
    return cache_directory() / "figures" / f"{hashlib.sha256(shown).hexdigest()}.{suffix}"


@cache
def _code() -> str:
    """Return a digest of what draws: the code of the reports and the versions of libraries."""
    digest = hashlib.sha256(" ".join(map(version, _LIBRARIES)).encode())
    for file in sorted(Path(next(iter(reports.__path__))).rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
