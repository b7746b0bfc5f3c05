"""Validation NLL against the value of every hyperparameter: one dot per trial."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import (
    having,
    is_logarithmic,
    is_range,
    label,
    part_index,
    parts,
    value_text,
)
from fdrnn.search.design.space import Parameter

_N_COLUMNS = 4
_JITTER = 0.28
_GOLDEN = (math.sqrt(5) - 1) / 2


def panel(evidence: Evidence, parameter: Parameter) -> pd.DataFrame:
    """Return the points of a hyperparameter's panel: a row per ranked trial that has it.

    Returns
    -------
    pandas.DataFrame
        ``position``, the index of the trial's value among the parameter's choices or parts
        (`fdrnn.reports.numbers.names.parts`); ``value``, itself where these are parts of a range;
        ``valid_nll``, infinite where it has none; ``diverged`` and ``config_index``.
    """
    ranked = having(evidence.ranked, parameter)
    return pd.DataFrame(
        {
            "position": [part_index(parameter, value) for value in ranked[parameter.name]],
            **({"value": ranked[parameter.name].to_numpy(float)} if is_range(parameter) else {}),
            "valid_nll": ranked["valid_nll"].fillna(np.inf).to_numpy(float),
            "diverged": ranked["diverged"].to_numpy(bool),
            "config_index": ranked["config_index"].to_numpy(np.int64),
        }
    )


def medians(points: pd.DataFrame) -> pd.Series[float]:
    """Return the median validation NLL by position, an infinite one included."""
    return points.groupby("position")["valid_nll"].apply(lambda group: float(np.median(group)))


def figure(evidence: Evidence) -> Figure | None:
    """Return the figure of a study; None without a finite validation NLL."""
    if evidence.best is None:
        return None
    n_ranked, n_diverged = len(evidence.ranked), evidence.n_diverged
    pruned = " or pruned" if evidence.n_pruned else ""
    best = float(evidence.best["valid_nll"])
    has_range = any(map(is_range, evidence.space.parameters))
    ranges = " (of a range between two ticks)" if has_range else ""
    return Figure(
        name=f"{evidence.name}-values",
        title="Validation NLL against every hyperparameter",
        caption=(
            f"A dot per finished{pruned} trial ({n_ranked}), a bar at the median of each "
            f"value{ranges}, a trial without a finite NLL counting as above all others and no bar "
            f"drawn above the axis, the selected trial {evidence.selected} larger. "
            f"A cross on the upper edge marks each of {n_diverged} diverged "
            "trials; one that had a finite validation NLL before has a dot too, where the axis has "
            f"it. The axis ends at {style.NLL_TOP_WORDS}; a triangle stands for a trial beyond."
        ),
        alt=(
            f"Panels, one per hyperparameter, of the validation NLL of {n_ranked} finished{pruned} "
            f"trials against its value; {n_diverged} diverged. The selected trial "
            f"{evidence.selected} has {best:.2f}."
        ),
        draw=lambda: _draw(evidence),
    )


def _draw(evidence: Evidence) -> Drawing:
    parameters = evidence.space.parameters
    n_rows = math.ceil(len(parameters) / _N_COLUMNS)
    height = 1.5 * n_rows
    figure, axes = style.new_figure(_N_COLUMNS, n_rows, height=height, layout=None, sharey=True)
    # The panels are alike, and solving for their layout takes longer than drawing them.
    figure.subplots_adjust(
        left=0.08, right=0.99, top=1 - 0.25 / height, bottom=0.4 / height, hspace=0.7, wspace=0.1
    )
    # With an earlier plan's rungs a pruned trial may have come lower than the selected one.
    lowest, _ = style.finite_range(evidence.ranked["valid_nll"])
    top = style.nll_top(evidence.ranked["valid_nll"])
    for one, parameter in zip(axes.flat, parameters, strict=False):
        _draw_panel(one, parameter, panel(evidence, parameter), evidence.selected, top)
    for one in axes.flat[len(parameters) :]:
        one.set_visible(False)
    margin = 0.06 * (top - lowest) or 0.1
    axes[0, 0].set_ylim(lowest - margin, top + margin / 3)
    for one in axes[:, 0]:
        one.set_ylabel("NLL (nats per step)")
    return figure


def _draw_panel(
    axes: Axes, parameter: Parameter, points: pd.DataFrame, selected: int | None, top: float
) -> None:
    ranged, found = is_range(parameter), parts(parameter)
    if ranged:
        x = points["value"].to_numpy(float)
        left, right = np.array([(one.low, one.high) for one in found], float).T
    else:
        # Spread by the golden ratio: neighbours in the order of the draws lie apart.
        spread = _JITTER * (2 * ((points["config_index"] * _GOLDEN) % 1.0) - 1)
        x = (points["position"] + spread).to_numpy(float)
        left = np.arange(len(found)) - 0.38
        right = left + 0.76
    y = points["valid_nll"].to_numpy(float)
    diverged = points["diverged"].to_numpy(bool)
    inside, chosen = y <= top, (points["config_index"] == selected).to_numpy(bool)
    style.dots(axes, x[inside & ~chosen], y[inside & ~chosen], style.GREY)
    beyond = np.isfinite(y) & ~inside & ~diverged
    for marked, marker, color, size in (
        (beyond, "^", style.GREY, 3),
        (diverged, "x", style.DIVERGED, 4),
    ):
        axes.plot(
            x[marked],
            np.full(marked.sum(), top),
            marker,
            color=color,
            markersize=size,
            clip_on=False,
            linestyle="none",
            zorder=3,
        )
    middle = medians(points)
    middle = middle[middle <= top]
    at = middle.index.to_numpy(int)
    axes.hlines(middle, left[at], right[at], color=style.INK, linewidth=1.0)
    axes.plot(x[chosen], y[chosen], "o", color=style.SELECTED, markersize=5, zorder=4)
    axes.set_title(style.typeset(label(parameter.name)), fontsize=7, fontweight="normal")
    if ranged:
        positions = [*left, right[-1]]
        ticks = [value_text(parameter.name, end) for end in positions]
        axes.set_xscale("log" if is_logarithmic(parameter) else "linear")
        axes.minorticks_off()
    else:
        positions = [float(position) for position in range(len(found))]
        ticks = [one.text for one in found]
        axes.set_xlim(-0.6, len(ticks) - 0.4)
    crowded = sum(map(len, ticks)) > 24
    axes.set_xticks(
        positions,
        ticks,
        rotation=40 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor",
        fontsize=6,
    )
    axes.tick_params(axis="x", length=0)
