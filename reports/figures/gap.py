"""The generalisation gap: training, validation and test NLL of every trial's best epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.text import plural

_PANELS = (["train", "valid"], ["valid_masked", "test"])
_OF_SELECTED = " or, where that is higher, at the selected trial's NLL"


def figure(evidence: Evidence) -> Figure | None:
    """Return the figure of a study; None without a finite validation NLL."""
    table = evidence.best_epochs
    if table.empty:
        return None
    best = table.iloc[0]
    padding = evidence.definition.training.padding
    is_front = evidence.definition.training.padding_side == "front"
    zeros = f"{'prepended' if is_front else 'appended'} zeros"
    n_trials = plural(len(table), "trial")
    is_raised = any(_top(table[columns]) > style.nll_top(table[columns]) for columns in _PANELS)
    end = f"{style.NLL_TOP_WORDS}{_OF_SELECTED if is_raised else ''}"
    test = "unknown" if pd.isna(best["test"]) else f"{best['test']:.2f}"
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
            f"parameters before each. Right: validation without {zeros}, and pooled test "
            f"NLL. {n_trials} in the order of their validation NLL, the selected one "
            f"first. A panel ends at {end}; what lies above is not shown."
        ),
        alt=f"Dot plots of training, validation and test NLL of {n_trials}. {finding}",
        draw=lambda: _draw(table),
    )


def _top(values: pd.DataFrame) -> float:
    """Return where a panel ends; the selected trial, the first row, is below it."""
    _, of_selected = style.finite_range(values.iloc[0])
    return max(style.nll_top(values), of_selected)


def _draw(table: pd.DataFrame) -> Drawing:
    figure, ((left, right),) = style.new_figure(2)
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
        values = table[[one, other]]
        # None may be known, as where the test data overflow.
        if np.isfinite(values.to_numpy(float)).any():
            style.limit_nll(axes, values, _top(values))
        style.count_axis(axes.xaxis)
        axes.set_xlabel("trials by validation NLL")
        style.legend_above(axes, "split")
    left.set_title("with padding as in training", fontweight="normal")
    right.set_title("real steps alone", fontweight="normal")
    left.set_ylabel("NLL (nats per step)")
    return figure
