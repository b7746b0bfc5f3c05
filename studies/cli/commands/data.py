"""Commands of ``fdrnn data``."""
# ruff: noqa: PLC0415 - as in `fdrnn.studies.cli.app`

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fdrnn.studies.cli.options import (
    DataDir,
    on_command_line,
)
from fdrnn.studies.errors import OptionError

app = typer.Typer(no_args_is_help=True, help="List, fetch and show data sets.")


@app.command("list")
def data_list(data_dir: DataDir = None) -> None:
    """List the known data sets and where each would come from now."""
    from fdrnn.studies.cli.data import list_data

    list_data(data_dir)


@app.command("fetch")
def data_fetch(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Known data sets.", show_default=False),
    ],
) -> None:
    """Download data sets into the cache; their checksums are verified.

    For example:

        fdrnn data fetch jsb

        fdrnn data fetch jsb nottingham musedata piano
    """
    from fdrnn.studies.cli.data import fetch_data

    fetch_data(names)


@app.command("show")
def data_show(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A known data set, or the path of a .npz, .mat or .pickle file.",
            show_default=False,
        ),
    ],
    png: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw a sequence: as a piano-roll, real values as lines.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid or test: where --png looks.")] = "train",
    sequence: Annotated[
        int, typer.Option(metavar="I", help="Index (from 0) of the sequence that --png draws.")
    ] = 0,
    data_dir: DataDir = None,
) -> None:
    """Print a data set's statistics; draw one of its sequences.

    For example:

        fdrnn data show bach

        fdrnn data show bach --png roll.png --split test --sequence 3
    """
    if png is None and on_command_line(context, "split", "sequence"):
        raise OptionError("--split and --sequence say what --png draws: name a file for it")
    from fdrnn.studies.cli.data import show_data

    show_data(data, png, split, sequence, data_dir)
