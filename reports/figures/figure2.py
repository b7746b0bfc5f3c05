"""Figure 2: spectral radius of W_rec and test NLL over training, FD against plain.

The test NLL of every epoch is recorded for this figure alone, by studies with
``record = ["test_nll"]``; the trials shown are selected by validation NLL like all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fdrnn.model import VARIANTS
from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.evidence import Evidence

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

TEST_NLL = "test_nll_pooled"
"""Column of the curves of a study that records it."""

_HEADROOM = 1.5


@dataclass(frozen=True, eq=False)
class Course:
    """The selected trial of a study over its training.

    Attributes
    ----------
    study, variant, trial
        Which it is.
    best_epoch
        Its epoch of the lowest validation NLL.
    curve
        Its ``epoch``, ``spectral_radius`` and ``test_nll_pooled``.
    """

    study: str
    variant: str
    trial: int
    best_epoch: int
    curve: pd.DataFrame

    @property
    def label(self) -> str:
        """Name in the legend."""
        return VARIANTS[self.variant].title


def course(evidence: Evidence) -> Course | None:
    """Return the course of a study; None if it records no test NLL or has no selected trial."""
    curves = evidence.curves
    if TEST_NLL not in curves or evidence.selected is None or evidence.best is None:
        return None
    curve = curves[curves["config_index"] == evidence.selected]
    return Course(
        study=evidence.name,
        variant=evidence.definition.variant,
        trial=evidence.selected,
        best_epoch=int(evidence.best["best_epoch"]),
        curve=curve[["epoch", "spectral_radius", TEST_NLL]].reset_index(drop=True),
    )


def figure(name: str, title: str, courses: Sequence[Course]) -> Figure:
    """Return Figure 2 of one data set.

    Parameters
    ----------
    name
        Stem of its files.
    title
        Title of the data set.
    courses
        A study of fast-dropout networks and its plain counterpart, or one of them.
    """
    found = "; ".join(map(_finding, courses))
    missing = ""
    if len(courses) == 1:
        other = "plain" if courses[0].variant != "plain" else "fast-dropout"
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
            f"{style.nll_top_words('least', _HEADROOM)} at most; what lies above is not shown."
            f"{missing}"
        ),
        alt=(
            f"Line plots of the spectral radius of W_rec and of the test NLL over epochs: {found}."
        ),
        draw=lambda: _draw(courses),
    )


def _finding(one: Course) -> str:
    radius = one.curve["spectral_radius"].to_numpy(float)
    at_best = one.curve.loc[one.curve["epoch"] == one.best_epoch, TEST_NLL]
    nll = f", test NLL {at_best.iloc[0]:.2f} at epoch {one.best_epoch}" if len(at_best) else ""
    return (
        f"{one.label} ({one.study}, trial {one.trial}): spectral radius {radius[0]:.2f} after the "
        f"first epoch, at most {np.nanmax(radius):.2f} at epoch {int(np.nanargmax(radius)) + 1}, "
        f"{radius[-1]:.2f} at the end{nll}"
    )


def _draw(courses: Sequence[Course]) -> Drawing:
    figure, ((radius, test),) = style.new_figure(2)
    for one in courses:
        plain = one.variant == "plain"
        color = style.PLAIN if plain else style.FD
        epochs = one.curve["epoch"].to_numpy(float)
        for axes, column in ((radius, "spectral_radius"), (test, TEST_NLL)):
            values = one.curve[column].to_numpy(float)
            at_best = epochs == one.best_epoch
            axes.plot(
                epochs, values, color=color, linestyle="--" if plain else "-", label=one.label
            )
            axes.plot(epochs[at_best], values[at_best], "o", color=color, markersize=4)
            axes.set_xlabel("epoch")
            axes.set_xlim(left=0)
    least, most = style.finite_range(np.concatenate([one.curve[TEST_NLL] for one in courses]))
    # None may be known, where the test data overflow.
    if np.isfinite(least):
        top = min(most, style.nll_top(least, _HEADROOM))
        margin = 0.05 * (top - least) or 0.1
        test.set_ylim(least - margin, top + margin)
    radius.set_ylim(bottom=0)
    radius.set_ylabel(r"spectral radius of $W_\mathrm{rec}$")
    test.set_ylabel("test NLL (nats per step)")
    style.legend_above(radius)
    return figure
