"""``fdrnn data``: list, fetch and show data sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fdrnn.datasets import (
    BINARY,
    CATEGORICAL,
    REAL,
    SPLITS,
    Dataset,
    FileError,
    describe,
    describe_statistics,
    load,
    write_atomically,
)
from fdrnn.datasets import fetch as fetch_dataset
from fdrnn.studies.cli.options import DataDir, commands, number, on_command_line, option
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

app = commands("List, fetch and show data sets.")


@app.command("list")
def list_(data_dir: DataDir) -> None:
    """List the known data sets and where each would come from now."""
    known = describe(data_dir)
    print_table(
        ("name", "data set", "comes from", "file"),
        [(data.name, data.title, _ORIGINS[data.origin], str(data.path or "")) for data in known],
    )
    for data in known:
        if data.note:
            typer.echo(f"{data.name}: {data.note}")


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Known data sets.")],
) -> None:
    """Download data sets into the cache and verify their checksums.

    For example:

        fdrnn data fetch jsb

        fdrnn data fetch jsb nottingham musedata piano
    """
    for name in names:
        path = fetch_dataset(name, progress=sys.stderr.isatty())
        typer.echo(f"{name}: {path or 'generated when it is used, nothing to fetch'}")


@app.command()
def show(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="A known data set, or the path of a .npz, .mat or .pickle file."
        ),
    ],
    png: Annotated[
        Path | None,
        option(metavar="FILE", help="Draw a sequence: as a piano-roll, real values as lines."),
    ],
    split: Annotated[str, option(default="train", help="Split of the drawing's sequence.")],
    sequence: Annotated[
        int, number(least=0, default=0, metavar="I", help="Index of that sequence, from 0.")
    ],
    data_dir: DataDir,
) -> None:
    """Print a data set's statistics; draw one of its sequences.

    For example:

        fdrnn data show bach

        fdrnn data show bach --png roll.png --split test --sequence 3
    """
    if png is None and on_command_line(context, "split", "sequence"):
        raise OptionError("--split and --sequence choose what --png draws: add --png FILE")
    if png is not None and png.suffix.lower() != ".png":
        raise OptionError(f"--png must name a file that ends in .png, got {png}")
    if split not in SPLITS:
        raise OptionError(f"--split must be one of {', '.join(SPLITS)}, got {split!r}")
    dataset = load(data, data_dir, progress=sys.stderr.isatty())
    n_sequences = len(dataset.split(split))
    if sequence >= n_sequences:
        raise OptionError(
            f"--sequence must be at most {n_sequences - 1} for the {split} split, got {sequence}"
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
    # Matplotlib is imported for a drawing alone.
    from fdrnn.datasets.drawing import draw_sequence  # noqa: PLC0415

    figure = draw_sequence(dataset, split, sequence)
    try:
        write_atomically(png, lambda file: figure.savefig(file, format="png"))
    except FileError as error:
        raise OptionError(f"--png: {error}") from error
    typer.echo(f"drawn: {png}")
