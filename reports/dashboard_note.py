"""What optuna-dashboard shows of a study beside its own plots: a note, and a figure.

The dashboard draws learning curves (validation NLL), the draws of every trial and their
importances by itself. The note adds Table 1's row and the selected trial; the figure adds the
spectral radius of the recurrent weights, which Optuna does not record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fdrnn.reports.artefacts import Columns
from fdrnn.reports.document.markdown import escaped, escaped_cell
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import value_text
from fdrnn.reports.numbers.table1 import Row, row
from fdrnn.reports.numbers.text import number
from fdrnn.reports.tables.columns import paper_columns

_RADIUS = "spectral-radius"
_MOST_TRIALS = 200
_POINTS_PER_TRIAL = 40
_DIGITS = 4
_SELECTED, _OTHERS = "#0072b2", "#858b92"


@dataclass(frozen=True)
class DashboardPage:
    """What the dashboard shows of a study beside its own plots.

    The note is Markdown; the figures, by title, are in the JSON form of Plotly's.
    """

    note: str
    figures: Mapping[str, str]


def dashboard_page(evidence: Evidence) -> DashboardPage:
    """Return note and figures of a study; equal evidence gives equal ones.

    A study with trials that have not finished gets no test NLL. The figure shows every trial, by
    at most 40 points of 4 digits, so that it stays small; a study of more than 200 trials, or
    without an epoch, has none.
    """
    figures = {}
    if len(evidence.trials) <= _MOST_TRIALS and not evidence.curves.empty:
        figures[_RADIUS] = _radius_figure(evidence)
    return DashboardPage(_note(evidence, row(evidence)), figures)


def _note(evidence: Evidence, row: Row) -> str:
    parts = [f"## {escaped(row.title)}: {row.network}", _progress(row)]
    if evidence.best is not None:
        so_far = "" if row.all_ranked else " so far"
        parts.append(
            f"Lowest validation NLL{so_far} (padding {row.padding}): **{row.valid_nll:.3f}**, "
            f"trial {row.selected_trial} (`config_index`), epoch {row.best_epoch}."
        )
        if row.all_ranked:
            parts.append(_table1(row))
        parts.append(_hyperparameters(evidence))
    elif row.trials_finished:
        parts.append("Every finished trial diverged before it had a finite validation NLL.")
    parts.append(_basis(row, evidence.data.note))
    return "\n\n".join(parts) + "\n"


def _progress(row: Row) -> str:
    diverged = f" ({row.trials_diverged} diverged)" if row.trials_diverged else ""
    were = "was" if row.trials_pruned == 1 else "were"
    pruned = f", {row.trials_pruned} {were} pruned" if row.trials_pruned else ""
    done = f"{row.trials_finished} of {row.trials_planned} trials have finished{diverged}{pruned}"
    if row.all_ranked:
        return f"Complete: {done}."
    failed = ""
    if row.trials_failed:
        retry = f"`fdrnn study retry {row.study}` retries them"
        failed = f"; {row.trials_failed} failed with a program error, {retry}"
    return f"**Not complete**: {done}{failed}. The test NLL is shown when all have."


def _table1(row: Row) -> str:
    cells = {
        "**this study, pooled**": f"**{number(row.test_nll_pooled.value)}**",
        "this study, by sequence": number(row.test_nll_sequence_mean.value),
    }
    legend = (
        "Of the trial selected by its validation NLL alone. Pooled: over all predicted steps of "
        "all test sequences; by sequence: the mean of each one's average."
    )
    if row.paper_fd is not None:
        columns: Columns[Row] = paper_columns(lambda row: row.data)
        cells |= {title: cell(row) for title, cell in columns}
        legend += " *: cited by the paper from other work."
    elif row.baseline_nll is not None:
        cells["naive prediction"] = number(row.baseline_nll)
    if row.caution:
        legend += f" Caution: {row.caution}."
    return _grid("test NLL, nats per predicted step", cells) + f"\n\n{legend}"


def _hyperparameters(evidence: Evidence) -> str:
    values = evidence.hyperparameters
    cells = {f"`{name}`": value_text(name, value) for name, value in values.items()}
    return _grid("selected trial", cells)


def _grid(heading: str, cells: Mapping[str, str]) -> str:
    lines = [f"| {escaped_cell(name)} | {escaped_cell(value)} |" for name, value in cells.items()]
    return "\n".join([f"| {heading} | |", "| --- | ---: |", *lines])


def _basis(row: Row, data_note: str) -> str:
    note = escaped(f" {row.title}: {data_note}.") if data_note else ""
    return (
        f"Study `{row.study}`: space {escaped(row.space)}, seed {row.seed}, padding "
        f"{row.padding}, fdrnn {row.code_version}.{note} `fdrnn report` updates this note; "
        "what is written above or below it is kept."
    )


def _radius_figure(evidence: Evidence) -> str:
    by_trial = evidence.curves.groupby("config_index", sort=True)
    lines = [_line(trial, evidence.selected) for _, trial in by_trial]
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
        "line": {"color": _SELECTED, "width": 3} if is_selected else {"color": _OTHERS, "width": 1},
    }
