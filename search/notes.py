"""A study's note and figures in optuna-dashboard: attributes of the study in Optuna's tables.

They may change at any time, unlike a finished trial's. What a user writes into the note before
or after our part stays.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from optuna.exceptions import OptunaError
from optuna_dashboard import get_note, save_note, save_plotly_graph_object
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from fdrnn.search.database import store_error_kind
from fdrnn.search.mirror import Mirror
from fdrnn.search.store import Store

_BEGIN = "<!-- written by fdrnn -->\n"
_END = "<!-- end of what fdrnn writes -->\n"


def update_note(store: Store, study: str, note: str, figures: Mapping[str, str]) -> bool:
    """Make note and figures of a study in optuna-dashboard the given ones.

    Nothing is written where they are so already.

    Parameters
    ----------
    store
        The store.
    study
        Name of the study.
    note
        Markdown, lines ending with a newline.
    figures
        By their titles (letters, digits, dashes), in the JSON form of Plotly's figures.

    Returns
    -------
    bool
        Whether anything was written.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name.
    StoreError
        If the store cannot be read or written.
    """
    mirrored = Mirror(store.database, store.study(study)).optuna_study()
    try:
        before = get_note(mirrored)
        after = _replaced(before, note)
        shown = get_plotly_graph_objects(
            mirrored._storage.get_study_system_attrs(mirrored._study_id)
        )
        changed = {title: figure for title, figure in figures.items() if shown.get(title) != figure}
        for title, figure in changed.items():
            save_plotly_graph_object(mirrored, _Json(figure), graph_object_id=title)
        if after != before:
            save_note(mirrored, after)
    except (OptunaError, sa.exc.SQLAlchemyError) as error:
        reason = str(error).splitlines()[0]
        kind = store_error_kind(error)
        raise kind(f"store {store.database.shown}: Optuna's tables: {reason}") from error
    return bool(changed) or after != before


class _Json:
    """All that `save_plotly_graph_object` asks of a figure, without Plotly."""

    def __init__(self, text: str) -> None:
        self._text = text

    def to_json(self) -> str:
        return self._text


def _replaced(before: str, note: str) -> str:
    """Put our part where it was, or above all else."""
    ours = _BEGIN + note + _END
    head, begin, rest = before.partition(_BEGIN)
    if not begin:
        return ours + ("\n" + before if before.strip() else "")
    _, _, tail = rest.partition(_END)
    return head + ours + tail
