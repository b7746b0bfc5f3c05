"""The statements of a comparison on the paper's claims, with the test of each, as a table."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.comparison import Comparison
from fdrnn.reports.numbers.count_tests import SIGNIFICANCE, fewest_draws, sign_test
from fdrnn.reports.numbers.paper_claims import statements
from fdrnn.reports.numbers.statements import Statement
from fdrnn.reports.numbers.text import MISSING, number


def table(comparison: Comparison) -> Table:
    """Return the verdicts of a comparison with their tests, the evidence below them."""
    judged = statements(comparison)
    numbered = list(enumerate(judged, 1))
    rows = [
        asdict(one)
        | asdict(one.left_out)
        | {"verdict": one.verdict, "left_out": one.left_out.total}
        for one in judged
    ]
    columns = [
        *("claim", "verdict", "holds", "judged", "unit"),
        *("left_out", "diverged", "not_finished", "not_measured"),
        *("p_value", "largest_p_value", "evidence", "missing"),
    ]
    return Table.of(
        numbered,
        name=f"{comparison.name}-claims",
        title=f"Comparison {comparison.name}: the paper's claims",
        data=pd.DataFrame(rows)[columns],
        text=[
            ("Claim", lambda entry: f"{entry[0]}. {entry[1].claim}"),
            ("Verdict", lambda entry: entry[1].verdict),
            ("Left out", lambda entry: _left_out(entry[1])),
        ],
        numbers=[
            ("p", lambda entry: number(entry[1].p_value, ".3g")),
            ("Largest p", lambda entry: _largest(entry[1])),
        ],
        notes=(
            *_rules(judged),
            *(f"{k}. {statement.missing or statement.evidence}" for k, statement in numbered),
        ),
    )


def _left_out(statement: Statement) -> str:
    left_out = statement.left_out
    counts = {
        "diverged": left_out.diverged,
        "not finished": left_out.not_finished,
        "not measured": left_out.not_measured,
    }
    reasons = {reason: n for reason, n in counts.items() if n}
    if not reasons:
        return MISSING
    named = reasons if len(reasons) == 1 else [f"{n} {reason}" for reason, n in reasons.items()]
    return f"{left_out.total} of {statement.judged + left_out.total}: {', '.join(named)}"


def _largest(statement: Statement) -> str:
    return number(statement.largest_p_value, ".3g") if statement.left_out.total else MISSING


def _rules(judged: list[Statement]) -> list[str]:
    """Return what the columns mean, as far as they contain anything."""
    tested = [one.judged for one in judged if one.p_value is not None]
    if not tested:
        return []
    rules = [
        "p: how likely a count at least as far from half of the draws is if each draw is as likely "
        "to support the claim as to contradict it (exact two-sided sign test), unless the claim's "
        "own line says otherwise. Each p is of its claim alone.",
    ]
    if few := [n for n in tested if n < fewest_draws()]:
        rules.append(
            f"With fewer than {fewest_draws()} draws no count is significant in the sign test (p "
            f"below {SIGNIFICANCE:g}): with {max(few)}, p is at least "
            f"{sign_test(max(few), max(few)):.3g}."
        )
    if any(one.left_out.total for one in judged):
        rules.append(
            "Left out: draws that are not in the count, because a trial that the claim needs "
            "diverged, has not finished or lacks the number. Largest p: what p could be at most if "
            "these draws were in the count, whatever their outcomes."
        )
    return rules
