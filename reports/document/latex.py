r"""Tables as LaTeX, for a document that uses array and booktabs.

``\usepackage{array,booktabs}`` in its preamble.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers import symbols
from fdrnn.reports.numbers.text import MISSING, printable

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)

# 345 pt, of which an em of \\footnotesize is 8.5 pt.
_TEXT_WIDTH_EM = 40.0
_NUMBER = re.compile(r"^(?:Table|Figure) \d+: ")
_GAP_EM = 6 / 8.5
_WIDTHS = {
    **dict.fromkeys("iljI.,:;!'|", 0.31),
    **dict.fromkeys("ftrs-()/ ", 0.42),
    **dict.fromkeys("mwMW%&", 0.95),
    "_": 0.62,
}


def table(one: Table) -> str:
    r"""Return a table environment with caption, label and the notes below.

    The caption has no number, which LaTeX gives, and a missing number is an en dash. For a table
    without its notes define ``\fdrnnnote`` before it: ``\newcommand{\fdrnnnote}[1]{}``.

    It is made for the text width of the article class, 345 pt: small type, headers of several
    lines, and, where the table would be wider, columns of text that break into lines.
    """
    columns = list(zip(one.header, *one.rows, strict=True))
    alignment = _alignment(columns, one.n_text)
    headings = map(_heading, one.header[one.n_text :])
    lines = [
        r"\providecommand{\fdrnnnote}[1]{\par #1}",
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{escaped(_NUMBER.sub('', one.title))}.}}",
        rf"\label{{tab:{one.name}}}",
        rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
        r"\toprule",
        " & ".join([*map(_cell, one.header[: one.n_text]), *headings]) + r" \\",
        r"\midrule",
        *(_line(row, one, number) for number, row in enumerate(one.rows)),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\fdrnnnote{{{escaped(note)}}}" for note in one.notes),
        r"\end{table}",
    ]
    return "".join(f"{line}\n" for line in lines)


def escaped(text: str) -> str:
    r"""Return text in which TeX finds no command.

    Examples
    --------
    >>> print(escaped("95 % of sigma^2"))
    95 \% of $\sigma^2$
    """
    # A quotation mark opens where a word begins.
    quoted = re.sub(r'(?<![^\s(])"(?=\S)', "``", text).replace('"', "''")
    return symbols.tex(printable(quoted), lambda rest: rest.translate(_ESCAPES))


def _alignment(columns: Sequence[Sequence[str]], n_text: int) -> str:
    """Return the columns of a tabular: text in boxes of fixed width where lines would not fit.

    Widths are in em of Computer Modern, a little too wide rather than too narrow.
    """
    text = [(_broken(cells), max(map(_width, cells))) for cells in columns[:n_text]]
    # The heading of a column of numbers has a line per word.
    numbers = [
        max(_broken(cells[:1]), *map(_width, cells[1:] or ("",))) for cells in columns[n_text:]
    ]
    left = _TEXT_WIDTH_EM - _GAP_EM * (len(columns) - 1) - sum(numbers)
    if sum(whole for _, whole in text) <= left:
        return "l" * len(text) + "r" * len(numbers)
    # What the longest words leave goes to the columns by how much they would like to have.
    slack = max(0.0, left - sum(broken for broken, _ in text))
    more = sum(whole - broken for broken, whole in text) or 1.0
    widths = (broken + slack * (whole - broken) / more for broken, whole in text)
    boxes = (rf">{{\raggedright\arraybackslash}}p{{{width:.2f}em}}" for width in widths)
    return "".join(boxes) + "r" * len(numbers)


def _broken(cells: Sequence[str]) -> float:
    """Return the width that the longest word needs."""
    return max(_width(word) for cell in cells for word in _words(cell))


def _width(text: str) -> float:
    return sum(_WIDTHS.get(one, 0.78 if one.isupper() else 0.5) for one in text)


def _words(text: str) -> list[str]:
    """Return the parts between which TeX may break a line."""
    return [word for word in re.split(r"\s+(?!%)|(?<=-)", text) if word] or [""]


def _heading(title: str) -> str:
    lines = r" \\ ".join(map(escaped, _words(title)))
    return rf"\shortstack[r]{{{lines}}}"


def _line(cells: Sequence[str], table: Table, number: int) -> str:
    bold = (
        rf"\textbf{_cell(cell)}" if (number, column) in table.best else _cell(cell)
        for column, cell in enumerate(cells)
    )
    return " & ".join(bold) + r" \\"


def _cell(text: str) -> str:
    # In braces, a cell that begins with a bracket is no optional argument of the line before.
    return "{" + ("--" if text == MISSING else escaped(text)) + "}"
