"""Arguments and options that commands share, each with its rule and its default."""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fdrnn.datasets.errors import FileError, shown
from fdrnn.datasets.files import read_file, user_path
from fdrnn.studies.errors import OptionError

_LARGEST = 10**9
"""Of every number on the command line, as far as nothing else limits it."""

_LARGEST_URL_FILE = 65_536


class _Group(TyperGroup):
    """A group whose help has each command's first sentence whole, on as many lines as it takes."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands and what they do."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, " ".join((command.help or "").split("\n\n")[0].split()))
                    for name, command in commands.items()
                    if command is not None
                ]
            )


def commands(summary: str = "") -> typer.Typer:
    """Return an application for the commands of a module.

    Parameters
    ----------
    summary
        What the commands of a group do, shown by its help; empty for commands without a group.
    """
    return typer.Typer(
        cls=_Group, rich_markup_mode=None, no_args_is_help=True, help=summary or None
    )


@dataclass(frozen=True)
class _Default:
    """A default that the signature of a command need not repeat, and that the help shows."""

    value: object

    def __call__(self) -> object:
        return self.value

    def __str__(self) -> str:
        return " ".join(self.value) if isinstance(self.value, tuple) else str(self.value)


def option(*names: str, default: object = None, **settings: Any) -> Any:
    """Return an option with its own default, for ``Annotated``.

    Parameters
    ----------
    names
        As ``--name``; by default made of the parameter's name.
    default
        The default value.
    **settings
        Of `typer.Option`.
    """
    return typer.Option(
        *names,
        default_factory=_Default(default),
        show_default=default is not None and default is not False,
        **settings,
    )


def number(
    *names: str,
    least: float,
    most: float = _LARGEST,
    unit: str = "",
    metavar: str = "N",
    **settings: Any,
) -> Any:
    """Return an option whose number must be in a range.

    Parameters
    ----------
    names, **settings
        As for `option`.
    least, most
        Limits of the range, both in it.
    unit
        Shown behind them, for example ``" s"``.
    metavar
        Shown in the help for the number.
    """

    def check(parameter: typer.CallbackParam, value: float | None) -> float | None:
        if value is not None:
            require_range(parameter.opts[0], value, least, most, unit)
        return value

    return option(*names, metavar=metavar, callback=check, **settings)


def require_range(
    name: str, value: float, least: float, most: float = _LARGEST, unit: str = ""
) -> None:
    """Require that a number of the command line is in a range.

    Parameters
    ----------
    name
        The option, for example ``"--trials"``.
    value
        Its number, or one of them.
    least, most, unit
        As for `number`.

    Raises
    ------
    OptionError
        If it is out of range, or NaN.
    """
    if not least <= value <= most:
        rule = f"at most {most}" if value > most else f"at least {least}"
        raise OptionError(f"{name} must be {rule}{unit}, got {shown(value)}")


def on_command_line(context: typer.Context, *names: str) -> bool:
    """Return whether one of these parameters was given on the command line."""
    sources = (context.get_parameter_source(name) for name in names)
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)


def require_watch(context: typer.Context, watch: bool) -> None:
    """Require ``--watch`` where ``--every`` is given, which has no effect alone.

    Raises
    ------
    OptionError
        If ``--every`` is given alone.
    """
    if not watch and on_command_line(context, "every"):
        raise OptionError("--every is the interval of --watch: add --watch, or leave out --every")


def storage_url(context: typer.Context, parameter: typer.CallbackParam, value: str | None) -> str:
    """Return the store's URL that ``--storage`` or ``FDRNN_STORAGE`` names.

    Parameters
    ----------
    context, parameter
        Where the value was found.
    value
        A URL, the path of a SQLite file, or ``@`` and the path of a file that holds a URL; None
        for the default.

    Returns
    -------
    str
        The URL, which may hold a password unless it was given on the command line.

    Raises
    ------
    OptionError
        If the command line holds a password, or the file cannot be read or holds no URL.
    StoreError
        If the URL on the command line is not valid.
    """
    # Imported here because commands without a store do without it.
    from fdrnn.search.store.database import default_storage_url, holds_secret  # noqa: PLC0415

    if value is None:
        return default_storage_url()
    if value.startswith("@"):
        return _url_of_file(value.removeprefix("@"))
    # Every user of a machine can read a command line.
    if on_command_line(context, parameter.name or "") and holds_secret(value):
        raise OptionError(
            "--storage must hold no password, because every user of this machine can read a "
            "command line; put the URL in FDRNN_STORAGE or in a file (--storage @FILE), or the "
            "password in ~/.pgpass"
        )
    return value


def _others_can_read(path: Path) -> bool:
    # The secrets of a container are root's, and whoever owns them not its user.
    is_own = path.stat().st_uid == os.getuid()
    return is_own and bool(path.stat().st_mode & 0o077 and path.parent.stat().st_mode & 0o011)


def _url_of_file(name: str) -> str:
    # Neither the name nor the file's text is shown where it may be a URL with a password.
    if "://" in name:
        raise OptionError("--storage @FILE takes the path of a file: leave out @ before a URL")
    path = user_path(name)
    try:
        text = read_file(path, limit_bytes=_LARGEST_URL_FILE, what="URL file").decode().strip()
    except (FileError, UnicodeDecodeError) as error:
        reason = error if isinstance(error, FileError) else f"{path} is not UTF-8"
        raise OptionError(f"{reason}; check --storage or FDRNN_STORAGE") from error
    if "://" not in text or len(text.split()) > 1:
        raise OptionError(
            f"{path} must hold the store's URL and nothing else, for example "
            "postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    from fdrnn.search.store.database import holds_secret  # noqa: PLC0415 - as above

    if _others_can_read(path) and holds_secret(text):
        typer.echo(
            f"fdrnn: warning: other users of this machine can read the password in {path}; "
            f"`chmod 600 {path}` prevents it",
            err=True,
        )
    return text


def interval(default: float) -> Any:
    """Return the option ``--every`` of a command that has ``--watch``, with its default."""
    return number(
        default=default,
        least=0.01,
        most=86_400,
        unit=" s",
        metavar="SECONDS",
        help="Interval of --watch.",
    )


StudySources = Annotated[
    list[str],
    typer.Argument(
        metavar="STUDY",
        help="Name of a study or comparison (bach, jsb, nottingham, musedata, piano, each also "
        "with -plain; compare-jsb, compare-bach; `fdrnn study list` prints all), or path of a "
        ".toml file.",
    ),
]
StoredStudy = Annotated[str, typer.Argument(metavar="STUDY", help="A study of the store.")]
StudyOrComparison = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study or comparison of the store.")
]
StoredStudies = Annotated[
    list[str], typer.Argument(metavar="STUDY", help="Studies or comparisons of the store.")
]
AnyStudies = Annotated[
    list[str],
    typer.Argument(
        metavar="STUDY",
        help="Studies or comparisons of the store; all of them by default.",
        default_factory=list,
        show_default=False,
    ),
]
Storage = Annotated[
    str,
    option(
        metavar="URL",
        envvar="FDRNN_STORAGE",
        callback=storage_url,
        help="The store: sqlite:///FILE, postgresql://USER@HOST/DATABASE, or @FILE for the URL in "
        "a file; by default fdrnn.sqlite3 in the working directory. A URL with a password belongs "
        "in the environment variable or a file.",
        show_envvar=True,
    ),
]
DataDir = Annotated[
    Path | None,
    option(
        metavar="DIR",
        envvar="FDRNN_DATA_DIR",
        help="Folder with the data files; nothing is downloaded then.",
        show_envvar=True,
    ),
]
Trials = Annotated[
    int | None,
    number(
        least=1,
        help="Trials of the study, instead of the definition's n_trials; a larger number extends a "
        "study of the store.",
    ),
]
Epochs = Annotated[
    int | None,
    number(least=1, help="Most epochs of a trial, instead of the definition's max_epochs."),
]
Repeats = Annotated[
    int | None,
    number(
        least=1,
        help="Further seeds with which the selected configuration is trained, instead of the "
        "definition's repeats; a larger number extends a study of the store.",
    ),
]
Seed = Annotated[
    int | None,
    # The definition limits it.
    number(least=0, most=math.inf, help="Seed of the study, instead of the definition's."),
]
MaxHours = Annotated[
    float | None,
    number(
        least=0.001,
        # A timer cannot wait longer.
        most=int(threading.TIMEOUT_MAX / 3600),
        metavar="HOURS",
        help="Stop cleanly after so many hours, as Ctrl-C does; the same command resumes.",
    ),
]
Name = Annotated[
    str | None,
    option(metavar="NAME", help="Name of the study in the store, instead of the definition's."),
]
Threads = Annotated[
    int,
    number(
        least=1,
        default=1,
        help="Threads that share the matrix products of each worker; results do not depend on "
        "their number. One worker per core with one thread each trains a study faster.",
    ),
]
Lease = Annotated[
    float,
    number(
        least=1,
        default=60.0,
        unit=" s",
        metavar="SECONDS",
        help="Time after which another worker may claim a trial whose lease is not renewed.",
    ),
]
CheckpointEvery = Annotated[
    float,
    number(
        least=0,
        default=60.0,
        unit=" s",
        metavar="SECONDS",
        help="Time between two checkpoints: what a killed worker may lose.",
    ),
]
Patience = Annotated[
    float | None,
    number(
        least=0,
        unit=" s",
        metavar="SECONDS",
        help="Time to wait at the start for a store that is unavailable or full, not the epochs "
        "of a study's patience; by default a lease for PostgreSQL, and none for SQLite. Exit code "
        "75 after it.",
    ),
]
Dask = Annotated[
    str | None,
    option(
        metavar="ADDRESS",
        help="Start the workers on a Dask cluster (extra fdrnn[dask]): the address of its "
        "scheduler, or jobqueue:slurm, :pbs, :sge, :lsf, :htcondor, :oar, :moab for a cluster "
        "made by dask-jobqueue from your Dask configuration.",
    ),
]
Adapt = Annotated[
    str | None,
    option(
        metavar="MIN,MAX",
        help="Fewest and most jobs of a cluster that --dask jobqueue makes, instead of --workers.",
    ),
]
Trial = Annotated[
    int | None,
    number(
        least=0,
        metavar="K",
        help="Trial whose model is used, from 0; by default the selected one, with the lowest "
        "validation NLL.",
    ),
]


def expanded(path: Path | None) -> Path | None:
    """Return a path with ``~`` expanded, which a shell leaves in ``--output=~/results``."""
    return user_path(path) if path is not None and str(path).startswith("~") else path


Output = Annotated[
    Path,
    option(
        default=Path("fdrnn-report"),
        callback=expanded,
        metavar="DIR",
        help="Folder for the files; created if missing.",
    ),
]
