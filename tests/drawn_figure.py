"""A figure of a report as Matplotlib's object, drawn as for its files."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from fdrnn.reports.figures.style import rendered


def drawn(draw: Callable[[], Figure]) -> Figure:
    """Return the figure that `rendered` writes."""
    figures = []

    def kept() -> Figure:
        figures.append(draw())
        return figures[0]

    rendered(kept, ("svg",))
    return figures[0]
