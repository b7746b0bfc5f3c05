"""The command ``fdrnn``: its help, its groups of commands, how it tells errors.

What a command does stands in the module that it imports when it is called, so that ``--help``
loads none of the numerical libraries and ``status`` no Theano.
"""
# ruff: noqa: PLC0415 - the imports inside commands are the point of this layout

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fdrnn.datasets.errors import FdrnnError, error_line
from fdrnn.studies.cli.commands import data, looking, store, study, training


def _let_nothing_more_be_written() -> None:
    """Write into nothing what is still buffered, which would fail once more at the end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nothing, stream.fileno())


class _OneLineErrors(TyperGroup):
    """A command group that tells an `FdrnnError` in one line and exits with code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Invoke the command; its error becomes a line and an exit code."""
        try:
            return super().invoke(ctx)
        except FdrnnError as error:
            line = " ".join(str(error).split())
            typer.echo(f"fdrnn: error: {line}", err=True)
            raise typer.Exit(2) from error
        except MemoryError as error:
            typer.echo(
                f"fdrnn: error: out of memory ({error_line(error)}); ask for less at once", err=True
            )
            raise typer.Exit(2) from error
        except BrokenPipeError as error:
            _let_nothing_more_be_written()
            raise typer.Exit(141) from error
        except KeyboardInterrupt as error:
            typer.echo("fdrnn: interrupted; the same command goes on where it stopped", err=True)
            raise typer.Exit(130) from error


_CONTEXT = {"help_option_names": ["-h", "--help"]}
_EPILOG = """\
Examples:

    fdrnn run bach --trials 4 --epochs 20      # real music, needs no download

    fdrnn run jsb                              # 32 trials of the paper's JSB Chorales

    fdrnn study status jsb                     # from another terminal

    fdrnn report jsb jsb-plain                 # tables, figures, one HTML page

    fdrnn run my-study.toml --workers 8        # your own definition

Environment:

    FDRNN_STORAGE    URL of the store, or @FILE (default: ./fdrnn.sqlite3)

    FDRNN_DATA_DIR   folder with the data files, instead of a download

    FDRNN_CACHE_DIR  folder of downloads and compiled operations, instead of the user's cache

Exit codes: 0 done; 1 the study has failed trials; 2 a mistake, told in one line; 130 interrupted,
and the same command goes on; 141 nobody reads the output any more, as behind `| head`.
"""

app = typer.Typer(
    cls=_OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    # Paragraphs of the docstrings below are filled to the terminal's width.
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings=_CONTEXT,
    epilog=_EPILOG,
)
app.add_typer(training.app)
app.add_typer(looking.app)
app.add_typer(study.app, name="study")
app.add_typer(store.app, name="store")
app.add_typer(data.app, name="data")


def _show_version(wanted: bool) -> None:
    if wanted:
        from fdrnn.search.machine import code_version

        typer.echo(f"fdrnn {code_version()}")
        raise typer.Exit


@app.callback()
def fdrnn(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Random search over fast-dropout recurrent networks, after Bayer et al. 2013.

    A study draws configurations once, from its seed, and keeps them in a store; workers train
    them; a report puts the test NLL of the trial with the lowest validation NLL beside the
    paper's.
    """
    # Optuna's own lines would break into the progress display.
    logging.getLogger("optuna").setLevel(logging.WARNING)
