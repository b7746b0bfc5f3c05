"""Table 1's columns as printed: our networks of each kind beside the cited ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import pandas as pd

from fdrnn.reports.artefacts import Columns, Table
from fdrnn.reports.numbers.columns import FURTHER, PAPERS, Column, best, data_sets
from fdrnn.reports.numbers.paper import TABLE_1, PublishedNll
from fdrnn.reports.numbers.table1 import Row
from fdrnn.reports.numbers.text import MISSING, number

T = TypeVar("T")

_PROVISIONAL = '"3 of 8" draws: 3 have ended, and the number is provisional.'


def paper_columns(data_of: Callable[[T], str]) -> Columns[T]:
    """Return the columns of the paper's Table 1, of which those marked * are cited there.

    Parameters
    ----------
    data_of
        Returns the data set of an entry, one of the paper's.
    """

    def published(entry: T) -> PublishedNll:
        return TABLE_1[data_of(entry)]

    return [
        ("Paper: FD", lambda entry: number(published(entry).fd)),
        ("plain*", lambda entry: number(published(entry).plain)),
        ("RNN-NADE*", lambda entry: number(published(entry).rnn_nade)),
        ("Deep RNN*", lambda entry: number(published(entry).deep_rnn)),
    ]


def table(rows: Sequence[Row]) -> Table | None:
    """Return the table, a row per data set of the paper; None without a network of `FURTHER`."""
    data = data_sets(rows)
    if not data:
        return None
    used = [
        column
        for column in (*PAPERS, *FURTHER)
        if any(best(rows, one, column) is not None for one in data)
    ]

    shown = [row for one in data for column in used if (row := best(rows, one, column))]
    several = " with several draws"
    if any(row.trials_planned == 1 for row in shown):
        several += ", or of one draw where there is no other"

    def ours(column: Column) -> Callable[[str], str]:
        return lambda one: _cell(best(rows, one, column))

    cited: Columns[str] = paper_columns(lambda one: data[one].data)
    return Table.of(
        data,
        name="table1-columns",
        title="Table 1: every column, trained and cited",
        data=pd.DataFrame(_flat(rows, data, used)),
        text=[("Data set", lambda one: data[one].title)],
        numbers=[*((column.title, ours(column)) for column in used), *cited],
        notes=(
            "Ours: pooled test NLL (draws) of the selected trial with the lowest masked validation "
            f"NLL among the studies of that kind{several}. Columns marked * are cited by "
            "the paper.",
            *(() if all(row.all_ranked for row in shown) else [_PROVISIONAL]),
            *(_studies(rows, data, column) for column in used),
        ),
    )


def _cell(row: Row | None) -> str:
    if row is None or row.test_nll_pooled.value is None:
        return MISSING
    ended = "" if row.all_ranked else f"{row.trials_finished + row.trials_pruned} of "
    return f"{number(row.test_nll_pooled.value)} ({ended}{row.trials_planned})"


def _flat(
    rows: Sequence[Row], data: Mapping[str, Row], columns: Sequence[Column]
) -> Iterator[dict[str, object]]:
    for fingerprint, named in data.items():
        for column in columns:
            row = best(rows, fingerprint, column)
            if row is not None:
                yield {
                    "data": named.data,
                    "column": column.title,
                    "study": row.study,
                    "trials_planned": row.trials_planned,
                    "trials_finished": row.trials_finished,
                    "selected_trial": row.selected_trial,
                    "valid_nll_masked": row.valid_nll_masked,
                    "test_nll_pooled": row.test_nll_pooled.value,
                    "test_nll_sequence_mean": row.test_nll_sequence_mean.value,
                }


def _studies(rows: Sequence[Row], data: Iterable[str], column: Column) -> str:
    chosen = [row for one in data if (row := best(rows, one, column)) is not None]
    return f"{column.title}: {', '.join(row.study for row in chosen)}."
