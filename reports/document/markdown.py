"""Tables and reports as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fdrnn.reports.artefacts import Artefact, Figure, Section, Table
from fdrnn.reports.numbers.text import printable


def escaped(text: str) -> str:
    r"""Return a text in which Markdown finds no HTML and no link.

    Examples
    --------
    >>> print(escaped("[see](javascript:x) <b>"))
    [see]\(javascript:x) \<b>
    """
    return re.sub(r"(?<=\])\(|<(?=[A-Za-z/!?])", r"\\\g<0>", printable(text))


def escaped_cell(text: str) -> str:
    """Return an escaped text for a table's cell, which an unescaped bar would end."""
    return escaped(text).replace("|", "\\|")


def table(one: Table, level: int = 2) -> str:
    """Return a table with its heading, of a given level, and its notes."""
    notes = "".join(f"- {escaped(note)}\n" for note in one.notes)
    parts = (
        f"{'#' * level} {escaped(one.title)}\n",
        _grid(one),
        notes,
    )
    return "\n".join(part for part in parts if part)


def results(tables: Sequence[Table]) -> str:
    """Return tables under the title Results."""
    return "\n".join(["# Results\n", *(table(one) for one in tables)])


def section(one: Section) -> str:
    """Return a section of a report; figures are images, attachments links, both beside it."""
    return "\n".join(
        [f"## {escaped(one.title)}\n", *(f"{escaped(paragraph)}\n" for paragraph in one.text)]
        + [_artefact(artefact) for artefact in one.artefacts]
    )


def _artefact(one: Artefact) -> str:
    if isinstance(one, Table):
        return table(one, level=3)
    if isinstance(one, Figure):
        image = f"![{_in_brackets(one.alt)}](figures/{one.name}.{one.formats[0]})"
        return f"### {escaped(one.title)}\n\n{image}\n\n{escaped(one.caption)}\n"
    return f"- [{_in_brackets(one.title)}](files/{one.name})\n"


def _in_brackets(text: str) -> str:
    """Return the text of a link or an image, which an unescaped bracket would end."""
    return escaped(text).replace("[", "\\[").replace("]", "\\]")


def _grid(one: Table) -> str:
    """Return a padded Markdown table, its numbers right-aligned and the best in bold."""
    rows = (
        [f"**{cell}**" if (number, column) in one.best else cell for column, cell in enumerate(row)]
        for number, row in enumerate(one.rows)
    )
    cells = [list(map(escaped_cell, row)) for row in (one.header, *rows)]
    widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(one.header))]
    rule = [
        "-" * width if column < one.n_text else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    lines = [
        " | ".join(
            cell.ljust(width) if column < one.n_text else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in (cells[0], rule, *cells[1:])
    ]
    return "".join(f"| {line} |\n" for line in lines)
