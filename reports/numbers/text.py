"""Numbers as text: the same form in tables, captions and notes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

MISSING = "-"


_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")


def printable(text: str) -> str:
    """Return a text of one line without control characters, which a terminal would obey."""
    return text.translate(_CONTROLS)


def number(value: float | None, style: str = ".2f") -> str:
    """Return a number in a format of Python's, a dash for None and NaN."""
    return MISSING if value is None or math.isnan(value) else format(value, style)


def amount(value: float | None) -> str:
    """Return a number to two decimals or, of a small one, to two significant digits."""
    text = number(value)
    if value is None or text != "0.00" or value == 0:
        return text
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def span(low: float | None, high: float | None) -> str:
    """Return an interval, a dash where an end is missing."""
    return MISSING if low is None or high is None else f"{low:.2f} to {high:.2f}"


def spread(values: pd.Series[Any] | npt.NDArray[np.float64], style: str = ".2f") -> str:
    """Return the median of some numbers and, of several, their range; a dash for none."""
    numbers = np.asarray(values, float)
    if not len(numbers):
        return MISSING
    middle, low, high = (format(float(f(numbers)), style) for f in (np.median, np.min, np.max))
    return middle if len(numbers) == 1 else f"{middle} ({low} to {high})"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return a count with its noun, for example ``"1 step"`` or ``"2 steps"``."""
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"
