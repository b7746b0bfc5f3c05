"""The findings of a report: all evidence of its studies, read once.

What a command prints, what it writes into files and the dashboard's note are made from one
`Findings`, so that they agree while workers write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fdrnn.reports.errors import NothingToReportError
from fdrnn.reports.numbers.comparison import Comparison, comparisons
from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.reports.numbers.table1 import Row, table1
from fdrnn.search import Store


@dataclass(frozen=True, eq=False)
class Findings:
    """The studies of a report at one moment, in reading order.

    Attributes
    ----------
    rows
        Table 1.
    studies
        Evidence by the study's name, in the order of the rows.
    """

    rows: Sequence[Row]
    studies: Mapping[str, Evidence]

    @property
    def of_the_paper(self) -> bool:
        """Whether a study's data are of the paper's."""
        return any(row.data in TABLE_1 for row in self.rows)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """The comparisons among the studies."""
        return comparisons(self.studies.values())


def read_evidence(store: Store, names: Sequence[str] = ()) -> Findings:
    """Read studies of a store.

    Parameters
    ----------
    store
        The store.
    names
        Names of studies, or of comparisons, which mean their studies; all studies of the store
        if there are none.

    Raises
    ------
    NothingToReportError
        If the store contains no study.
    UnknownNameError
        If it lacks one of `names`.
    """
    studies = {study.name: read(study) for study in store.studies(names)}
    if not studies:
        raise NothingToReportError(
            "the store holds no study; `fdrnn run STUDY` or `fdrnn study create STUDY` makes "
            "one, --storage or FDRNN_STORAGE names another store"
        )
    rows = table1(studies.values())
    return Findings(rows, {row.study: studies[row.study] for row in rows})
