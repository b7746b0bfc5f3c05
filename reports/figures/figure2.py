"""Figure 2: spectral radius of W_rec and test NLL over training, FD against plain.

The test NLL of every epoch is recorded for this figure alone, by studies with
``record = ["test_nll"]``; the trials shown are selected by validation NLL like all others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import is_plain, network

TEST_NLL = "test_nll_pooled"
"""Column of the curves of a study that records it."""


def course(evidence: Evidence) -> pd.DataFrame | None:
    """Return the curve of a study's selected trial; None without one or without its test NLL."""
    curves = evidence.curves
    if TEST_NLL not in curves or evidence.selected is None:
        return None
    return curves[curves["config_index"] == evidence.selected]


def figure(name: str, title: str, studies: Sequence[Evidence]) -> Figure | None:
    """Return Figure 2 of one data set; None where no study has a `course`.

    Parameters
    ----------
    name
        Stem of its files.
    title
        Title of the data set.
    studies
        A study of fast-dropout networks and its plain counterpart, or one of them.
    """
    drawn = {one: curve for one in studies if (curve := course(one)) is not None}
    if not drawn:
        return None
    found = "; ".join(_finding(*one) for one in drawn.items())
    missing = ""
    if len(drawn) == 1:
        other = "fast-dropout" if _is_plain(next(iter(drawn))) else "plain"
        missing = (
            f" No {other} study with the same data, seed and settings that records its test NLL "
            "has a selected trial."
        )
    return Figure(
        name=name,
        title=f"Figure 2: spectral radius and test NLL over training, {title}",
        caption=(
            f"Spectral radius of W_rec and pooled test NLL at the end of each epoch: {found}. "
            "Dots: the epoch of the lowest validation NLL, whose parameters count; the test NLL "
            f"of every epoch is recorded for this figure and selects nothing. Its axis ends at "
            f"{style.NLL_TOP_WORDS} of its values; what lies above is not shown."
            f"{missing}"
        ),
        alt=(
            f"Line plots of the spectral radius of W_rec and of the test NLL over epochs: {found}."
        ),
        draw=lambda: _draw(drawn),
    )


def _is_plain(study: Evidence) -> bool:
    return is_plain(study.definition.variant)


def _network(study: Evidence) -> str:
    return network(study.definition.variant, study.definition.output)


def _finding(study: Evidence, curve: pd.DataFrame) -> str:
    radius = curve["spectral_radius"].to_numpy(float)
    at_best = curve[curve["epoch"] == study.best_epoch]
    nll = f", test NLL {at_best[TEST_NLL].iloc[0]:.2f} at epoch {study.best_epoch}"
    # None may be known, where the weights overflow.
    known = (
        f"spectral radius {radius[0]:.2f} after the first epoch, at most {np.nanmax(radius):.2f} "
        f"at epoch {int(np.nanargmax(radius)) + 1}, {radius[-1]:.2f} at the end"
        if not np.isnan(radius).all()
        else "no spectral radius"
    )
    return (
        f"{_network(study)} ({study.name}, trial {study.selected}): {known}"
        f"{nll if len(at_best) else ''}"
    )


def _draw(drawn: dict[Evidence, pd.DataFrame]) -> Drawing:
    figure, ((radius, test),) = style.new_figure(2)
    for study, curve in drawn.items():
        color, line = (style.PLAIN, "--") if _is_plain(study) else (style.FD, "-")
        label = _network(study)
        epochs = curve["epoch"].to_numpy(float)
        at_best = epochs == study.best_epoch
        for axes, column in ((radius, "spectral_radius"), (test, TEST_NLL)):
            values = curve[column].to_numpy(float)
            axes.plot(epochs, values, color=color, linestyle=line, label=label)
            axes.plot(epochs[at_best], values[at_best], "o", color=color, markersize=4)
            axes.set_xlabel("epoch")
            style.count_axis(axes.xaxis)
            axes.set_xlim(left=0)
    tested = pd.concat([curve[TEST_NLL] for curve in drawn.values()])
    least, _ = style.finite_range(tested)
    # None may be known, where the test data overflow.
    if np.isfinite(least):
        style.limit_nll(test, tested, style.nll_top(tested))
    radius.set_ylim(bottom=0)
    radius.set_ylabel(r"spectral radius of $W_\mathrm{rec}$")
    test.set_ylabel("test NLL (nats per step)")
    style.legend_above(radius, "network")
    return figure
