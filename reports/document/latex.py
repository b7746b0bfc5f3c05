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
    r"""Return a table environment with caption, label and the notes below, or several of them.

    The caption begins with a capital and has no number, which LaTeX gives; a missing number is an
    en dash. For a table without its notes define ``\fdrnnnote`` before it:
    ``\newcommand{\fdrnnnote}[1]{}``.

    It is made for the text width of the article class, 345 pt: small type, headers of several
    lines, and, where the table would be wider, columns of text that break into lines. Where the
    columns of numbers do not fit beside these, they are divided between several tables, labelled
    ``tab:NAME``, ``tab:NAME-2`` and so on.
    """
    columns = list(zip(one.header, *one.rows, strict=True))
    parts = _parts(columns, one.n_text)
    lines = [r"\providecommand{\fdrnnnote}[1]{\par #1}"]
    for number, part in enumerate(parts, start=1):
        of_several = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        label = one.name if number == 1 else f"{one.name}-{number}"
        lines += [
            r"\begin{table}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{_caption(one.title)}{of_several}.}}",
            rf"\label{{tab:{label}}}",
            *_tabular(one, columns, part),
            *(rf"\fdrnnnote{{{escaped(note)}}}" for note in one.notes if number == len(parts)),
            r"\end{table}",
        ]
    return "".join(f"{line}\n" for line in lines)


def _tabular(one: Table, columns: Sequence[Sequence[str]], part: Sequence[int]) -> list[str]:
    """Return the lines of a tabular of all columns of text and some of numbers."""
    alignment = _alignment([*columns[: one.n_text], *(columns[n] for n in part)], one.n_text)
    titles = [*map(_cell, one.header[: one.n_text]), *(_heading(one.header[n]) for n in part)]
    shown = [*range(one.n_text), *part]
    return [
        rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
        r"\toprule",
        " & ".join(titles) + r" \\",
        r"\midrule",
        *(_line(row, one, number, shown) for number, row in enumerate(one.rows)),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _caption(title: str) -> str:
    without = escaped(_NUMBER.sub("", title))
    return without[:1].upper() + without[1:]


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


def _parts(columns: Sequence[Sequence[str]], n_text: int) -> list[list[int]]:
    """Return the indices of the columns of numbers, divided so that each part fits."""
    least = sum(map(_broken, columns[:n_text])) + _GAP_EM * (n_text - 1)
    parts: list[list[int]] = [[]]
    width = least
    for index in range(n_text, len(columns)):
        wanted = _GAP_EM + _number_width(columns[index])
        if parts[-1] and width + wanted > _TEXT_WIDTH_EM:
            parts.append([])
            width = least
        parts[-1].append(index)
        width += wanted
    return parts


def _alignment(columns: Sequence[Sequence[str]], n_text: int) -> str:
    """Return the columns of a tabular: text in boxes of fixed width where lines would not fit.

    Widths are in em of Computer Modern, a little too wide rather than too narrow.
    """
    text = [(_broken(cells), max(map(_width, cells))) for cells in columns[:n_text]]
    n_numbers = len(columns) - n_text
    numbers = sum(map(_number_width, columns[n_text:]))
    left = _TEXT_WIDTH_EM - _GAP_EM * (len(columns) - 1) - numbers
    if sum(whole for _, whole in text) <= left:
        return "l" * n_text + "r" * n_numbers
    # What the longest words leave goes to the columns by how much they would like to have.
    slack = max(0.0, left - sum(broken for broken, _ in text))
    more = sum(whole - broken for broken, whole in text) or 1.0
    widths = (broken + slack * (whole - broken) / more for broken, whole in text)
    boxes = (rf">{{\raggedright\arraybackslash}}p{{{width:.2f}em}}" for width in widths)
    return "".join(boxes) + "r" * n_numbers


def _number_width(cells: Sequence[str]) -> float:
    # The heading has a line per word.
    return max(_broken(cells[:1]), *map(_width, cells[1:] or ("",)))


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


def _line(cells: Sequence[str], table: Table, number: int, shown: Sequence[int]) -> str:
    bold = (
        rf"\textbf{_cell(cells[column])}"
        if (number, column) in table.best
        else _cell(cells[column])
        for column in shown
    )
    return " & ".join(bold) + r" \\"


def _cell(text: str) -> str:
    # In braces, a cell that begins with a bracket is no optional argument of the line before.
    return "{" + ("--" if text == MISSING else escaped(text)) + "}"
