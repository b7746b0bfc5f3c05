"""Learning curves and spectral radius of every trial of a study."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.text import plural

_MANY = 8
"""Trials whose lowest NLL say where the axis should end; of fewer they may all be the same."""


def learning_curves(evidence: Evidence) -> Figure:
    """Return the figure of training and validation NLL over epochs."""
    n_trials, best = evidence.curves["config_index"].nunique(), evidence.best
    trials = plural(n_trials, "trial")
    setting = "the selected trial's curve" if best is not None else "the curve with the lowest NLL"
    of_few = f", or of {setting} if that is higher" if n_trials < _MANY else ""
    alt = f"Line plots of training and validation NLL over epochs of {trials}."
    if best is not None:
        alt += (
            f" The selected trial {evidence.selected} reaches its lowest validation NLL, "
            f"{best['valid_nll']:.2f}, at epoch {best['best_epoch']} of {best['n_epochs']}."
        )
    return Figure(
        name=f"{evidence.name}-learning-curves",
        title="Learning curves",
        caption=(
            f"Training NLL (mean over the epoch's updates) and validation NLL (at its end) of "
            f"{trials}, padding {evidence.definition.training.padding}; {_key(evidence)} "
            f"Each axis ends at {style.NLL_TOP_WORDS} of the trials' lowest NLL{of_few}, and a "
            "quarter of the way from the lowest to there above it."
        ),
        alt=alt,
        draw=lambda: _draw_learning(evidence),
    )


def radius_curves(evidence: Evidence) -> Figure:
    """Return the figure of the spectral radius of W_rec over epochs."""
    curves = evidence.curves
    trials = plural(curves["config_index"].nunique(), "trial")
    is_selected = curves["config_index"] == evidence.selected
    radius = curves.loc[is_selected, "spectral_radius"].dropna().to_numpy()
    selected = (
        f"in the selected trial {evidence.selected} it goes from {radius[0]:.2f} after the first "
        f"epoch to {radius[-1]:.2f} after the last, at most {radius.max():.2f}"
        if len(radius)
        else "no trial is selected"
        if evidence.selected is None
        else f"the selected trial {evidence.selected} has none"
    )
    return Figure(
        name=f"{evidence.name}-spectral-radius",
        title="Spectral radius of the recurrent weights",
        caption=(
            f"Spectral radius of W_rec at the end of each epoch, {trials}, logarithmic "
            f"scale; {_key(evidence)}"
        ),
        alt=f"Line plot of the spectral radius of W_rec of {trials}: {selected}.",
        draw=lambda: _draw_radius(evidence),
    )


def _key(evidence: Evidence) -> str:
    chosen = (
        "no trial is selected."
        if evidence.selected is None
        else f"the selected trial {evidence.selected} is thick, its best epoch as a dot."
    )
    return f"diverged trials end in a cross, {chosen}"


def _draw_learning(evidence: Evidence) -> Drawing:
    figure, ((train, valid),) = style.new_figure(2)
    columns = ["train_nll", evidence.definition.training.valid_nll_column]
    for axes, column in zip((train, valid), columns, strict=True):
        finite = evidence.curves[np.isfinite(evidence.curves[column])]
        lowest = finite.groupby("config_index")[column].min()
        top = style.nll_top(lowest)
        if 0 < len(lowest) < _MANY:
            setting = lowest.idxmin() if evidence.selected is None else evidence.selected
            curve = finite.loc[finite["config_index"] == setting, column]
            top = float(np.fmax(top, style.nll_top(curve)))
        # Room for the way down of what ends at the quantile.
        top += 0.25 * (top - lowest.min())
        _draw_curves(axes, evidence, column, top)
        if len(lowest):
            style.limit_nll(axes, lowest, top)
    train.set_title("training")
    valid.set_title("validation")
    train.set_ylabel("NLL (nats per step)")
    style.legend_above(valid, "trials")
    return figure


def _draw_radius(evidence: Evidence) -> Drawing:
    figure, ((axes,),) = style.new_figure()
    _draw_curves(axes, evidence, "spectral_radius", np.inf)
    values = evidence.curves["spectral_radius"]
    low, high = style.finite_range(values[values > 0])
    if np.isfinite(low):
        axes.set_ylim(low / 1.2, high * 1.2)
        axes.set_yscale("log")
    axes.set_ylabel(r"spectral radius of $W_\mathrm{rec}$")
    style.log_ticks(axes.yaxis)
    style.legend_above(axes, "trials")
    return figure


def _draw_curves(axes: Axes, evidence: Evidence, column: str, top: float) -> None:
    curves, trials = evidence.curves, evidence.trials
    # A value that is not finite is drawn as none: an artist takes no infinity.
    curves = curves.assign(**{column: curves[column].replace([np.inf, -np.inf], np.nan)})
    diverged = trials.loc[trials["diverged"].astype(bool), "config_index"]
    is_selected = curves["config_index"] == evidence.selected
    is_diverged = curves["config_index"].isin(diverged) & ~is_selected
    others = _lines(curves[~is_selected & ~is_diverged], column)
    if others:
        style.trial_lines(axes, others, color=style.GREY, label="trial")
    ended = _lines(curves[is_diverged], column)
    if ended:
        style.trial_lines(axes, ended, color=style.DIVERGED)
        axes.plot(
            *np.transpose([_end(line, top) for line in ended]),
            "x",
            color=style.DIVERGED,
            markersize=4,
            label="diverged",
            zorder=3,
            clip_on=False,
        )
    if is_selected.any():
        epochs, values = curves.loc[is_selected, ["epoch", column]].to_numpy(float).T
        axes.plot(epochs, values, color=style.SELECTED, label="selected", zorder=4)
        at_best = epochs == evidence.best_epoch
        axes.plot(
            epochs[at_best], values[at_best], "o", color=style.SELECTED, markersize=4, zorder=5
        )
    axes.set_xlabel("epoch")
    style.count_axis(axes.xaxis)
    axes.autoscale_view()
    axes.set_xlim(left=0)


def _lines(curves: pd.DataFrame, column: str) -> list[npt.NDArray[np.float64]]:
    """Return the points of each trial's line, shape (n_epochs, 2)."""
    by_trial = curves.groupby("config_index")[["epoch", column]]
    return [points.to_numpy(float) for _, points in by_trial]


def _end(line: npt.NDArray[np.float64], top: float) -> tuple[float, float]:
    """Return where a line ends, on the panel's edge if that is above it."""
    finite = line[np.isfinite(line[:, 1])]
    return (finite[-1, 0], min(finite[-1, 1], top)) if len(finite) else (line[-1, 0], top)
