"""Table 2: the space of a study, with how often each value was drawn."""

from __future__ import annotations

import pandas as pd

from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import (
    LABELS,
    choice_index,
    having,
    is_fixed,
    occurring,
    value_text,
)


def counts(evidence: Evidence) -> pd.DataFrame:
    """Count the draws of every value.

    Returns
    -------
    pandas.DataFrame
        ``parameter``, ``value`` (as printed), ``count`` and ``drawn`` (configurations in which
        the parameter was drawn at all: fewer than all where it has a condition), in the order
        of the space. All configurations count, trained or not.
    """
    rows = []
    for parameter in evidence.space.parameters:
        values = having(evidence.trials, parameter)[parameter.name].tolist()
        drawn = [choice_index(parameter, value) for value in values]
        rows += [
            (parameter.name, value_text(parameter.name, choice), drawn.count(index), len(drawn))
            for index, choice in enumerate(parameter.choices)
        ]
    return pd.DataFrame(rows, columns=["parameter", "value", "count", "drawn"])


def table2(evidence: Evidence) -> Table:
    """Return a study's Table 2; of a space with one configuration only its values."""
    data, space = counts(evidence), evidence.space
    name = f"{evidence.name}-table2"
    if is_fixed(space):
        return Table.of(
            occurring(space),
            name=name,
            title=f"The one configuration of the space {space.name}",
            data=data,
            text=[("Hyperparameter", lambda one: LABELS[one.name])],
            numbers=[("Value", lambda one: value_text(one.name, one.choices[0]))],
            notes=["Every trial has these values; trials differ in their seeds."],
        )
    by_parameter = {str(one): found for one, found in data.groupby("parameter")}

    def choices(parameter: str) -> str:
        found = by_parameter[parameter]
        pairs = zip(found["value"], found["count"], strict=True)
        return ", ".join(f"{value} ({count})" for value, count in pairs)

    return Table.of(
        space.names,
        name=name,
        title=f"Table 2: the space {space.name}, with how often each value was drawn",
        data=data,
        text=[
            ("Hyperparameter", lambda parameter: LABELS[parameter]),
            ("Value (configurations with it)", choices),
        ],
        numbers=[("Drawn", lambda parameter: str(by_parameter[parameter]["drawn"].iloc[0]))],
        notes=[
            f"{LABELS[one.name]} is drawn only where {LABELS[one.only_if.parameter]} is "
            f"{value_text(one.only_if.parameter, one.only_if.value)}."
            for one in space.parameters
            if one.only_if is not None
        ],
    )
