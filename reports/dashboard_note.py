"""What optuna-dashboard tells of a study beside its own plots: a note, and a figure.

The dashboard draws learning curves (validation NLL), the draws of every trial and their
importances by itself. The note adds Table 1's row and the selected trial; the figure the
spectral radius of the recurrent weights, which Optuna knows nothing of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fdrnn.model import VARIANTS
from fdrnn.reports.numbers.table1 import Row, table1
from fdrnn.search import SPACES, Store, curves, trials

_RADIUS = "spectral-radius"
_MOST_TRIALS = 200
_POINTS_PER_TRIAL = 40
_DIGITS = 4
_SELECTED, _OTHERS = "#0072b2", "#858b92"


@dataclass(frozen=True)
class DashboardPage:
    """What the dashboard shows of a study beside its own plots.

    Attributes
    ----------
    note
        Markdown; lines end with a newline.
    figures
        By title, in the JSON form of Plotly's figures.
    """

    note: str
    figures: Mapping[str, str]


def dashboard_page(store: Store, study: str) -> DashboardPage:
    """Return note and figures of a study: the same for the same state of the store.

    A study with trials that have not finished gets no test NLL. The figure shows every trial, by
    at most 40 points of 4 digits, so that it stays small; a study of more than 200 trials, or
    without an epoch, has none.

    Parameters
    ----------
    store
        The store; nothing else is read.
    study
        Name of the study.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name.
    """
    (row,) = table1(store, [study])
    figures = {}
    if row.trials_planned <= _MOST_TRIALS:
        curve = curves(store, study)
        if not curve.empty:
            figures[_RADIUS] = _radius_figure(curve, row.selected_trial)
    return DashboardPage(_note(store, row), figures)


def _note(store: Store, row: Row) -> str:
    parts = [f"## {row.title}: {VARIANTS[row.variant].title}", _progress(row)]
    is_complete = row.trials_finished == row.trials_planned
    if row.selected_trial is not None:
        so_far = "" if is_complete else " so far"
        parts.append(
            f"Lowest validation NLL{so_far} (padding {row.padding}): **{row.valid_nll:.3f}**, "
            f"trial {row.selected_trial} (`config_index`), epoch {row.best_epoch}."
        )
        if is_complete:
            parts.append(_table1(row))
        drawn = trials(store, row.study)
        (selected,) = drawn[drawn["config_index"] == row.selected_trial].to_dict("records")
        parts.append(_hyperparameters(selected, SPACES[row.space].names))
    elif row.trials_finished:
        parts.append("Every finished trial diverged before it had a finite validation NLL.")
    parts.append(_basis(row, store.study(row.study).data.note))
    return "\n\n".join(parts) + "\n"


def _progress(row: Row) -> str:
    diverged = f" ({row.trials_diverged} diverged)" if row.trials_diverged else ""
    done = f"{row.trials_finished} of {row.trials_planned} trials have finished{diverged}"
    if row.trials_finished == row.trials_planned:
        return f"Complete: {done}."
    failed = (
        f"; {row.trials_failed} met a program error, `fdrnn study retry {row.study}` lets them "
        "wait again"
        if row.trials_failed
        else ""
    )
    return f"**Not complete**: {done}{failed}. The test NLL is told when all have."


def _table1(row: Row) -> str:
    cells = [("**this study, pooled**", f"**{_nll(row.test_nll_pooled)}**")]
    cells.append(("this study, by sequence", _nll(row.test_nll_sequence_mean)))
    if row.paper_fd is not None:
        cells += [
            ("paper: FD-RNN", _nll(row.paper_fd)),
            ("plain RNN*", _nll(row.cited_plain)),
            ("RNN-NADE*", _nll(row.cited_rnn_nade)),
            ("Deep RNN*", _nll(row.cited_deep_rnn)),
        ]
    lines = ["| test NLL, nats per predicted step | |", "| --- | ---: |"]
    lines += [f"| {name} | {value} |" for name, value in cells]
    legend = (
        "Of the trial selected by its validation NLL alone. Pooled: over all predicted steps of "
        "all test sequences; by sequence: the mean of each one's average."
    )
    if row.paper_fd is not None:
        legend += " *: cited by the paper from other work."
    return "\n".join(lines) + "\n\n" + legend


def _hyperparameters(selected: dict[Any, Any], names: tuple[str, ...]) -> str:
    lines = ["| selected trial | |", "| --- | ---: |"]
    for name in names:
        value = selected[name]
        if pd.isna(value):
            # In a frame of trials: no limit, or not drawn.
            if name != "max_incoming":
                continue
            value = "no limit"
        lines.append(
            f"| `{name}` | {value:g} |" if _is_number(value) else f"| `{name}` | {value} |"
        )
    return "\n".join(lines)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _basis(row: Row, data_note: str) -> str:
    note = f" {row.title}: {data_note}." if data_note else ""
    return (
        f"Study `{row.study}`: space {row.space}, seed {row.seed}, padding {row.padding}, fdrnn "
        f"{row.code_version}.{note} `fdrnn report` brings this note up to date; what is written "
        "above or below it stays."
    )


def _radius_figure(curve: pd.DataFrame, selected: int | None) -> str:
    lines = [_line(trial, selected) for _, trial in curve.groupby("config_index", sort=True)]
    # The last one drawn lies on top.
    lines.sort(key=lambda line: line["line"]["color"] == _SELECTED)
    layout = {
        "title": {"text": "Spectral radius of W_rec over training"},
        "xaxis": {"title": {"text": "epoch"}},
        "yaxis": {"title": {"text": "spectral radius"}, "type": "log"},
        "showlegend": False,
    }
    return json.dumps({"data": lines, "layout": layout}, separators=(",", ":"))


def _line(trial: pd.DataFrame, selected: int | None) -> dict[str, Any]:
    config_index = int(trial["config_index"].iloc[0])
    is_selected = config_index == selected
    positions = np.linspace(0, len(trial) - 1, min(_POINTS_PER_TRIAL, len(trial)))
    points = trial.iloc[positions.round().astype(int)]
    # Neither NaN nor infinity is JSON, nor has 0 a logarithm.
    radius = points["spectral_radius"]
    points = points[np.isfinite(radius) & (radius > 0)]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"trial {config_index}" + (", selected" if is_selected else ""),
        "x": points["epoch"].tolist(),
        "y": [float(f"{value:.{_DIGITS}g}") for value in points["spectral_radius"]],
        "line": {
            "color": _SELECTED if is_selected else _OTHERS,
            "width": 3 if is_selected else 1,
        },
    }


def _nll(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
