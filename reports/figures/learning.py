"""Learning curves and spectral radius of every trial of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.ticker import LogLocator

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.document import style
from fdrnn.reports.numbers.evidence import Evidence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_HEADROOM = 1.25


@dataclass(frozen=True, eq=False)
class Curves:
    """A study's curves, split as its figures show them.

    Attributes
    ----------
    others, diverged
        ``config_index``, ``epoch`` and the numbers of every trial that is neither selected nor
        diverged, and of those diverged and not selected.
    selected
        The same of the selected trial; empty without one.
    best_epoch
        The selected trial's epoch of the lowest validation NLL; None without one.
    padding
        Rule under which `fdrnn.search` selects: names the column of the validation NLL.
    """

    others: pd.DataFrame
    diverged: pd.DataFrame
    selected: pd.DataFrame
    best_epoch: int | None
    padding: str

    @property
    def valid(self) -> str:
        """Column of the validation NLL that selects."""
        return f"valid_nll_{self.padding}"


def split(evidence: Evidence, curves: pd.DataFrame) -> Curves:
    """Split a study's curves.

    Parameters
    ----------
    evidence
        The study.
    curves
        As `fdrnn.search.curves` returns them.
    """
    trials = evidence.trials
    diverged = set(trials.loc[trials["diverged"].astype(bool), "config_index"])
    is_selected = curves["config_index"] == evidence.selected
    is_diverged = curves["config_index"].isin(diverged) & ~is_selected
    best = evidence.best
    return Curves(
        others=curves[~is_selected & ~is_diverged],
        diverged=curves[is_diverged],
        selected=curves[is_selected],
        best_epoch=None if best is None else int(best["best_epoch"]),
        padding=evidence.definition.training.padding,
    )


def learning_curves(evidence: Evidence, curves: pd.DataFrame) -> Figure:
    """Return the figure of training and validation NLL over epochs."""
    parts = split(evidence, curves)
    n_trials = curves["config_index"].nunique()
    return Figure(
        name=f"{evidence.name}-learning-curves",
        title="Learning curves",
        caption=(
            f"Training NLL (mean over the epoch's updates) and validation NLL (at its end) of "
            f"{n_trials} trials, padding {parts.padding}; {_key(evidence)} The axis ends "
            f"at {_HEADROOM:g} times the lowest validation NLL ({_HEADROOM - 1:g} above it if that "
            "is below 1)."
        ),
        alt=_learning_alt(evidence, parts, n_trials),
        draw=lambda: _draw_learning(parts),
    )


def radius_curves(evidence: Evidence, curves: pd.DataFrame) -> Figure:
    """Return the figure of the spectral radius of W_rec over epochs."""
    parts = split(evidence, curves)
    n_trials = curves["config_index"].nunique()
    radius = parts.selected["spectral_radius"].dropna().to_numpy()
    selected = (
        f"in the selected trial {evidence.selected} it goes from {radius[0]:.2f} after the first "
        f"epoch to {radius[-1]:.2f} after the last, at most {radius.max():.2f}"
        if len(radius)
        else "no trial is selected yet"
    )
    return Figure(
        name=f"{evidence.name}-spectral-radius",
        title="Spectral radius of the recurrent weights",
        caption=(
            f"Spectral radius of W_rec at the end of each epoch, {n_trials} trials, logarithmic "
            f"scale; {_key(evidence)}"
        ),
        alt=f"Line plot of the spectral radius of W_rec of {n_trials} trials: {selected}.",
        draw=lambda: _draw_radius(parts),
    )


def _key(evidence: Evidence) -> str:
    chosen = (
        "no trial is selected yet."
        if evidence.selected is None
        else f"the selected trial {evidence.selected} is thick, its best epoch as a dot."
    )
    return f"diverged trials end in a cross, {chosen}"


def _learning_alt(evidence: Evidence, parts: Curves, n_trials: int) -> str:
    if evidence.best is None:
        return f"Line plots of training and validation NLL over epochs of {n_trials} trials."
    return (
        f"Line plots of training and validation NLL over epochs of {n_trials} trials. The selected "
        f"trial {evidence.selected} reaches its lowest validation NLL, "
        f"{evidence.best['valid_nll']:.2f}, at epoch {parts.best_epoch} of "
        f"{evidence.best['n_epochs']}."
    )


def _draw_learning(parts: Curves) -> Drawing:
    figure, ((train, valid),) = style.new_figure(2, width=style.TEXT_WIDTH_IN, sharey=True)
    both = pd.concat([parts.others, parts.diverged, parts.selected])
    lowest, best = _least(both[["train_nll", parts.valid]]), _least(both[parts.valid])
    top = style.nll_top(best, _HEADROOM)
    for axes, column in ((train, "train_nll"), (valid, parts.valid)):
        _draw_curves(axes, parts, column, top)
    if np.isfinite(best):
        margin = 0.04 * (top - lowest)
        train.set_ylim(lowest - margin, top)
    train.set_title("training")
    valid.set_title("validation")
    train.set_ylabel("NLL (nats per step)")
    style.legend_above(valid)
    return figure


def _draw_radius(parts: Curves) -> Drawing:
    figure, ((axes,),) = style.new_figure()
    _draw_curves(axes, parts, "spectral_radius", np.inf)
    both = pd.concat([parts.others, parts.diverged, parts.selected])["spectral_radius"]
    values = both[np.isfinite(both) & (both > 0)]
    if len(values):
        axes.set_ylim(values.min() / 1.2, values.max() * 1.2)
        axes.set_yscale("log")
    axes.set_ylabel(r"spectral radius of $W_\mathrm{rec}$")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.yaxis.set_minor_formatter("{x:g}")
    style.legend_above(axes)
    return figure


def _draw_curves(axes: Axes, parts: Curves, column: str, top: float) -> None:
    for trials, color, label in (
        (parts.others, style.GREY, "trial"),
        (parts.diverged, style.DIVERGED, None),
    ):
        if trials.empty:
            continue
        x, y = _lines(trials, column)
        style.trial_lines(axes, x, y, color=color, label=label)
        if label is None:
            ends = [_end(*line, top) for line in zip(x, y, strict=True)]
            axes.plot(
                *np.transpose(ends),
                "x",
                color=color,
                markersize=4,
                label="diverged",
                zorder=3,
                clip_on=False,
            )
    if not parts.selected.empty:
        epochs = parts.selected["epoch"].to_numpy()
        values = parts.selected[column].to_numpy()
        axes.plot(epochs, values, color=style.SELECTED, label="selected", zorder=4)
        at_best = epochs == parts.best_epoch
        axes.plot(
            epochs[at_best], values[at_best], "o", color=style.SELECTED, markersize=4, zorder=5
        )
    axes.set_xlabel("epoch")
    axes.autoscale_view()
    axes.set_xlim(left=0)


def _least(values: pd.DataFrame | pd.Series[float]) -> float:
    numbers = values.to_numpy(float)
    return float(np.min(numbers, where=np.isfinite(numbers), initial=np.inf))


def _lines(
    trials: pd.DataFrame, column: str
) -> tuple[list[npt.NDArray[np.float64]], list[npt.NDArray[np.float64]]]:
    epochs = trials["epoch"].to_numpy(float)
    # A value that is not finite is drawn as none: an artist takes no infinity.
    values = trials[column].replace([np.inf, -np.inf], np.nan).to_numpy(float)
    slices = style.per_trial(trials["config_index"].to_numpy())
    return [epochs[one] for one in slices], [values[one] for one in slices]


def _end(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], top: float) -> tuple[float, float]:
    """Return where a line ends, on the panel's edge if that is above it."""
    finite = np.flatnonzero(np.isfinite(y))
    return (x[finite[-1]], min(y[finite[-1]], top)) if len(finite) else (x[-1], top)
