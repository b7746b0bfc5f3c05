"""Tables and other rich text on the standard output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 400
_GAP = 3
"""Characters between two columns."""
_LEAST_TEXT = 12
_LONGEST_WORD = 32
"""Limits of the width to which a column of text is narrowed beside others."""


class CliConsole(Console):
    """A console that raises where its output was closed, where rich would exit with code 1."""

    def on_broken_pipe(self) -> None:
        """Raise the error again."""
        raise BrokenPipeError


def columns_that_fit(widths: Sequence[int], dispensable: Iterable[int], room: int) -> list[int]:
    """Return the columns that a narrow terminal shows, as indices in their order.

    Parameters
    ----------
    widths
        Width of each column, with the space beside it.
    dispensable
        Columns that may be left out, the first to be left out first.
    room
        What the widths of the columns that are shown may add up to.
    """
    kept, left_out = list(range(len(widths))), []
    for column in dispensable:
        if sum(widths[k] for k in kept) <= room:
            break
        kept.remove(column)
        left_out.append(column)
    # After a wide one, a narrow one that was left out before it may have room.
    for column in reversed(left_out):
        if sum(widths[k] for k in kept) + widths[column] <= room:
            kept.append(column)
    return sorted(kept)


class FittedTable:
    """A table whose cells stay whole at every width of a terminal.

    Where the table is too wide, dispensable columns are left out first, then text and titles are
    broken between words, and then the columns are split into blocks below each other, each with
    the labels of its rows. Only a word that is wider than the terminal, or than `_LONGEST_WORD`
    beside other columns, is broken.

    Parameters
    ----------
    header
        Title of each column.
    rows
        Cells of each row.
    n_text
        Number of text columns, which label the rows; the others are numbers, aligned to the right.
        None if all are text, of which the first labels the rows.
    dispensable
        Titles of columns, the first to be left out first.
    """

    def __init__(
        self,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        n_text: int | None = None,
        *,
        dispensable: Sequence[str] = (),
    ) -> None:
        self._columns = [
            _Column(
                title,
                [row[index] for row in rows],
                is_number=n_text is not None and index >= n_text,
                is_label=index < (1 if n_text is None else n_text),
            )
            for index, title in enumerate(header)
        ]
        self._dispensable = [list(header).index(title) for title in dispensable]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the columns that fit, in as many blocks as they need."""
        widths = [column.widest + _GAP for column in self._columns]
        kept = columns_that_fit(widths, self._dispensable, _room([], options.max_width))
        for block in _blocks([self._columns[k] for k in kept], options.max_width):
            yield _drawn(block, options.max_width)


@dataclass(frozen=True)
class _Column:
    title: str
    cells: Sequence[str]
    is_number: bool
    is_label: bool

    @cached_property
    def widest(self) -> int:
        """The width at which nothing is broken."""
        return max(map(cell_len, (self.title, *self.cells)))

    @cached_property
    def least(self) -> int:
        """The width that the column needs beside others."""
        title = max(map(cell_len, self.title.split()), default=0)
        if self.is_number:
            return max([title, *map(cell_len, self.cells)])
        words = [word for cell in self.cells for word in cell.split()]
        word = min(max(map(cell_len, words), default=0), _LONGEST_WORD)
        return max(title, word, min(self.widest, _LEAST_TEXT))


def _room(columns: Sequence[_Column], width: int) -> int:
    """Return the width that is left for cells: a space at each edge, `_GAP` between columns."""
    return width - 2 - _GAP * (len(columns) - 1)


def _blocks(columns: Sequence[_Column], width: int) -> Iterator[list[_Column]]:
    labels = [column for column in columns if column.is_label]
    block = list(labels)
    for column in columns[len(labels) :]:
        wider = [*block, column]
        if len(block) > len(labels) and _room(wider, width) < sum(c.least for c in wider):
            yield block
            wider = [*labels, column]
        block = wider
    yield block


def _drawn(columns: Sequence[_Column], width: int) -> Table:
    widths, least = [c.widest for c in columns], [c.least for c in columns]
    room = max(_room(columns, width), len(columns))
    if sum(least) > room:
        # A label and one column of numbers, on a very narrow terminal: the label is broken first.
        least = [1 if column.is_label else column.least for column in columns]
    if sum(least) > room:
        least = [1] * len(columns)
    while sum(widths) > room:
        longest = max(
            (index for index in range(len(columns)) if widths[index] > least[index]),
            key=widths.__getitem__,
        )
        widths[longest] -= 1
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, one_width in zip(columns, widths, strict=True):
        justify: JustifyMethod = "right" if column.is_number else "left"
        table.add_column(column.title, justify=justify, overflow="fold", width=one_width)
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


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
    """Print a `FittedTable` on the standard output."""
    output_console().print(FittedTable(header, rows, n_text, dispensable=dispensable))
