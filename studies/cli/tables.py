"""Tables on the standard output."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fdrnn.studies.cli.console import CliConsole

_PIPE_WIDTH = 400


def make_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], n_text: int | None = None
) -> Table:
    """Make a table, to be printed at a width of 80 columns or more.

    Parameters
    ----------
    header
        A title per column.
    rows
        Cells, as many a row.
    n_text
        Columns from this one on are numbers, aligned to the right; None for no such column.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(header):
        numeric = n_text is not None and index >= n_text
        table.add_column(title, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def output_console() -> Console:
    """Return the standard output as it prints tables: a terminal's width, a pipe's lines whole."""
    console = CliConsole(highlight=False)
    # A pipe has no width to fit to.
    return console if console.is_terminal else CliConsole(highlight=False, width=_PIPE_WIDTH)


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], n_text: int | None = None
) -> None:
    """Print what `make_table` makes; on a terminal it is fitted to its width."""
    output_console().print(make_table(header, rows, n_text))
