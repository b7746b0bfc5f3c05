"""``fdrnn init``: a commented study definition, made for a data set."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fdrnn.datasets import load, user_path, write_atomically
from fdrnn.datasets.errors import shown
from fdrnn.studies.cli.options import DataDir, commands
from fdrnn.studies.errors import OptionError
from fdrnn.studies.template import study_template

app = commands()


@app.command()
def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The .toml file to write; it must not exist.")
    ],
    data: Annotated[
        str,
        typer.Option(
            metavar="DATA", help="A known data set, or the path of a .npz, .mat or .pickle file."
        ),
    ],
    data_dir: DataDir,
) -> None:
    """Write a commented study definition that fits a data set.

    Output, padding and number of epochs follow from the data. Edit the file, then run it by its
    path.

    For example:

        fdrnn init mine.toml --data mine.npz

        fdrnn run mine.toml
    """
    if file.suffix != ".toml":
        raise OptionError(f"FILE must end in .toml, got {shown(str(file))}")
    path = user_path(file)
    if path.exists():
        raise OptionError(f"{path} exists already; name another file, or delete it first")
    dataset = load(data, data_dir, progress=sys.stderr.isatty())
    try:
        content = study_template(dataset, path).encode()
    except UnicodeEncodeError as error:
        raise OptionError(
            f"--data must be a path in UTF-8, got {shown(data)}; rename the file or folder"
        ) from error
    write_atomically(path, content)
    quoted = shlex.quote(str(file))
    typer.echo(
        f"{file}: a study of {dataset.title}; `fdrnn study preview {quoted}` shows its draws and "
        f"its cost, `fdrnn run {quoted}` trains it"
    )
