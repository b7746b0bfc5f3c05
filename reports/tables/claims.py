"""The statements of a comparison on the paper's claims, as a table."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.comparison import Comparison
from fdrnn.reports.numbers.paper_claims import statements


def table(comparison: Comparison) -> Table:
    """Return the verdicts of a comparison, the evidence below them."""
    numbered = list(enumerate(statements(comparison), 1))
    rows = [asdict(statement) | {"verdict": statement.verdict} for _, statement in numbered]
    columns = ["claim", "verdict", "holds", "judged", "unit", "evidence", "missing"]
    return Table.of(
        numbered,
        name=f"{comparison.name}-claims",
        title=f"Comparison {comparison.name}: the paper's claims",
        data=pd.DataFrame(rows)[columns],
        text=[
            ("Claim", lambda entry: f"{entry[0]}. {entry[1].claim}"),
            ("Verdict", lambda entry: entry[1].verdict),
        ],
        notes=tuple(f"{k}. {statement.missing or statement.evidence}" for k, statement in numbered),
    )
