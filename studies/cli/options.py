"""Arguments and options that several commands share."""
# ruff: noqa: PLC0415 - as in `fdrnn.studies.cli.app`

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fdrnn.studies.cli.interrupts import remembered_interrupts
from fdrnn.studies.errors import OptionError

_study_source = typer.Argument(
    metavar="STUDY",
    help="A study's name (bach, jsb, nottingham, musedata, piano, each also with -plain; `fdrnn "
    "study list` shows all), a comparison's (compare-jsb, compare-bach), or the path of a .toml "
    "file.",
    show_default=False,
)
StudySource = Annotated[str, _study_source]
StudySources = Annotated[list[str], _study_source]
StoredStudy = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A study of the store.", show_default=False),
]
StoredStudies = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="A study or a comparison of the store.", show_default=False
    ),
]


def on_command_line(context: typer.Context, *names: str) -> bool:
    """Tell whether one of these parameters stands on the command line: not its default."""
    sources = (context.get_parameter_source(name) for name in names)
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)


def require_watch(context: typer.Context, watch: bool) -> None:
    """Require ``--watch`` where there is an ``--every``, which alone would do nothing.

    Raises
    ------
    OptionError
        If there is one alone.
    """
    if not watch and on_command_line(context, "every"):
        raise OptionError("--every is the time between two looks of --watch: add it, or leave both")


def _storage_url(
    context: typer.Context, parameter: typer.CallbackParam, value: str | None
) -> str | None:
    if value is None:
        return None
    with remembered_interrupts():
        from fdrnn.studies.cli.storage import storage_url

    return storage_url(context, parameter, value)


Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="FDRNN_STORAGE",
        callback=_storage_url,
        help="The store, as an SQLAlchemy URL: sqlite:///FILE, postgresql://USER@HOST/DATABASE; "
        "or @FILE for the URL in a file. Without it the file fdrnn.sqlite3 in the working "
        "directory. A URL with a password belongs in the environment variable or a file; on the "
        "command line it is refused, because `ps` shows it to everybody.",
        show_default=False,
        show_envvar=True,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="FDRNN_DATA_DIR",
        help="Folder with the data files; nothing is downloaded then.",
        show_default=False,
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Trials of the study, instead of the definition's n_trials; more than the store has "
        "extend the study.",
        show_default=False,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Most epochs of a trial, instead of max_epochs.", show_default=False
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name of the study in the store, to keep it beside another of its definition's name.",
        show_default=False,
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Threads of each worker's linear algebra. One worker per core with one thread each "
        "trains a study fastest; another number changes the last bits of the results.",
    ),
]
Lease = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Time after which the trial of a silent worker may be taken up by another.",
    ),
]
CheckpointEvery = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", help="Time between two checkpoints: what a killed worker may lose."
    ),
]
Trial = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Trial whose model is used, from 0; without it the one with the lowest validation "
        "NLL.",
        show_default=False,
    ),
]
Output = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder of the report's files; made if missing.")
]
DEFAULT_OUTPUT = Path("fdrnn-report")
