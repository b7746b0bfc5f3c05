"""The trials of a comparison by variant: test NLL, and spectral radius at the end of training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from fdrnn.model import VARIANTS
from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.comparison import Comparison
from fdrnn.reports.numbers.evidence import Evidence

_ROW_IN = 0.2


def dots(comparison: Comparison) -> pd.DataFrame:
    """Return what the figure shows: a row for each finished trial that did not diverge.

    Returns
    -------
    pandas.DataFrame
        ``variant``, ``config_index``, ``test_nll`` (pooled), ``spectral_radius`` (after the last
        epoch) and ``selected``.
    """
    tables = [_table(variant, member) for variant, member in comparison.members.items()]
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _table(variant: str, member: Evidence) -> pd.DataFrame:
    last = member.last_epochs[["config_index", "spectral_radius"]]
    table = last.merge(member.trials[["config_index", "test_nll_pooled"]])
    return pd.DataFrame(
        {
            "variant": variant,
            "config_index": table["config_index"],
            "test_nll": table["test_nll_pooled"],
            "spectral_radius": table["spectral_radius"],
            "selected": table["config_index"] == member.selected,
        }
    )


def figure(comparison: Comparison) -> Figure | None:
    """Return the figure of a comparison; None before a trial has finished undiverged.

    A trial whose test NLL is not finite has no dot, and the caption counts it.
    """
    every = dots(comparison)
    table = every[np.isfinite(every["test_nll"].to_numpy(float))]
    if table.empty:
        return None
    variants = list(comparison.members)
    without = [VARIANTS[one].title for one in variants if one not in set(every["variant"])]
    absent = f" No trial of {', '.join(without)} has finished undiverged." if without else ""
    if len(every) > len(table):
        absent += f" {len(every) - len(table)} without a finite test NLL have no dot."
    chosen = table[table["selected"]].sort_values("test_nll")
    order = ", ".join(
        f"{VARIANTS[variant].title} {nll:.2f}"
        for variant, nll in zip(chosen["variant"], chosen["test_nll"], strict=True)
    )
    return Figure(
        name=f"{comparison.name}-by-variant",
        title=f"Comparison {comparison.name}: the trials of every variant",
        caption=(
            "Pooled test NLL at each trial's best epoch, and spectral radius of the recurrent "
            "weights after its last. A dot is a trial that finished without diverging, the "
            "filled one that with the lowest validation NLL. The left axis ends at "
            f"{style.NLL_TOP_WORDS}; what lies above stands on its edge. "
            "A variant whose selected trial diverged has no filled "
            f"dot.{absent} By test NLL, the filled dots: {order or 'none'}."
        ),
        alt=(
            f"Dot plots of test NLL and spectral radius of {len(table)} trials of "
            f"{len(variants) - len(without)} variants.{absent} By test NLL, the selected ones: "
            f"{order or 'none'}."
        ),
        draw=lambda: _draw(table, variants),
    )


def _draw(table: pd.DataFrame, variants: list[str]) -> Drawing:
    height = max(1.6, 0.8 + _ROW_IN * len(variants))
    figure, ((nll, radius),) = style.new_figure(2, height=height, sharey=True)
    rows = table["variant"].map(variants.index).to_numpy(float)
    top = style.nll_top(table["test_nll"])
    for axes, values in (
        (nll, np.minimum(table["test_nll"].to_numpy(float), top)),
        (radius, table["spectral_radius"].to_numpy(float)),
    ):
        for chosen in (False, True):
            of = table["selected"].to_numpy(bool) == chosen
            if not of.any():
                # The layout would make room for an empty line at the figure's corner.
                continue
            axes.plot(
                values[of],
                rows[of],
                "o",
                color=style.SELECTED,
                markersize=5 if chosen else 4,
                markerfacecolor=style.SELECTED if chosen else "none",
                markeredgewidth=0.8,
                label="selected" if chosen else "trial",
                clip_on=False,
                zorder=3,
            )
    nll.set_yticks(range(len(variants)), [VARIANTS[variant].title for variant in variants])
    nll.set_ylim(len(variants) - 0.5, -0.5)
    nll.set_xlim(right=top)
    nll.set_xlabel("test NLL, pooled (nats per step)")
    radius.set_xscale("log")
    style.log_ticks(radius.xaxis)
    radius.set_xlabel("spectral radius at the end")
    style.legend_above(radius, "trials")
    return figure
