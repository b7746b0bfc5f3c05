"""Table 2: the space of a study, with how often each value was drawn."""

from __future__ import annotations

import pandas as pd

from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import LABELS, is_fixed, occurring, same_value, value_text
from fdrnn.search import SPACES


def counts(evidence: Evidence) -> pd.DataFrame:
    """Count the draws of every value.

    Returns
    -------
    pandas.DataFrame
        ``parameter``, ``value`` (as printed), ``count`` and ``drawn`` (configurations in which
        the parameter was drawn at all: fewer than all where it has a condition), in the order
        of the space. All configurations count, trained or not.
    """
    trials = evidence.trials
    rows = []
    for parameter in SPACES[evidence.definition.space].parameters:
        drawn = trials
        if parameter.only_if is not None:
            drawn = trials[trials[parameter.only_if.parameter] == parameter.only_if.value]
        values = drawn[parameter.name].tolist()
        for choice in parameter.choices:
            count = sum(same_value(value, choice) for value in values)
            rows.append((parameter.name, value_text(parameter.name, choice), count, len(drawn)))
    return pd.DataFrame(rows, columns=["parameter", "value", "count", "drawn"])


def table2(evidence: Evidence) -> Table:
    """Return a study's Table 2; of a space with one configuration its values alone."""
    table = counts(evidence)
    space = SPACES[evidence.definition.space]
    if is_fixed(space):
        return Table(
            name=f"{evidence.name}-table2",
            title=f"The one configuration of the space {space.name}",
            data=table,
            header=("Hyperparameter", "Value"),
            rows=tuple(
                (LABELS[one.name], value_text(one.name, one.choices[0])) for one in occurring(space)
            ),
            n_text=1,
            notes=("Every trial has these values; trials differ in their seeds.",),
        )
    lines = []
    for parameter in SPACES[evidence.definition.space].parameters:
        values = table[table["parameter"] == parameter.name]
        choices = ", ".join(
            f"{value} ({count})"
            for value, count in zip(values["value"], values["count"], strict=True)
        )
        lines.append((LABELS[parameter.name], choices, str(values["drawn"].iloc[0])))
    conditions = [
        f"{LABELS[parameter.name]} is drawn only where {LABELS[parameter.only_if.parameter]} is "
        f"{value_text(parameter.only_if.parameter, parameter.only_if.value)}."
        for parameter in SPACES[evidence.definition.space].parameters
        if parameter.only_if is not None
    ]
    return Table(
        name=f"{evidence.name}-table2",
        title=(
            f"Table 2: the space {evidence.definition.space}, with how often each value was drawn"
        ),
        data=table,
        header=("Hyperparameter", "Value (configurations with it)", "Drawn"),
        rows=tuple(lines),
        n_text=2,
        notes=tuple(conditions),
    )
