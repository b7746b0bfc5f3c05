"""Tables and other rich text on the standard output."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
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
    """Return a table, whose cells of several words break into lines where the width asks for it.

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
        table.add_column(
            title,
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=not any(" " in row[index] for row in rows),
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table


class FittedTable:
    """A table of text that leaves out columns on a narrow terminal, instead of breaking cells.

    Parameters
    ----------
    header, rows
        As for `make_table`.
    dispensable
        Titles of columns, the first to be left out first.
    """

    def __init__(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], dispensable: Sequence[str]
    ) -> None:
        self._columns = {title: column for column, title in enumerate(header)}
        self._rows = rows
        self._dispensable = dispensable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the columns that fit."""
        n_left_out, table = 0, self._without(())
        unbounded = options.update(width=_PIPE_WIDTH)
        while (
            n_left_out < len(self._dispensable)
            and console.measure(table, options=unbounded).maximum > options.max_width
        ):
            n_left_out += 1
            table = self._without(self._dispensable[:n_left_out])
        yield table

    def _without(self, titles: Sequence[str]) -> Table:
        kept = {title: column for title, column in self._columns.items() if title not in titles}
        return make_table(list(kept), [[row[k] for k in kept.values()] for row in self._rows])


def output_console() -> Console:
    """Return the standard output, at a terminal's width or, in a pipe, with unbroken lines."""
    console = CliConsole(highlight=False)
    return console if console.is_terminal else CliConsole(highlight=False, width=_PIPE_WIDTH)


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    n_text: int | None = None,
    *,
    dispensable: Sequence[str] = (),
) -> None:
    """Print a table as `make_table` makes it, or a `FittedTable`, if columns are dispensable."""
    table = (
        FittedTable(header, rows, dispensable) if dispensable else make_table(header, rows, n_text)
    )
    output_console().print(table)
