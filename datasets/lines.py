"""Drawing a sequence of real values: time to the right, a pair of axes for each column."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fdrnn.datasets.dataset import Frames

MOST_COLUMNS = 8
"""Columns that are drawn; of wider data, the first ones."""

_COLOUR = "#1f4e79"
_WIDTH_INCHES, _COLUMN_INCHES = 9.0, 1.6


def draw_lines(sequence: Frames, *, title: str = "") -> Figure:
    """Draw one real sequence.

    Parameters
    ----------
    sequence
        Shape (n_frames, n_features), not empty.
    title
        Text above the drawing.

    Returns
    -------
    Figure
        A matplotlib figure with one pair of axes a column, drawn without any display.
    """
    n_columns = min(sequence.shape[1], MOST_COLUMNS)
    height = 0.8 + _COLUMN_INCHES * n_columns
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    if n_columns < sequence.shape[1]:
        title = f"{title}, the first {n_columns} of {sequence.shape[1]} columns"
    figure.suptitle(title, parse_math=False)
    for column, axes in enumerate(figure.subplots(n_columns, 1, sharex=True, squeeze=False)[:, 0]):
        # A line through one point is not seen.
        marker = "o" if len(sequence) == 1 else None
        axes.plot(sequence[:, column], color=_COLOUR, linewidth=1.2, marker=marker)
        axes.set_ylabel(f"column {column}")
    axes.set_xlabel("time step")
    return figure


def save_lines(path: Path, sequence: Frames, *, title: str = "") -> None:
    """Draw one real sequence into a PNG file; the parameters of `draw_lines`."""
    draw_lines(sequence, title=title).savefig(path, format="png")
