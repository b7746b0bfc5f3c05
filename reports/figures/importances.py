"""The ranking of hyperparameters, with its uncertainty."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.importance import TARGET_QUANTILE, importance, n_repetitions, n_shuffles
from fdrnn.reports.numbers.names import label


def figure(evidence: Evidence) -> Figure | None:
    """Return the figure of a study; None where there are too few trials for a ranking."""
    table = importance(evidence)
    if table is None:
        return None
    n = len(evidence.ranked)
    kind = "finished and pruned" if evidence.n_pruned else "finished"
    above = table[table["importance"] > table["chance"]]
    ranking = ", ".join(label(name) for name in above["parameter"])
    finding = (
        f"Above the chance level: {ranking}."
        if len(above)
        else "None is above the chance level: the ranking may be luck."
    )
    at_end = " No bar passes a tick at 1." if (table["chance"] == 1).any() else ""
    return Figure(
        name=f"{evidence.name}-importance",
        title="Which hyperparameters matter",
        caption=(
            f"{finding} Importance for being among the best {TARGET_QUANTILE:.0%} of {n} {kind} "
            "trials by validation NLL (Optuna's conditional PED-ANOVA, as shares of the sum). "
            "Lines: 5 % to 95 % quantile over bootstrap samples of the trials; ticks: chance "
            "level, from shuffles of the trials' order: where none matters, a bar of any "
            "hyperparameter passes its tick in one study of twenty. "
            f"{n_repetitions(n)} bootstrap samples, {n_shuffles(n)} shuffles. A bar that does not "
            f"pass its tick may be luck.{at_end}"
        ),
        alt=(
            "Bar chart of the importance of hyperparameters, largest first: "
            + ", ".join(
                f"{label(name)} {share:.2f}"
                for name, share in zip(table["parameter"], table["importance"], strict=True)
            )
            + f". {finding}"
        ),
        draw=lambda: _draw(table),
    )


def _draw(table: pd.DataFrame) -> Drawing:
    figure, ((axes,),) = style.new_figure(height=0.5 + 0.2 * len(table))
    y = np.arange(len(table))[::-1]
    axes.barh(y, table["importance"], height=0.62, color=style.BLUE, linewidth=0)
    axes.hlines(y, table["low"], table["high"], color=style.INK, linewidth=0.8)
    axes.vlines(
        table["chance"], y - 0.42, y + 0.42, color=style.VERMILLION, linewidth=1.6, label="chance"
    )
    axes.set_yticks(y, [style.typeset(label(name)) for name in table["parameter"]])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("importance (share)")
    axes.set_xlim(left=0)
    axes.grid(visible=False)
    style.legend_above(axes, "importance by")
    return figure
