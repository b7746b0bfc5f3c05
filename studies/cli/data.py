"""``fdrnn data``: the known data sets, fetching them, statistics and drawings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from fdrnn.datasets import (
    BINARY,
    CATEGORICAL,
    REAL,
    SPLITS,
    Dataset,
    FileError,
    KnownDataset,
    describe,
    describe_statistics,
    fetch,
    load,
    write_atomically,
)
from fdrnn.studies.cli.tables import print_table
from fdrnn.studies.errors import OptionError

_ORIGINS = {
    "folder": "the data folder",
    "cache": "the cache",
    "download": "a download, at first use",
    "package": "the music21 package, parsed at first use",
    "generated": "fdrnn itself",
    "missing": "nowhere: the data folder lacks it",
}


_FRAMES = {
    BINARY: "{} features per frame",
    REAL: "{} real values per frame",
    CATEGORICAL: "one of {} symbols per frame",
}


def list_data(data_dir: Path | None) -> None:
    """Print the known data sets and where each would come from now.

    Parameters
    ----------
    data_dir
        Folder with data files; None where they are cached or fetched.
    """
    known = describe(data_dir)
    print_table(
        ("name", "data set", "comes from", "file"),
        [(one.name, one.title, _ORIGINS[one.origin], _shown(one)) for one in known],
    )
    for one in known:
        if one.note:
            typer.echo(f"{one.name}: {one.note}")


def _shown(known: KnownDataset) -> str:
    return str(known.path) if known.path else ""


def fetch_data(names: Sequence[str]) -> None:
    """Put data sets into the cache and say where they are.

    Parameters
    ----------
    names
        Known data sets.
    """
    for name in names:
        path = fetch(name, progress=sys.stderr.isatty())
        typer.echo(f"{name}: {path or 'generated whenever it is used, nothing to fetch'}")


def show_data(
    data: str, png: Path | None, split: str, sequence: int, data_dir: Path | None
) -> None:
    """Print a data set's statistics, and draw one sequence if asked to.

    Parameters
    ----------
    data
        A known name or a path.
    png
        File of the drawing; None for none.
    split, sequence
        Which sequence to draw, by its index from 0.
    data_dir
        Folder with data files; None where they are cached or fetched.
    """
    if png is not None and png.suffix.lower() != ".png":
        raise OptionError(f"--png writes a PNG: name a file that ends in .png, got {png}")
    if split not in SPLITS:
        raise OptionError(f"--split must be one of {', '.join(SPLITS)}, got {split!r}")
    dataset = load(data, data_dir, progress=sys.stderr.isatty())
    n_sequences = len(dataset.split(split))
    if not 0 <= sequence < n_sequences:
        raise OptionError(
            f"--sequence must be in 0 .. {n_sequences - 1} for the {split} split, got {sequence}"
        )
    statistics = describe_statistics(dataset)
    typer.echo(f"{statistics.title}: {_FRAMES[statistics.kind].format(statistics.n_features)}")
    header, *rows = statistics.table()
    print_table(header, rows, n_text=1)
    typer.echo(f"fingerprint {statistics.fingerprint}")
    if statistics.note:
        typer.echo(f"note: {statistics.note}")
    if png is not None:
        _draw(dataset, png, split, sequence)


def _draw(dataset: Dataset, png: Path, split: str, sequence: int) -> None:
    # Loads matplotlib, which the statistics do without.
    from fdrnn.datasets.drawing import draw_sequence  # noqa: PLC0415

    figure = draw_sequence(dataset, split, sequence)
    try:
        write_atomically(png, lambda file: figure.savefig(file, format="png"))
    except FileError as error:
        raise OptionError(f"--png: {error}") from error
    typer.echo(f"drawn: {png}")
