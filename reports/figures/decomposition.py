"""The decomposition of section 2.2.2 over training, and whether its term vanishes at minima."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.decomposition import (
    MATRICES,
    SIGNS,
    UNITS,
    is_recorded,
    rank_correlation,
    total_norms,
)
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.text import plural

_COLORS = {"W_in": style.PURPLE, "W_rec": style.BLUE, "W_out": style.GREEN}
_LINES = {"W_in": ":", "W_rec": "-", "W_out": "--"}
_SIGN_COLORS = (style.VERMILLION, style.GREY, style.BLUE)
_SIGN_LABELS = ("< 0", "= 0", "> 0")


def figures(evidence: Evidence) -> list[Figure]:
    """Return the figures of a study that records the decomposition and has a selected trial.

    One of which nothing is known of that trial is left out.
    """
    curves = evidence.curves
    if not is_recorded(curves) or evidence.selected is None:
        return []
    selected = curves[curves["config_index"] == evidence.selected].reset_index(drop=True)
    return [one for one in (_parts(evidence, selected), _vanishing(evidence)) if one is not None]


def _parts(evidence: Evidence, selected: pd.DataFrame) -> Figure | None:
    matrices = [name for name in MATRICES if _known(selected, f"regularizer_ratio_{name}")]
    units = [name for name in UNITS if _known(selected, f"delta_negative_{name}")]
    if not matrices or not units:
        return None
    findings = "; ".join(_finding(selected, matrix) for matrix in matrices)
    shares = "; ".join(_shares(selected, unit) for unit in units)
    return Figure(
        name=f"{evidence.name}-decomposition",
        title="The gradient's two parts over training",
        caption=(
            f"Selected trial {evidence.selected}, on one minibatch after each epoch. Left: norm of "
            f"the regulariser's gradient by that of the training loss's: {findings}. Middle: share "
            "of the weights that a step along the regulariser's gradient makes smaller; weight "
            "decay's is 1. Right: steps and units by the sign of delta^a, the derivative with "
            f"respect to a unit's variance: {shares}. Below 0 the unit should increase its "
            "variance."
        ),
        alt=(
            "Line plots over epochs of the ratio of the gradient's two parts and of the share of "
            f"weights made smaller, areas of the signs of delta. {findings}. {shares}."
        ),
        draw=lambda: _draw_parts(selected, matrices, units),
    )


def _known(curves: pd.DataFrame, column: str) -> bool:
    return column in curves and bool(curves[column].notna().any())


def _finding(selected: pd.DataFrame, matrix: str) -> str:
    ratio = selected[f"regularizer_ratio_{matrix}"].dropna()
    return (
        f"{matrix} {ratio.iloc[0]:.3g} after the first epoch, {ratio.iloc[-1]:.3g} after the last"
    )


def _shares(selected: pd.DataFrame, units: str) -> str:
    # A run that diverged may end in an epoch of which nothing is known.
    is_known = selected.filter(like="regularizer_ratio_").notna().any(axis=1)
    known = selected.loc[is_known, f"delta_negative_{units}"].dropna()
    if known.empty:
        return f"signs in {units} units unknown"
    first, last = known.iloc[0], known.iloc[-1]
    return f"below 0 in {units} units {first:.0%} after the first epoch, {last:.0%} after the last"


def _draw_parts(selected: pd.DataFrame, matrices: list[str], units: list[str]) -> Drawing:
    n_columns = 2 + len(units)
    figure, (axes,) = style.new_figure(n_columns)
    ratio, pulled, *signs = axes
    epochs = selected["epoch"].to_numpy(float)
    for panel, column in ((ratio, "regularizer_ratio"), (pulled, "pulled_share")):
        for matrix in matrices:
            panel.plot(
                epochs,
                selected[f"{column}_{matrix}"].to_numpy(float),
                _LINES[matrix],
                color=_COLORS[matrix],
                linewidth=1.0,
                label=rf"$W_\mathrm{{{matrix.removeprefix('W_')}}}$",
            )
        panel.set_xlabel("epoch")
        style.count_axis(panel.xaxis)
        panel.set_xlim(left=0)
    ratio.set_yscale("log")
    ratio.set_ylabel("norms: regulariser by loss")
    pulled.axhline(0.5, color=style.GREY, linewidth=0.6)
    pulled.set_ylim(0, 1)
    pulled.set_ylabel("weights made smaller")
    style.legend_above(pulled, "weights", 3)
    for panel, name in zip(signs, units, strict=True):
        _draw_signs(panel, selected, name)
    signs[0].set_ylabel(r"share by sign of $\delta^a$")
    for panel in signs[1:]:
        panel.tick_params(labelleft=False)
    style.legend_above(signs[-1], r"$\delta^a$", 3)
    return figure


def _draw_signs(axes: Axes, selected: pd.DataFrame, units: str) -> None:
    axes.stackplot(
        selected["epoch"].to_numpy(float),
        *(selected[f"delta_{sign}_{units}"].to_numpy(float) for sign in SIGNS),
        colors=_SIGN_COLORS,
        labels=_SIGN_LABELS,
        alpha=0.75,
        linewidth=0,
    )
    axes.set_xlabel(f"epoch ({units})")
    style.count_axis(axes.xaxis)
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    axes.grid(visible=False)


def _vanishing(evidence: Evidence) -> Figure | None:
    norms = total_norms(evidence.curves)
    selected = norms[norms["config_index"] == evidence.selected].reset_index(drop=True)
    if selected.empty:
        return None
    trials = plural(norms["config_index"].nunique(), "trial")
    ordered = selected.sort_values("loss_gradient")
    least, most = ordered.iloc[0], ordered.iloc[-1]
    both, with_nll = rank_correlation(selected), rank_correlation(selected, "train_nll")
    finding = (
        f"In the selected trial {evidence.selected} the rank correlation of both norms is "
        f"{both:.2f}, that with the training NLL {with_nll:.2f}; the regulariser's is "
        f"{most['regularizer']:.2g} where the loss's is largest ({most['loss_gradient']:.2g}) and "
        f"{least['regularizer']:.2g} where it is smallest ({least['loss_gradient']:.2g})"
    )
    return Figure(
        name=f"{evidence.name}-vanishing",
        title="Does the regulariser's term vanish at minima of the training loss?",
        caption=(
            "Norm of the regulariser's gradient, all weight matrices together, against that of the "
            "training loss's on the same minibatch (left) and against the training NLL (right), a "
            f"point per epoch of {trials}. {finding}. The selected trial is coloured, "
            "its first epoch a square and its last a triangle. On the dashed line both norms are "
            "equal, as they are at any minimum of what is trained, their sum, unless both vanish. "
            "With minibatches and momentum no minimum is reached, and with drawn activations "
            "either norm has a part that is noise."
        ),
        alt=(
            "Scatter plots of the norm of the regulariser's gradient against the norm of the "
            f"training loss's gradient and against the training NLL. {finding}."
        ),
        draw=lambda: _draw_vanishing(norms, selected),
    )


def _draw_vanishing(norms: pd.DataFrame, selected: pd.DataFrame) -> Drawing:
    figure, ((gradient, nll),) = style.new_figure(2, sharey=True)
    others = norms[norms["config_index"] != selected["config_index"].iloc[0]]
    for axes, column in ((gradient, "loss_gradient"), (nll, "train_nll")):
        if not others.empty:
            style.dots(
                axes,
                others[column].to_numpy(float),
                others["regularizer"].to_numpy(float),
                style.GREY,
                label="trial",
            )
        x, y = selected[column].to_numpy(float), selected["regularizer"].to_numpy(float)
        axes.plot(x, y, color=style.SELECTED, linewidth=0.5, alpha=0.6, zorder=3)
        axes.plot(x, y, ".", color=style.SELECTED, markersize=3, label="selected", zorder=4)
        for position, marker in ((0, "s"), (-1, "^")):
            axes.plot(
                x[position], y[position], marker, color=style.VERMILLION, markersize=5, zorder=5
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(visible=True, axis="x")
    style.log_ticks(nll.xaxis)
    # Before the limits are the line's: as far as it is within the points.
    low, high = gradient.get_xlim()
    bounds = gradient.get_ylim()
    line = np.array([max(low, bounds[0]), min(high, bounds[1])])
    if line[0] < line[1]:
        gradient.plot(line, line, color=style.INK, linewidth=0.6, linestyle="--", label="equal")
    gradient.set_xlabel("norm of the training loss's gradient")
    nll.set_xlabel("training NLL (nats per step)")
    gradient.set_ylabel("norm of the regulariser's gradient")
    style.legend_above(gradient, "trials")
    return figure
