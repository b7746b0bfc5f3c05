r"""Symbols of the paper, written plainly in texts (``sigma^2 of W_rec``), as each format sets them.

Examples
--------
>>> tex("sigma^2 of W_rec")
'$\\sigma^2$ of $W_\\mathrm{rec}$'
>>> unicode("sigma^2 of W_rec")
'σ² of W_rec'
"""

from __future__ import annotations

import re
from collections.abc import Callable

# Single letters only where texts use them: a study may be called "nu".
_SYMBOL = re.compile(r"\bsigma\^2|\bdelta\^a\b|\bW_(?:rec|in|out)\b|(?<=\()nu(?=\))|\brho(?=[,:])")
_TEX = {"sigma^2": r"\sigma^2", "delta^a": r"\delta^a", "nu": r"\nu", "rho": r"\rho"}
_UNICODE = {"sigma^2": "σ²", "delta^a": "δᵃ", "nu": "ν", "rho": "ρ"}  # noqa: RUF001


def replaced(text: str, symbol: Callable[[str], str], rest: Callable[[str], str] = str) -> str:
    """Return a text whose symbols and other parts are replaced by functions of each."""
    parts = re.split(f"({_SYMBOL.pattern})", text)
    return "".join((symbol if index % 2 else rest)(part) for index, part in enumerate(parts))


def tex(text: str, rest: Callable[[str], str] = str) -> str:
    """Return a text with its symbols as TeX's formulas, which Matplotlib knows too."""
    return replaced(text, lambda one: f"${_TEX.get(one) or _matrix(one)}$", rest)


def _matrix(name: str) -> str:
    return rf"W_\mathrm{{{name.removeprefix('W_')}}}"


def unicode(text: str) -> str:
    """Return a text with its symbols as characters; matrices keep their plain names."""
    return replaced(text, lambda one: _UNICODE.get(one, one))


def html(text: str, rest: Callable[[str], str]) -> str:
    """Return a text with its symbols as HTML, and the other parts as `rest` makes them."""

    def symbol(one: str) -> str:
        if one.startswith("W_"):
            return f"<i>W</i><sub>{one.removeprefix('W_')}</sub>"
        return _UNICODE[one]

    return replaced(text, symbol, rest)
