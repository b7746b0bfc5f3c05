"""A study's note and figures in optuna-dashboard: attributes of the study in Optuna's tables.

They can change at any time, unlike a finished trial's. What a user writes into the note before
or after our part stays.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import optuna
import sqlalchemy as sa
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna_dashboard import get_note, save_note, save_plotly_graph_object
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from fdrnn.search.mirror.optuna_tables import Mirror, optuna_error
from fdrnn.search.store.study import Study

_METRIC = "validation NLL"
# Link definitions, which Markdown does not show; the dashboard would show comments of HTML.
_BEGIN = "[//]: # (written by fdrnn)\n\n"
_END = "\n[//]: # (end of what fdrnn writes)\n"


def update_note(study: Study, note: str, figures: Mapping[str, str]) -> bool:
    """Set the note and the figures of a study in optuna-dashboard, where they differ.

    Trials that Optuna's tables miss are written first. The first time also names the value of a
    trial.

    Parameters
    ----------
    study
        The study.
    note
        Markdown, lines ending with a newline.
    figures
        The JSON form of Plotly figures by their titles (letters, digits, dashes).

    Returns
    -------
    bool
        Whether anything was written.

    Raises
    ------
    StoreError
        If the store cannot be read or written.
    """
    mirror = Mirror(study)
    # No worker does so for a study that has ended, if it was killed before or trains another one.
    mirror.sync()
    mirrored = mirror.optuna_study()
    if mirrored is None:
        return False
    try:
        return _update(mirrored, note, figures)
    except (OptunaError, sa.exc.SQLAlchemyError) as error:
        raise optuna_error(study.database, error) from error


def _update(study: optuna.Study, note: str, figures: Mapping[str, str]) -> bool:
    attributes = study._storage.get_study_system_attrs(study._study_id)
    current = get_plotly_graph_objects(attributes)
    changed = {title: figure for title, figure in figures.items() if current.get(title) != figure}
    for title, figure in changed.items():
        save_plotly_graph_object(study, _Json(figure), graph_object_id=title)
    before = get_note(study)
    after = _replaced(before, note)
    if after != before:
        save_note(study, after)
    named = study.metric_names == [_METRIC]
    if not named:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([_METRIC])
    return bool(changed) or after != before or not named


class _Json:
    """All that `save_plotly_graph_object` needs of a figure, without Plotly."""

    def __init__(self, text: str) -> None:
        self._text = text

    def to_json(self) -> str:
        return self._text


def _replaced(before: str, note: str) -> str:
    """Return a note with our part replaced, or added above all else."""
    ours = _BEGIN + note + _END
    head, begin, rest = before.partition(_BEGIN)
    if not begin:
        return ours + ("\n" + before if before.strip() else "")
    _, _, tail = rest.partition(_END)
    return head + ours + tail
