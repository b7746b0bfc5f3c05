"""Validation NLL against the value of every hyperparameter: one dot per trial."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import LABELS, choice_index, having, value_text
from fdrnn.search.design.space import Parameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_N_COLUMNS = 4
_HEADROOM = 1.25
_JITTER = 0.28
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, eq=False)
class Panel:
    """One hyperparameter's panel; arrays have an entry per finished trial that has drawn it.

    Attributes
    ----------
    name
        Of the hyperparameter.
    ticks
        Its values as printed.
    position
        Index of each trial's value among them.
    valid_nll
        Each trial's validation NLL, infinite where it has none.
    diverged
        Which trials diverged.
    config_index
        Which configurations they are.
    """

    name: str
    ticks: tuple[str, ...]
    position: npt.NDArray[np.int64]
    valid_nll: npt.NDArray[np.float64]
    diverged: npt.NDArray[np.bool_]
    config_index: npt.NDArray[np.int64]

    def medians(self) -> npt.NDArray[np.float64]:
        """Median validation NLL per value, an infinite one included; NaN for a value undrawn."""
        groups = (self.valid_nll[self.position == index] for index in range(len(self.ticks)))
        return np.array([np.median(group) if len(group) else np.nan for group in groups])


def panels(evidence: Evidence) -> list[Panel]:
    """Return a panel per hyperparameter of the study's space, in its order."""
    return [_panel(evidence, parameter) for parameter in evidence.space.parameters]


def _panel(evidence: Evidence, parameter: Parameter) -> Panel:
    finished = having(evidence.finished, parameter)
    position = [choice_index(parameter, value) for value in finished[parameter.name].tolist()]
    return Panel(
        name=parameter.name,
        ticks=tuple(value_text(parameter.name, choice) for choice in parameter.choices),
        position=np.array(position, dtype=np.int64),
        valid_nll=finished["valid_nll"].fillna(np.inf).to_numpy(float),
        diverged=finished["diverged"].to_numpy(bool),
        config_index=finished["config_index"].to_numpy(np.int64),
    )


def figure(evidence: Evidence) -> Figure | None:
    """Return the figure of a study; None without a finite validation NLL."""
    if evidence.best is None:
        return None
    n_finished, n_diverged = len(evidence.finished), evidence.n_diverged
    lowest = float(evidence.best["valid_nll"])
    return Figure(
        name=f"{evidence.name}-values",
        title="Validation NLL against every hyperparameter",
        caption=(
            f"A dot per finished trial ({n_finished}), a bar at the median of each value, a "
            "trial without a finite NLL counting as above all others and no bar drawn above the "
            f"axis, the selected trial {evidence.selected} larger. "
            f"A cross on the upper edge marks each of {n_diverged} diverged "
            "trials; one that had a finite validation NLL before has a dot too, where the axis has "
            f"it. The axis ends at {style.nll_top_words('lowest NLL', _HEADROOM)}; a triangle "
            "stands for a trial beyond."
        ),
        alt=(
            f"Panels, one per hyperparameter, of the validation NLL of {n_finished} finished "
            f"trials against its value; {n_diverged} diverged. The lowest is {lowest:.2f}, trial "
            f"{evidence.selected}."
        ),
        draw=lambda: _draw(panels(evidence), evidence.selected, lowest),
    )


def _draw(wanted: list[Panel], selected: int | None, lowest: float) -> Drawing:
    n_rows = math.ceil(len(wanted) / _N_COLUMNS)
    height = 1.5 * n_rows
    figure, axes = style.new_figure(_N_COLUMNS, n_rows, height=height, layout=None, sharey=True)
    # The panels are alike, and solving for their layout takes longer than drawing them.
    figure.subplots_adjust(
        left=0.06, right=0.99, top=1 - 0.25 / height, bottom=0.4 / height, hspace=0.7, wspace=0.1
    )
    top = style.nll_top(lowest, _HEADROOM)
    for one, panel in zip(axes.flat, wanted, strict=False):
        _draw_panel(one, panel, selected, top)
    for one in axes.flat[len(wanted) :]:
        one.set_visible(False)
    margin = 0.06 * (top - lowest)
    axes[0, 0].set_ylim(lowest - margin, top)
    for one in axes[:, 0]:
        one.set_ylabel("NLL (nats)")
    return figure


def _draw_panel(axes: Axes, panel: Panel, selected: int | None, top: float) -> None:
    # Spread by the golden ratio: neighbours in the order of the draws lie apart.
    x = panel.position + _JITTER * (2 * ((panel.config_index * _GOLDEN) % 1.0) - 1)
    y = panel.valid_nll
    inside = y <= top
    chosen = panel.config_index == selected
    style.dots(axes, x[inside & ~chosen], y[inside & ~chosen], style.GREY)
    beyond = np.isfinite(y) & ~inside & ~panel.diverged
    edge: dict[str, Any] = {"clip_on": False, "linestyle": "none", "zorder": 3}
    axes.plot(x[beyond], np.full(beyond.sum(), top), "^", color=style.GREY, markersize=3, **edge)
    rug = panel.diverged
    axes.plot(x[rug], np.full(rug.sum(), top), "x", color=style.DIVERGED, markersize=4, **edge)
    medians = panel.medians()
    shown = np.isfinite(medians) & (medians <= top)
    axes.hlines(
        medians[shown],
        np.flatnonzero(shown) - 0.38,
        np.flatnonzero(shown) + 0.38,
        color=style.INK,
        linewidth=1.0,
    )
    axes.plot(x[chosen], y[chosen], "o", color=style.SELECTED, markersize=5, zorder=4)
    axes.set_title(LABELS[panel.name], fontsize=7, fontweight="normal")
    crowded = sum(map(len, panel.ticks)) > 24
    axes.set_xticks(
        range(len(panel.ticks)),
        panel.ticks,
        rotation=40 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor",
        fontsize=6,
    )
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(panel.ticks) - 0.4)
