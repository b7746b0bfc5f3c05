r"""Tables as LaTeX, for a document that uses booktabs (``\usepackage{booktabs}``)."""

from __future__ import annotations

from collections.abc import Sequence

from fdrnn.reports.artefacts import Table

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        '"': "''",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)


def table(one: Table) -> str:
    """Return a table environment with caption, label and the notes below."""
    alignment = "l" * one.n_text + "r" * (len(one.header) - one.n_text)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(one.title)}.}}",
        rf"\label{{tab:{one.name}}}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        _line(one.header),
        r"\midrule",
        *map(_line, one.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {escaped(note)}" for note in one.notes),
        r"\end{table}",
    ]
    return "".join(f"{line}\n" for line in lines)


def escaped(text: str) -> str:
    r"""Return text in which TeX finds no command.

    Examples
    --------
    >>> print(escaped("95 % of sigma^2"))
    95 \% of sigma\textasciicircum{}2
    """
    return text.translate(_ESCAPES)


def _line(cells: Sequence[str]) -> str:
    # In braces, a cell that begins with a bracket is no optional argument of the line before.
    return " & ".join("{" + escaped(cell) + "}" for cell in cells) + r" \\"
