"""The generalisation gap: training, validation and test NLL of every trial's best epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.document import style
from fdrnn.reports.numbers.evidence import Evidence

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_HEADROOM = 1.25


def gap(evidence: Evidence, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the NLL of each finished trial at its best epoch.

    Parameters
    ----------
    evidence
        The study.
    curves
        As `fdrnn.search.curves` returns them.

    Returns
    -------
    pandas.DataFrame
        By validation NLL, the lowest first: ``config_index``, ``train`` (mean over the best
        epoch's updates, under the study's padding rule), ``valid`` (under the same rule),
        ``valid_masked`` (without prepended zeros) and ``test`` (pooled). Trials without a finite
        validation NLL have no best epoch and are left out.
    """
    finished = evidence.finished
    finished = finished[np.isfinite(finished["valid_nll"])]
    train = curves[["config_index", "epoch", "train_nll"]]
    table = finished.merge(
        train, left_on=["config_index", "best_epoch"], right_on=["config_index", "epoch"]
    ).sort_values(["valid_nll", "config_index"], ignore_index=True)
    return pd.DataFrame(
        {
            "config_index": table["config_index"],
            "train": table["train_nll"],
            "valid": table["valid_nll"],
            "valid_masked": table["valid_nll_masked"],
            "test": table["test_nll_pooled"],
        }
    )


def figure(evidence: Evidence, curves: pd.DataFrame) -> Figure | None:
    """Return the figure of a study; None without a finite validation NLL."""
    table = gap(evidence, curves)
    if table.empty:
        return None
    best = table.iloc[0]
    padding = evidence.definition.training.padding
    test = "unknown" if np.isnan(best["test"]) else f"{best['test']:.2f}"
    finding = (
        f"The selected trial {int(best['config_index'])}: training {best['train']:.2f}, validation "
        f"{best['valid']:.2f} (padding {padding}); validation {best['valid_masked']:.2f} and test "
        f"{test} on real steps alone."
    )
    return Figure(
        name=f"{evidence.name}-gap",
        title="Generalisation gap",
        caption=(
            f"{finding} Left: training and validation NLL at each trial's best epoch, under the "
            "study's padding rule; the training NLL is the mean over the epoch's updates, at the "
            "parameters before each. Right: validation without prepended zeros, and pooled test "
            f"NLL. {len(table)} trials in the order of their validation NLL, the selected one "
            f"first. A panel ends at most at {_HEADROOM:g} times the lowest, over trials, of the "
            f"higher one of its two NLL ({_HEADROOM - 1:g} above it if that is below 1); what lies "
            "above is not shown."
        ),
        alt=f"Dot plots of training, validation and test NLL of {len(table)} trials. {finding}",
        draw=lambda: _draw(table),
    )


def _draw(table: pd.DataFrame) -> Drawing:
    figure, ((left, right),) = style.new_figure(2, width=style.TEXT_WIDTH_IN)
    rank = np.arange(1, len(table) + 1, dtype=float)
    panels = (
        (left, ("train", "training", style.PURPLE, "s"), ("valid", "validation", style.BLUE, "o")),
        (
            right,
            ("valid_masked", "validation", style.BLUE, "o"),
            ("test", "test", style.VERMILLION, "^"),
        ),
    )
    dense = len(table) > 200
    for axes, *series in panels:
        (one, *_), (other, *_) = series
        axes.vlines(
            rank, table[one], table[other], color=style.GREY, linewidth=0.6, rasterized=dense
        )
        for column, label, color, marker in series:
            axes.plot(
                rank,
                table[column].to_numpy(float),
                marker,
                color=color,
                markersize=2 if dense else 3.5,
                markeredgewidth=0,
                label=label,
                rasterized=dense,
            )
        values = table[[one, other]].to_numpy(float)
        lowest = float(np.min(values, where=np.isfinite(values), initial=np.inf))
        both = values[np.isfinite(values).all(axis=1)]
        # None of the two may be known, as where the test data overflow.
        if len(both):
            anchor = float(both.max(axis=1).min())
            highest = float(np.max(values, where=np.isfinite(values), initial=-np.inf))
            top = min(style.nll_top(anchor, _HEADROOM), highest)
            margin = 0.05 * (top - lowest) or 0.1
            axes.set_ylim(lowest - margin, top + margin)
        axes.set_xlabel("trials by validation NLL")
        style.legend_above(axes)
    left.set_title("with padding as in training", fontweight="normal")
    right.set_title("real steps alone", fontweight="normal")
    left.set_ylabel("NLL (nats per step)")
    return figure
