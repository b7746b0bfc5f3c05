"""The statements of a comparison on the paper's claims, as a table."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.comparison import Comparison
from fdrnn.reports.numbers.paper_claims import statements


def table(comparison: Comparison) -> Table:
    """Return the verdicts of a comparison, the evidence below them."""
    found = list(enumerate(statements(comparison), 1))
    columns = ["claim", "verdict", "holds", "judged", "unit", "evidence", "missing"]
    return Table.of(
        found,
        name=f"{comparison.name}-claims",
        title=f"Comparison {comparison.name}: the paper's claims",
        data=pd.DataFrame([asdict(one) | {"verdict": one.verdict} for _, one in found])[columns],
        text=[
            ("Claim", lambda one: f"{one[0]}. {one[1].claim}"),
            ("Verdict", lambda one: one[1].verdict),
        ],
        notes=tuple(f"{k}. {one.missing or one.evidence}" for k, one in found),
    )
