"""Table 3: the selected hyperparameters beside the paper's, a table per data set."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import PurePath

import pandas as pd

from fdrnn.model import VARIANTS
from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import LABELS, is_fixed, value_text
from fdrnn.search import SPACES, TABLE_3


@dataclass(frozen=True, kw_only=True)
class Column:
    """A study's column of Table 3.

    Attributes
    ----------
    data, title, study, variant
        As of the study.
    trial
        The selected trial.
    values
        Its hyperparameters by name; those that its network lacks, or that were not drawn, are
        absent.
    is_fixed
        Whether its space has no others, so that nothing was selected.
    """

    data: str
    title: str
    study: str
    variant: str
    trial: int
    values: Mapping[str, object]
    is_fixed: bool = False


def column(evidence: Evidence) -> Column | None:
    """Return a study's column; None where no trial is selected."""
    if evidence.best is None or evidence.selected is None:
        return None
    values = {}
    for parameter in SPACES[evidence.definition.space].parameters:
        value = evidence.best[parameter.name]
        if parameter.only_if is None or not pd.isna(value):
            values[parameter.name] = value
    return Column(
        data=evidence.definition.data,
        title=evidence.stored.data.title,
        study=evidence.name,
        variant=evidence.definition.variant,
        trial=evidence.selected,
        values=values,
        is_fixed=is_fixed(SPACES[evidence.definition.space]),
    )


def tables(columns: Sequence[Column]) -> list[Table]:
    """Return Table 3: a table per data set, in the order of the columns.

    Parameters
    ----------
    columns
        Those of one data set stand together.
    """
    return [_table(data, list(group)) for data, group in groupby(columns, lambda one: one.data)]


def _table(data: str, columns: Sequence[Column]) -> Table:
    by_title: dict[str, Mapping[str, object]] = {}
    published = TABLE_3.get(data)
    if published is not None:
        values = asdict(published)
        if not published.fast_dropout_final_layer:
            del values["dropout_hidden_to_output"]
        by_title["Paper: FD"] = values
    for one in columns:
        network = "" if one.variant == "fast_dropout" else f", {VARIANTS[one.variant].title}"
        trial = "" if one.is_fixed else f", trial {one.trial}"
        by_title[f"{one.study}{network}{trial}"] = one.values
    names = [name for name in LABELS if any(name in one for one in by_title.values())]
    printed = {title: _cells(one, names) for title, one in by_title.items()}
    fixed = [one for one in columns if one.is_fixed]
    notes = ["Selected by the validation NLL."] if fixed != columns else []
    if fixed:
        names_of_fixed = ", ".join(one.study for one in fixed)
        notes.append(f"Given by the study, neither drawn nor selected: {names_of_fixed}.")
    return Table(
        name=f"table3-{_stem(data)}",
        title=f"Table 3: {'' if fixed == columns else 'selected '}hyperparameters, "
        f"{columns[0].title}",
        data=pd.DataFrame({"hyperparameter": names, **printed}),
        header=("Hyperparameter", *printed),
        rows=tuple(zip((LABELS[name] for name in names), *printed.values(), strict=True)),
        n_text=1,
        notes=(*notes, "A dash: the network has no such value."),
    )


def _cells(values: Mapping[str, object], names: Sequence[str]) -> list[str]:
    return [value_text(name, values[name]) if name in values else "-" for name in names]


def _stem(data: str) -> str:
    """Return a name for files: a known data set's own, of other files' a part and a digest."""
    if re.fullmatch(r"[a-z0-9-]+", data):
        return data
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePath(data).stem).strip("-")
    return f"{readable}-{hashlib.sha256(data.encode()).hexdigest()[:8]}".lstrip("-")
