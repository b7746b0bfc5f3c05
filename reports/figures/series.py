"""The figure of what a model predicts of real values: an excerpt, its predictions, and a sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fdrnn.datasets import DataDescription
from fdrnn.reports.figures.style import BLUE, INK, VERMILLION
from fdrnn.reports.numbers.text import plural
from fdrnn.search import Samples

MOST_COLUMNS = 4
"""Columns that are drawn; of wider data, the first ones."""

_BAND_DEVIATIONS = 2
_WIDTH_IN, _COLUMN_IN = 7.0, 1.5


def draw(samples: Samples, data: DataDescription) -> Figure:
    """Draw the columns above each other: on the left excerpt and predictions, right the sample.

    Time steps run from 1; the predictions, expected values in a band of two standard deviations,
    begin at step 2. A line marks the end of the sample's given frames.
    """
    n_columns = min(data.n_features, MOST_COLUMNS)
    figure = Figure(figsize=(_WIDTH_IN, 1.0 + _COLUMN_IN * n_columns), layout="constrained")
    grid = figure.subplots(n_columns, 2, sharex=True, sharey="row", squeeze=False)
    origin = samples.origin
    for column, (left, right) in enumerate(grid):
        predicted = samples.predictions[:, column]
        _draw(left, samples.excerpt[:, column], 1, INK, f"test sequence {origin.sequence}")
        _draw(left, predicted, 2, BLUE, "predicted")
        if samples.deviations is not None:
            half = _BAND_DEVIATIONS * samples.deviations[:, column]
            left.fill_between(
                2 + np.arange(len(predicted)),
                predicted - half,
                predicted + half,
                color=BLUE,
                alpha=0.2,
                # Above one step a band has no width.
                linewidth=0.0 if len(predicted) > 1 else 1.2,
                label=f"± {_BAND_DEVIATIONS} standard deviations",
            )
        _draw(right, samples.sample[:, column], 1, VERMILLION, "sample")
        right.axvline(origin.n_given + 0.5, color=INK, linewidth=1.0, linestyle="--")
        left.set_ylabel(f"column {column}")
    # The left panel's title and its legend are too wide for one line.
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        fontsize="small",
        frameon=False,
        ncols=len(labels),
    )
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
        f"Lines over {plural(len(samples.excerpt), 'step')} of test sequence {origin.sequence} of "
        f"{data.title}"
    )
    if len(samples.predictions):
        error = np.sqrt(np.mean((samples.predictions - samples.excerpt[1:]) ** 2, axis=0))
        shown = ", ".join(f"{value:.3g}" for value in error[:MOST_COLUMNS])
        text += f" with their predictions, root mean squared error {shown} by column"
    if samples.deviations is not None and len(samples.predictions):
        half = _BAND_DEVIATIONS * samples.deviations
        inside = np.abs(samples.predictions - samples.excerpt[1:]) <= half
        text += f", {inside.mean():.0%} of the values within {_BAND_DEVIATIONS} standard deviations"
    return (
        f"{text}. Beside it, a sample: {plural(origin.n_given, 'step')} of the sequence, then "
        f"{len(samples.sample) - origin.n_given} drawn from the model."
    )


def _draw(axes: Axes, values: npt.NDArray[np.float64], first: int, colour: str, label: str) -> None:
    marker = "o" if len(values) == 1 else None
    steps = first + np.arange(len(values))
    axes.plot(steps, values, color=colour, linewidth=1.2, marker=marker, markersize=4, label=label)
