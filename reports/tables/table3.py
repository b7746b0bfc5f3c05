"""Table 3: the selected hyperparameters beside the paper's, a table per data set."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import PurePath

import pandas as pd

from fdrnn.model import DEFAULT_OUTPUT
from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import in_order, label, network, value_text
from fdrnn.reports.numbers.text import MISSING
from fdrnn.search import TABLE_3


def tables(studies: Iterable[Evidence]) -> list[Table]:
    """Return Table 3: a table for the studies of the same data, in the order of the studies.

    Parameters
    ----------
    studies
        Those of the same data are neighbours; those without a selected trial are left out.
    """
    selected = [study for study in studies if study.best is not None]
    by_data = groupby(selected, lambda study: study.data.fingerprint)
    groups = [list(group) for _, group in by_data]
    stems = [_stem(_named(group).definition.data) for group in groups]
    return [
        _table(stem if stems.count(stem) == 1 else f"{stem}-{_digest(group)}", group)
        for stem, group in zip(stems, groups, strict=True)
    ]


def _digest(studies: Sequence[Evidence]) -> str:
    return studies[0].data.fingerprint[:8]


def _named(studies: Sequence[Evidence]) -> Evidence:
    """Return of studies on the same data one that calls them by the paper's name, or the first."""
    return min(studies, key=lambda study: study.definition.data not in TABLE_3)


def _table(stem: str, studies: Sequence[Evidence]) -> Table:
    columns: dict[str, Mapping[str, object]] = {}
    named = _named(studies)
    published = TABLE_3.get(named.definition.data)
    if published is not None:
        values = asdict(published)
        if not published.fast_dropout_final_layer:
            del values["dropout_hidden_to_output"]
        columns["Paper: FD"] = values
    drawn = {_heading(study): study.hyperparameters for study in studies}
    columns |= drawn
    names = in_order(name for column in columns.values() for name in column)
    given = [study.given_settings(names) for study in studies]
    for title, values in zip(drawn, given, strict=True):
        columns[title] = drawn[title] | values
    printed = {title: _cells(column, names) for title, column in columns.items()}
    fixed = [study.name for study in studies if study.space.fixed]
    are_fixed = len(fixed) == len(studies)
    notes = [] if are_fixed else ["Selected by the validation NLL."]
    if any(given):
        paper = "" if published is None else "; the paper's Table 3 has none"
        notes.append(
            f"A training setting that a study does not draw is the one of all its trials{paper}."
        )
    if fixed:
        notes.append(f"Given by the study, neither drawn nor selected: {', '.join(fixed)}.")
    what = "hyperparameters" if are_fixed else "selected hyperparameters"
    return Table(
        name=f"table3-{stem}",
        title=f"Table 3: {what}, {named.data.title}",
        data=pd.DataFrame({"hyperparameter": names, **printed}),
        header=("Hyperparameter", *printed),
        rows=tuple(zip((label(name) for name in names), *printed.values(), strict=True)),
        n_text=1,
        notes=(*notes, "A dash: the network has no such value."),
    )


def _heading(study: Evidence) -> str:
    variant, output = study.definition.variant, study.definition.output
    usual = (variant, output) == ("fast_dropout", DEFAULT_OUTPUT)
    named = "" if usual else f", {network(variant, output)}"
    return f"{study.name}{named}" + ("" if study.space.fixed else f", trial {study.selected}")


def _cells(values: Mapping[str, object], names: Sequence[str]) -> list[str]:
    return [value_text(name, values[name]) if name in values else MISSING for name in names]


def _stem(data: str) -> str:
    """Return a name for files: a known data set's own, of other files a part and a digest."""
    if re.fullmatch(r"[a-z0-9-]+", data):
        return data
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePath(data).stem).strip("-")
    return f"{readable}-{hashlib.sha256(data.encode()).hexdigest()[:8]}".lstrip("-")
