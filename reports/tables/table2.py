"""Table 2: the space of a study, with how often each value was drawn."""

from __future__ import annotations

import pandas as pd

from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import having, label, part_index, parts, range_text, value_text


def counts(evidence: Evidence) -> pd.DataFrame:
    """Count the draws of every value.

    Returns
    -------
    pandas.DataFrame
        ``parameter``, ``value`` (as printed; of a range its parts,
        `fdrnn.reports.numbers.names.parts`), ``count`` and ``drawn`` (configurations in which
        the parameter was drawn at all: fewer than all where it has a condition), in the order
        of the space. All configurations count, trained or not.
    """
    rows = []
    for parameter in evidence.space.parameters:
        values = having(evidence.trials, parameter)[parameter.name].tolist()
        drawn = [part_index(parameter, value) for value in values]
        rows += [
            (parameter.name, part.text, drawn.count(index), len(drawn))
            for index, part in enumerate(parts(parameter))
        ]
    return pd.DataFrame(rows, columns=["parameter", "value", "count", "drawn"])


def table2(evidence: Evidence) -> Table:
    """Return a study's Table 2; of a space with one configuration only its values."""
    data, space = counts(evidence), evidence.space
    name = f"{evidence.name}-table2"
    if space.fixed:
        return Table.of(
            space.drawn,
            name=name,
            title=f"The one configuration of the space {space.name}",
            data=data,
            text=[("Hyperparameter", lambda parameter: label(parameter.name))],
            numbers=[
                (
                    "Value",
                    lambda parameter: value_text(
                        parameter.name, parameter.distribution.extremes[0]
                    ),
                )
            ],
            notes=["Every trial has these values; trials differ in their seeds."],
        )
    by_parameter = {str(parameter): rows for parameter, rows in data.groupby("parameter")}

    def values(parameter: str) -> str:
        rows = by_parameter[parameter]
        pairs = zip(rows["value"], rows["count"], strict=True)
        counts = ", ".join(f"{value} ({count})" for value, count in pairs)
        of_range = range_text(space[parameter])
        return f"{of_range}: {counts}" if of_range else counts

    return Table.of(
        space.names,
        name=name,
        title=f"Table 2: the space {space.name}, with how often each value was drawn",
        data=data,
        text=[
            ("Hyperparameter", label),
            ("Value (configurations with it)", values),
        ],
        numbers=[("Drawn", lambda parameter: str(by_parameter[parameter]["drawn"].iloc[0]))],
        notes=[
            f"{label(parameter.name)} is drawn only where {label(parameter.when.parameter)} is "
            f"{value_text(parameter.when.parameter, parameter.when.value)}."
            for parameter in space.parameters
            if parameter.when is not None
        ],
    )
