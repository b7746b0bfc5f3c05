"""Table 1's columns, trained: for each data set of the paper the best network of each kind.

Of several studies of one kind, the one whose selected trial has the lowest masked validation NLL,
which studies of either padding rule have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fdrnn.model import DEFAULT_OUTPUT
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.reports.numbers.table1 import Row


@dataclass(frozen=True, kw_only=True)
class Column:
    """A kind of network, a column of the table.

    Attributes
    ----------
    title
        As the table prints it.
    variants
        The variants that are of this kind.
    output
        Their output.
    """

    title: str
    variants: frozenset[str]
    output: str = DEFAULT_OUTPUT

    def has(self, row: Row) -> bool:
        """Return whether a study's networks are of this kind."""
        return row.variant in self.variants and row.output == self.output


_PLAIN, _FD = frozenset({"plain"}), frozenset({"fast_dropout"})
_FORMS = frozenset({"stacked", "deep_transition", "deep_output"})
_DEEP = _FORMS | {"deep_output_lp"}
_DEEP_FD = frozenset({f"{form}_fast_dropout" for form in _FORMS})

PAPERS = (Column(title="plain", variants=_PLAIN), Column(title="FD-RNN", variants=_FD))
"""Columns for which the paper has a number of its own, or one of a plain RNN."""

FURTHER = (
    Column(title="RNN-NADE", variants=_PLAIN, output="nade"),
    Column(title="FD-RNN-NADE", variants=_FD, output="nade"),
    Column(title="Deep RNN", variants=_DEEP),
    Column(title="Deep FD-RNN", variants=_DEEP_FD),
)
"""The others that Table 1 cites, and these with fast dropout."""


def best(rows: Sequence[Row], fingerprint: str, column: Column) -> Row | None:
    """Return the row of the best network of a kind on some data, None without a finished trial.

    A single configuration, such as one of the paper's Table 3, is no search: it is taken where
    there is nothing else.
    """
    known = [
        (row.trials_planned == 1, row.valid_nll_masked, -row.trials_planned, row)
        for row in rows
        if row.fingerprint == fingerprint and column.has(row) and row.valid_nll_masked is not None
    ]
    # Of studies that share their best draw, the one with more draws.
    return min(known, key=lambda one: one[:3], default=(None,))[-1]


def data_sets(rows: Sequence[Row]) -> dict[str, Row]:
    """Return by fingerprint a row of each of the paper's data sets with a network of `FURTHER`.

    They are in the paper's order.
    """
    named = {row.fingerprint: row for data in TABLE_1 for row in rows if row.data == data}
    return {
        fingerprint: row
        for fingerprint, row in named.items()
        if any(best(rows, fingerprint, column) is not None for column in FURTHER)
    }
