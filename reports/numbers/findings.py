"""The findings of a report: all evidence of its studies, read once.

What a command prints, what it writes into files and the dashboard's note are made from one
`Findings`, so that they agree while workers write.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

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


def _without_plan(definition: StudyDefinition) -> dict[str, Any]:
    # A definition with other values would be checked anew, for every pair of studies.
    plan = {"name", "n_trials", "halving", "repeats"}
    return {name: value for name, value in vars(definition).items() if name not in plan}


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
    """Return the studies with a different title for each data set."""
    folders: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for study in studies.values():
        path = study.definition.data
        above = Path(path).parts[:-1] if is_path(path) else ()
        named = tuple(one for one in above if one != os.sep)
        folders[study.data.title].setdefault(study.data.fingerprint, named)
    titles = {title: _distinct(title, found) for title, found in folders.items()}

    def renamed(study: Evidence) -> Evidence:
        title = titles[study.data.title][study.data.fingerprint]
        if title == study.data.title:
            return study
        return replace(study, study=replace(study.study, data=replace(study.data, title=title)))

    return {name: renamed(study) for name, study in studies.items()}


def _distinct(title: str, folders: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return a title for each fingerprint, from the folders of its file.

    It has as few folders as distinguish all paths; data at one path have the fingerprint, too.
    """

    def under(depth: int) -> dict[str, str]:
        return {
            fingerprint: "/".join((*above[max(0, len(above) - depth) :], title))
            for fingerprint, above in folders.items()
        }

    n_paths = len(set(folders.values()))
    depths = range(max(map(len, folders.values())) + 1)
    found = next(one for one in map(under, depths) if len(set(one.values())) == n_paths)
    shared = Counter(found.values())
    return {
        fingerprint: text if shared[text] == 1 else f"{text} ({fingerprint[:8]})"
        for fingerprint, text in found.items()
    }
