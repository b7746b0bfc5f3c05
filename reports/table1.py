"""Table 1: the test NLL of each study's selected trial beside the paper's numbers.

The trial is selected by its validation NLL alone. Everything is computed from the frames of
`fdrnn.search`; the paper's numbers come from `fdrnn.reports.paper`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

from fdrnn.reports.errors import NothingToReportError
from fdrnn.reports.paper import TABLE_1
from fdrnn.search import Store, StoredStudy, frames, selected

_VARIANT_ORDER = ("fast_dropout", "authors_cell", "plain")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One study's row of Table 1; NLL in nats per predicted step, None where there is none.

    Attributes
    ----------
    data, title
        The study's data set as it is asked for and as the table prints it.
    study, variant, space, seed, padding
        The study's definition; `padding` is the rule of the training and validation loss.
    code_version
        Version of fdrnn that created the study.
    trials_planned, trials_finished, trials_diverged, trials_failed
        Numbers of configurations drawn, of trials finished (diverged ones included), of those
        that diverged, and of those that ended with a program error.
    selected_trial
        Index (from 0) of the finished trial with the lowest finite validation NLL.
    best_epoch
        Its epoch of the lowest validation NLL, whose parameters were tested.
    valid_nll
        The validation NLL that selected it, under the study's padding rule.
    test_nll_pooled
        Its test NLL averaged over the predicted steps of all test sequences.
    test_nll_sequence_mean
        Its test NLL as the mean over test sequences of each one's average.
    paper_fd
        The paper's own fast-dropout number for the data set.
    cited_plain, cited_rnn_nade, cited_deep_rnn
        The numbers that the paper cites for the data set.
    note
        What a reader must know of the row; empty for a complete study of a benchmark.
    """

    data: str
    title: str
    study: str
    variant: str
    space: str
    seed: int
    padding: str
    code_version: str
    trials_planned: int
    trials_finished: int
    trials_diverged: int
    trials_failed: int
    selected_trial: int | None
    best_epoch: int | None
    valid_nll: float | None
    test_nll_pooled: float | None
    test_nll_sequence_mean: float | None
    paper_fd: float | None
    cited_plain: float | None
    cited_rnn_nade: float | None
    cited_deep_rnn: float | None
    note: str


def table1(store: Store, studies: Sequence[str] = ()) -> list[Row]:
    """Compute Table 1 of a store.

    Parameters
    ----------
    store
        The store; nothing else is read.
    studies
        Names of the studies to show; all of the store if there are none.

    Returns
    -------
    list of Row
        A row per study, as `in_reading_order` sorts them.

    Raises
    ------
    NothingToReportError
        If the store holds no study.
    UnknownNameError
        If it lacks one of `studies`.
    """
    names = list(dict.fromkeys(studies)) or store.study_names()
    if not names:
        raise NothingToReportError(
            "the store holds no study; `fdrnn run STUDY` or `fdrnn study create STUDY` makes one, "
            "--storage or FDRNN_STORAGE names another store"
        )
    return in_reading_order(row(store.study(name), frames.trials(store, name)) for name in names)


def row(stored: StoredStudy, trials: pd.DataFrame) -> Row:
    """Compute a study's row.

    Parameters
    ----------
    stored
        The study.
    trials
        Its trials as `fdrnn.search.trials` returns them, one per configuration.

    Returns
    -------
    Row
        The row; a study without a finished trial that has a finite validation NLL gets no
        numbers of its own, and a note that says why.
    """
    definition = stored.definition
    finished = trials[trials["state"] == "finished"]
    index = selected(trials)
    best = None if index is None else trials[trials["config_index"] == index].iloc[0]
    published = TABLE_1.get(definition.data)
    n_diverged = int(finished["diverged"].astype(bool).sum())
    n_failed = int((trials["state"] == "failed").sum())
    return Row(
        data=definition.data,
        title=stored.data.title,
        study=definition.name,
        variant=definition.variant,
        space=definition.space,
        seed=definition.seed,
        padding=definition.training.padding,
        code_version=stored.code_version,
        trials_planned=len(trials),
        trials_finished=len(finished),
        trials_diverged=n_diverged,
        trials_failed=n_failed,
        selected_trial=index,
        best_epoch=None if best is None else int(best["best_epoch"]),
        valid_nll=_nll(best, "valid_nll"),
        test_nll_pooled=_nll(best, "test_nll_pooled"),
        test_nll_sequence_mean=_nll(best, "test_nll_sequence_mean"),
        paper_fd=published.fd if published else None,
        cited_plain=published.plain if published else None,
        cited_rnn_nade=published.rnn_nade if published else None,
        cited_deep_rnn=published.deep_rnn if published else None,
        note="; ".join(_notes(stored, len(trials), len(finished), n_failed, index)),
    )


def _nll(trial: pd.Series[Any] | None, column: str) -> float | None:
    # Test sequences of a single frame each have no predicted step, hence no NLL.
    return None if trial is None or pd.isna(trial[column]) else float(trial[column])


def _notes(
    stored: StoredStudy, n_planned: int, n_finished: int, n_failed: int, index: int | None
) -> Iterator[str]:
    if stored.data.note:
        yield stored.data.note
    elif stored.definition.data not in TABLE_1:
        yield "own data: the paper has no number for it"
    if n_finished == 0:
        yield "no trial has finished yet"
    elif index is None:
        yield "every finished trial diverged before it had a finite validation NLL"
    if n_failed:
        yield f"{n_failed} failed with a program error"
    if 0 < n_finished < n_planned:
        yield f"provisional: {n_finished} of {n_planned} trials have finished"


def in_reading_order(rows: Iterable[Row]) -> list[Row]:
    """Sort rows: the paper's data sets in its order, then others; FD before plain."""
    order = list(TABLE_1)

    def key(row: Row) -> tuple[int, str, int, str]:
        rank = order.index(row.data) if row.data in order else len(order)
        variant = _VARIANT_ORDER.index(row.variant) if row.variant in _VARIANT_ORDER else 9
        return rank, row.data, variant, row.study

    return sorted(rows, key=key)


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Return rows as a frame: a column per field of `Row`, missing numbers as NA."""
    columns = [field.name for field in fields(Row)]
    table = pd.DataFrame([asdict(row) for row in rows], columns=columns)
    return table.astype({"selected_trial": "Int64", "best_epoch": "Int64"})
