"""What a study cost: epochs and wall time of every trial."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.text import plural

_MARKERS = ("o", "s", "^", "D", "v")
_COLORS = (style.GREY, style.PURPLE, style.GREEN, style.BLUE, style.INK)


def cost(evidence: Evidence) -> pd.DataFrame:
    """Return what every trial with an epoch cost.

    Returns
    -------
    pandas.DataFrame
        ``config_index``, ``n_hidden``, ``n_epochs``, ``minutes`` (wall time of the epochs that
        are in the store), ``diverged``.
    """
    table = evidence.trials[evidence.trials["n_epochs"] > 0]
    columns = ["config_index", "n_hidden", "n_epochs", "diverged"]
    return table[columns].assign(minutes=table["seconds"] / 60).reset_index(drop=True)


def figure(evidence: Evidence) -> Figure | None:
    """Return the figure of a study; None before the first epoch."""
    table = cost(evidence)
    if table.empty:
        return None
    hours = table["minutes"].sum() / 60
    n_epochs, minutes = table["n_epochs"].median(), table["minutes"].median()
    summary = (
        f"{plural(len(table), 'trial')} took {_hours(hours)} in all, a trial "
        f"{_in_minutes(minutes)} and {n_epochs:.0f} epochs in the median."
    )
    return Figure(
        name=f"{evidence.name}-cost",
        title="Epochs and wall time",
        caption=(
            f"{summary} Wall time of the epochs in the store, each on one worker: training, "
            f"validation and statistics. {'Colours' if _are_many(table) else 'Markers'} by hidden "
            "units; a cross is a diverged trial, the circle the selected one."
        ),
        alt=f"Scatter plot of wall time against epochs, a point per trial. {summary}",
        draw=lambda: _draw(table, evidence.selected),
    )


def _are_many(table: pd.DataFrame) -> bool:
    """Return whether there are more sizes than markers."""
    return bool(table["n_hidden"].nunique() > len(_MARKERS))


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else _in_minutes(60 * hours)


def _in_minutes(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes >= 0.1 else f"{60 * minutes:.1f} s"


def _draw(table: pd.DataFrame, selected: int | None) -> Drawing:
    figure, ((axes,),) = style.new_figure()
    unit, factor = ("min", 1.0) if table["minutes"].max() >= 1 else ("s", 60.0)

    def points(group: pd.DataFrame, marker: str, color: str, label: str, **options: Any) -> None:
        x, y = group[["n_epochs", "minutes"]].to_numpy(float).T
        axes.plot(x, factor * y, marker, color=color, label=label, **options)

    sizes = sorted(table["n_hidden"].unique())
    if _are_many(table):
        coloured = axes.scatter(
            table["n_epochs"].to_numpy(float),
            factor * table["minutes"].to_numpy(float),
            c=table["n_hidden"].to_numpy(float),
            cmap=style.SCALE,
            norm="log",
            s=16,
            linewidths=0,
            zorder=3,
        )
        scale = figure.colorbar(coloured, ax=axes, aspect=25, pad=0.02, label="hidden units")
        # A logarithmic axis of a narrow range may have no tick.
        ticks = np.quantile(sizes, np.linspace(0, 1, 5), method="nearest")
        scale.set_ticks(np.unique(ticks).tolist(), labels=[f"{tick}" for tick in np.unique(ticks)])
        scale.ax.minorticks_off()
    else:
        filled = {"markersize": 4, "markeredgewidth": 0, "alpha": 0.85}
        for size, marker, color in zip(sizes, _MARKERS, _COLORS, strict=False):
            points(table[table["n_hidden"] == size], marker, color, f"{size}", **filled)
    diverged, chosen = table[table["diverged"]], table[table["config_index"] == selected]
    hollow = {"fillstyle": "none", "zorder": 4}
    if len(diverged):
        points(diverged, "x", style.DIVERGED, "diverged", markersize=4, **hollow)
    if len(chosen):
        points(chosen, "o", style.SELECTED, "selected", markersize=8, **hollow)
    style.count_axis(axes.xaxis)
    axes.set_xlabel("epochs")
    axes.set_ylabel(f"wall time ({unit})")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    style.legend_above(axes, "trials" if _are_many(table) else "hidden units", n_columns=5)
    return figure
