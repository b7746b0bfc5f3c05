"""Tables and other rich text on the standard output."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 400


class CliConsole(Console):
    """A console that raises where its output was closed, where rich would exit with code 1."""

    def on_broken_pipe(self) -> None:
        """Raise the error again."""
        raise BrokenPipeError


def make_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], n_text: int | None = None
) -> Table:
    """Return a table, to be printed at a width of 80 columns or more.

    Parameters
    ----------
    header
        Title of each column.
    rows
        Cells of each row.
    n_text
        Number of text columns; the others are numbers, aligned to the right. None for all.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(header):
        numeric = n_text is not None and index >= n_text
        table.add_column(title, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def output_console() -> Console:
    """Return the standard output, at a terminal's width or, in a pipe, with unbroken lines."""
    console = CliConsole(highlight=False)
    return console if console.is_terminal else CliConsole(highlight=False, width=_PIPE_WIDTH)


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], n_text: int | None = None
) -> None:
    """Print a table as `make_table` makes it, fitted to the width of a terminal."""
    output_console().print(make_table(header, rows, n_text))
