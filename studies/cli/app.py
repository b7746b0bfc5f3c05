"""The command ``fdrnn``: its commands, imported when they are called, and how errors are printed.

A module of this package holds one command or one group of commands, whose functions are the
commands themselves, in its object ``app``. `COMMANDS` says which module a command is in and what it
does, so that ``fdrnn --help`` and ``fdrnn --version`` load neither NumPy nor a database's library.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from fdrnn.studies.cli.interrupts import remembered_interrupts

COMMANDS = {
    "init": ("init", "Write a commented study definition that fits a data set."),
    "run": ("run", "Create studies, train their trials and report Table 1."),
    "worker": ("run", "Train trials of studies in the store until none waits or runs."),
    "report": ("report", "Print Table 1 and comparisons; write a page, tables and figures."),
    "sample": (
        "sample",
        "Draw music from a stored model; show its predictions of a test sequence.",
    ),
    "analyze": ("analyze", "Split a model's gradient into training loss and regulariser."),
    "evaluate": ("evaluate", "Score a stored model on other data of the same kind."),
    "bench": ("bench", "Time training beside the matrix products that it consists of."),
    "dashboard": (
        "dashboard",
        "Serve optuna-dashboard on the store: live curves in a web browser.",
    ),
    "study": ("study", "Create, watch, change, export, import and verify studies."),
    "store": ("store", "Migrate, check and prune a store."),
    "data": ("data", "List, fetch and show data sets."),
    "cache": ("cache", "Show or clear the cache of data sets and compiled operations."),
    "doctor": (
        "doctor",
        "Check Python, packages, plug-ins, compiler, CPU, cache, store and data.",
    ),
}
"""Module and summary of each command."""

_EPILOG = """\
Examples:

\b
  fdrnn run bach --trials 4 --epochs 20      # real music, needs no download
  fdrnn run jsb                              # 32 trials of the paper's JSB Chorales
  fdrnn study status jsb                     # from another terminal
  fdrnn report jsb jsb-plain                 # tables, figures, one HTML page
  fdrnn run my-study.toml --workers 8        # your own definition

Environment:

\b
  FDRNN_STORAGE    URL of the store, or @FILE (default: ./fdrnn.sqlite3)
  FDRNN_DATA_DIR   folder with the data files, instead of a download
  FDRNN_CACHE_DIR  folder of downloads and compiled operations

Exit codes: 0 success; 1 the study has failed trials, or a check has found something; 2 an error,
printed in one line; 75 the store was unavailable for longer than --patience; 130 interrupted, the
same command resumes; 141 the output was closed, as by `| head`.
"""


_USAGE_ERROR = typer.BadParameter.__mro__[1]
"""Click's class of usage errors, which Typer does not export."""


def _fail(message: str, code: int = 2) -> typer.Exit:
    # Where the standard error is what cannot be written, the exit code is all that can be said.
    with suppress(OSError):
        typer.echo(f"fdrnn: error: {' '.join(message.split())}", err=True)
    return typer.Exit(code)


def _usage_line(error: Any) -> str:
    """Return what is wrong with the command line, with the value, and whose help to read."""
    # Imported here because NumPy comes with it.
    from fdrnn.datasets.errors import one_line, shown  # noqa: PLC0415

    # Pydantic's error has the value, which Typer's message leaves out.
    if hasattr(error.__cause__, "errors"):
        problem = error.__cause__.errors()[0]
        for kind, rule in (("int", "an integer"), ("float", "a number")):
            if problem["type"].startswith(kind):
                return f"{error.param.opts[0]} must be {rule}, got {shown(problem['input'])}"
    context = error.ctx
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return f"{one_line(error.format_message().strip().rstrip('.'))}{hint}"


def _discard_output() -> None:
    """Discard what is still buffered: writing it at the end of the process would fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(null, stream.fileno())


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Turn an error of the user or the system into one line and an exit code."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except typer.Exit:
        raise
    except KeyboardInterrupt as error:
        typer.echo("fdrnn: interrupted; the same command resumes", err=True)
        raise typer.Exit(130) from error
    except BrokenPipeError as error:
        _discard_output()
        raise typer.Exit(141) from error
    except Exception as error:
        # Imported here because NumPy comes with it.
        from fdrnn.datasets.errors import FdrnnError, error_line  # noqa: PLC0415

        if isinstance(error, FdrnnError):
            raise _fail(str(error), error.exit_code) from error
        if isinstance(error, _USAGE_ERROR) and type(error).__name__ != "NoArgsIsHelpError":
            raise _fail(_usage_line(error)) from error
        if isinstance(error, MemoryError):
            raise _fail(f"out of memory ({error_line(error)}); use smaller numbers") from error
        if isinstance(error, OSError):
            exit_code = _fail(error_line(error))
            _discard_output()
            raise exit_code from error
        raise


def _configure_matplotlib() -> None:
    """Keep Matplotlib's list of fonts in the cache: a home directory may be read-only."""
    from fdrnn.datasets import cache_directory  # noqa: PLC0415 - NumPy comes with it

    os.environ.setdefault("MPLCONFIGDIR", str(cache_directory() / "matplotlib"))
    # It would warn of a directory that cannot be written, and use a temporary one.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


class _LazyGroup(TyperGroup):
    """The group of `COMMANDS`; a command's module is imported when the command is needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command or group by its name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        _configure_matplotlib()
        with remembered_interrupts():
            module = import_module(f"fdrnn.studies.cli.{COMMANDS[cmd_name][0]}")
        group = typer.main.get_group(module.app)
        return group.commands.get(cmd_name, group)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return what completes a word, without importing the commands."""
        commands: dict[str, Any] = {
            name: TyperCommand(name, help=summary) for name, (_, summary) in COMMANDS.items()
        }
        group = TyperGroup(commands=commands, params=self.params)
        context = group.make_context(ctx.info_name, [], resilient_parsing=True)
        return group.shell_complete(context, incomplete)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of the arguments; an unknown one gets the nearest suggested."""
        self.commands = dict.fromkeys(COMMANDS, self)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the summaries of the commands into the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the arguments; ``--help`` and ``--version`` print."""
        with _errors_in_one_line():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Call the command."""
        with _errors_in_one_line():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    # Help by rich takes 0.2 s longer.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)


def _show_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"fdrnn {version('fdrnn')}")
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
