"""The findings of a report: all evidence of its studies, read once.

What a command prints, what it writes into files and the dashboard's note are made from one
`Findings`, so that they agree while workers write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from fdrnn.datasets import is_path
from fdrnn.reports.errors import NothingToReportError
from fdrnn.reports.numbers.comparison import Comparison, comparisons
from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.reports.numbers.table1 import Row, table1
from fdrnn.search import Store, StudyDefinition


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

    def other_plan(self, study: Evidence) -> Evidence | None:
        """Return the study of the same search with halving, if `study` has none, or without.

        Both draw from the same space for the same network with the same seed, data and training
        settings, so that they share their first draws. Of several it is the one with the most
        draws, then the first by name.
        """
        others = [one for one in self.studies.values() if _differ_in_plan(study, one)]
        return min(others, key=lambda one: (-one.definition.n_trials, one.name), default=None)


def _differ_in_plan(study: Evidence, other: Evidence) -> bool:
    own, another = study.definition, other.definition
    return (
        (own.halving is None) != (another.halving is None)
        and study.data.fingerprint == other.data.fingerprint
        and _without_plan(own) == _without_plan(another)
    )


def _without_plan(definition: StudyDefinition) -> StudyDefinition:
    return replace(definition, name="search", n_trials=1, halving=None, repeats=0)


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
    studies = _with_distinct_titles(studies)
    rows = table1(studies.values())
    return Findings(rows, {row.study: studies[row.study] for row in rows})


def _with_distinct_titles(studies: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """Put a folder's name before those of different data files with one name."""
    paths: dict[str, dict[str, str]] = defaultdict(dict)
    for study in studies.values():
        paths[study.data.title].setdefault(study.data.fingerprint, study.definition.data)

    def renamed(study: Evidence) -> Evidence:
        title = study.data.title
        path = paths[title][study.data.fingerprint]
        if len(paths[title]) == 1 or not is_path(path):
            return study
        data = replace(study.data, title=f"{Path(path).parent.name}/{title}")
        return replace(study, study=replace(study.study, data=data))

    return {name: renamed(study) for name, study in studies.items()}
