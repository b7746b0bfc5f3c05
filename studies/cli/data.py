"""``fdrnn data``: list, fetch and show data sets."""

from __future__ import annotations

import shlex
import sys
from fractions import Fraction
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
    MidiOptions,
    describe,
    describe_statistics,
    import_midi,
    load,
    user_path,
    write_atomically,
    write_npz,
)
from fdrnn.datasets import fetch as fetch_dataset
from fdrnn.datasets import names as known_names
from fdrnn.datasets.errors import UnknownNameError, one_line, shown
from fdrnn.reports.numbers.text import plural
from fdrnn.studies.cli.options import (
    DataDir,
    commands,
    expanded,
    number,
    on_command_line,
    option,
)
from fdrnn.studies.cli.tables import print_table
from fdrnn.studies.errors import OptionError

_ORIGINS = {
    "folder": "the data folder",
    "cache": "the cache",
    "download": "a download, at first use",
    "package": "the music21 package, parsed at first use",
    "generated": "fdrnn itself",
    "plug-in": "the plug-in package {package}",
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
        [
            (
                data.name,
                data.title,
                _ORIGINS[data.origin].format(package=data.package),
                str(data.path or ""),
            )
            for data in known
        ],
        dispensable=("file", "comes from"),
    )
    for data in known:
        if data.note:
            typer.echo(f"{data.name}: {data.note}")


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Known data sets.")],
    data_dir: DataDir,
) -> None:
    """Download data sets into the cache and verify their checksums.

    With --data-dir or FDRNN_DATA_DIR nothing is downloaded: the files in that folder are checked.

    For example:

        fdrnn data fetch jsb

        fdrnn data fetch jsb nottingham musedata piano
    """
    for name in names:
        if data_dir is None:
            path = fetch_dataset(name, progress=sys.stderr.isatty())
        else:
            # `load` would read the path of a file, too.
            if name not in known_names():
                raise UnknownNameError("data set", name, known_names())
            load(name, data_dir, progress=sys.stderr.isatty())
            path = next(known.path for known in describe(data_dir) if known.name == name)
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
        option(
            callback=expanded,
            metavar="FILE",
            help="Draw a sequence: as a piano-roll, real values as lines.",
        ),
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
    typer.echo(f"{dataset.title}: {_FRAMES[dataset.kind].format(dataset.n_features)}")
    header, *rows = statistics.table()
    print_table(header, rows, n_text=1)
    typer.echo(f"fingerprint {dataset.fingerprint}")
    if dataset.note:
        typer.echo(f"note: {dataset.note}")
    if png is not None:
        _draw(dataset, png, split, sequence)


@app.command()
def from_midi(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder; those in it are read, too.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .npz file to write.")
    ],
    step: Annotated[
        str,
        option(
            default="1/4",
            metavar="NOTE",
            help="Note value of a frame: 1/4 a quarter note, 1/16 a sixteenth.",
        ),
    ],
    split: Annotated[
        str,
        option(
            default="70,15,15",
            metavar="A,B,C",
            help="Shares of training, validation and test; by content, not by name.",
        ),
    ],
    seed: Annotated[int, number(least=0, default=0, help="Seed of the split.")],
    range_: Annotated[
        str,
        option("--range", default="21,108", metavar="LOW,HIGH", help="MIDI notes that are kept."),
    ],
    transpose: Annotated[
        bool, option("--transpose", default=False, help="Transpose to C major or A minor.")
    ],
) -> None:
    """Make a data file of a folder of MIDI files.

    Duplicates by content are left out; files that cannot be read are named and skipped.

    For example:

        fdrnn data from-midi my-music --step 1/8 -o mine.npz

        fdrnn data show mine.npz --png roll.png
    """
    if output.suffix.lower() != ".npz":
        raise OptionError(f"--output must name a file that ends in .npz, got {shown(str(output))}")
    train, valid, test = _integers("--split", split, 3)
    lowest, highest = _integers("--range", range_, 2)
    made = import_midi(
        user_path(folder),
        MidiOptions(
            step_quarters=4 * _fraction("--step", step),
            shares=(train, valid, test),
            seed=seed,
            lowest=lowest,
            highest=highest,
            to_c=transpose,
        ),
    )
    write_atomically(user_path(output), lambda file: write_npz(file, made.dataset))
    for _, reason in made.skipped:
        typer.echo(f"skipped: {one_line(reason)}")
    if made.duplicates:
        typer.echo(f"left out: {plural(len(made.duplicates), 'duplicate')} of other files")
    counts = ", ".join(f"{len(made.dataset.split(name))} {name}" for name in SPLITS)
    typer.echo(
        f"{output}: {counts} sequences; `fdrnn data show {shlex.quote(str(output))}` shows them"
    )


def _fraction(option_name: str, text: str) -> Fraction:
    try:
        # Fraction reads powers of ten as well, however large.
        return Fraction(text if len(text) <= 20 and "e" not in text.lower() else "")
    except (ValueError, ZeroDivisionError) as error:
        raise OptionError(
            f"{option_name} must be a fraction such as 1/4, got {shown(text)}"
        ) from error


def _integers(option_name: str, text: str, count: int) -> list[int]:
    values = [int(part) if part.isdecimal() else -1 for part in text[:100].split(",")]
    if len(values) != count or min(values) < 0:
        raise OptionError(
            f"{option_name} must be {count} whole numbers with commas between, got {shown(text)}"
        )
    return values


def _draw(dataset: Dataset, png: Path, split: str, sequence: int) -> None:
    # Matplotlib is imported for a drawing alone.
    from fdrnn.datasets.drawing import draw_sequence  # noqa: PLC0415

    figure = draw_sequence(dataset, split, sequence)
    try:
        write_atomically(png, lambda file: figure.savefig(file, format="png"))
    except FileError as error:
        raise OptionError(f"--png: {error}") from error
    typer.echo(f"drawn: {png}")
