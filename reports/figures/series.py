"""The figure of what a model predicts of real values: an excerpt, its predictions, and a sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fdrnn.datasets import DataDescription
from fdrnn.reports.numbers.text import plural
from fdrnn.search import Samples

MOST_COLUMNS = 4
"""Columns that are drawn; of wider data, the first ones."""

_EXCERPT, _PREDICTED, _SAMPLE = "#000000", "#0072b2", "#d55e00"
_WIDTH_IN, _COLUMN_IN = 7.0, 1.5


def draw(samples: Samples, data: DataDescription) -> Figure:
    """Draw the columns above each other: on the left excerpt and predictions, right the sample.

    Time steps run from 1; the predictions, expected values, begin at step 2. A line marks the end
    of the sample's given frames.
    """
    n_columns = min(data.n_features, MOST_COLUMNS)
    figure = Figure(figsize=(_WIDTH_IN, 1.0 + _COLUMN_IN * n_columns), layout="constrained")
    grid = figure.subplots(n_columns, 2, sharex=True, sharey="row", squeeze=False)
    origin = samples.origin
    for column, (left, right) in enumerate(grid):
        _draw(left, samples.excerpt[:, column], 1, _EXCERPT, f"test sequence {origin.sequence}")
        _draw(left, samples.predictions[:, column], 2, _PREDICTED, "predicted")
        _draw(right, samples.sample[:, column], 1, _SAMPLE, "sample")
        right.axvline(origin.n_given + 0.5, color=_EXCERPT, linewidth=1.0, linestyle="--")
        left.set_ylabel(f"column {column}")
    grid[0, 0].legend(loc="upper right", fontsize="small")
    grid[0, 0].set_title(f"{data.title}: excerpt", loc="left", fontsize="medium", parse_math=False)
    given = plural(origin.n_given, "given step")
    title = f"Sample of trial {samples.config_index} after {given}"
    grid[0, 1].set_title(title, loc="left", fontsize="medium", parse_math=False)
    for axes in grid[-1]:
        axes.set_xlabel("time step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def alt(samples: Samples, data: DataDescription) -> str:
    """Return what a reader who cannot see the figure must know, in sentences."""
    origin = samples.origin
    text = (
        f"Lines over {len(samples.excerpt)} steps of test sequence {origin.sequence} of "
        f"{data.title}"
    )
    if len(samples.predictions):
        error = np.sqrt(np.mean((samples.predictions - samples.excerpt[1:]) ** 2, axis=0))
        shown = ", ".join(f"{value:.3g}" for value in error[:MOST_COLUMNS])
        text += f" with their predictions, root mean squared error {shown} by column"
    return (
        f"{text}. Beside it, a sample: {origin.n_given} steps of the sequence, then "
        f"{len(samples.sample) - origin.n_given} drawn from the model."
    )


def _draw(axes: Axes, values: npt.NDArray[np.float64], first: int, colour: str, label: str) -> None:
    axes.plot(first + np.arange(len(values)), values, color=colour, linewidth=1.2, label=label)
