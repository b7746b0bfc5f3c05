"""Statements on claims: counts, a verdict that follows from them, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdrnn.reports.artefacts import Table


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a comparison says of one claim.

    Attributes
    ----------
    claim
        The claim, a phrase.
    holds, judged
        Draws (or trials) in which it holds, and of how many.
    unit
        What is counted: ``"draws"`` or ``"trials"``.
    evidence
        The rule, and the numbers that support or contradict the claim, in sentences.
    missing
        What a verdict would need; empty where there is one.
    """

    claim: str
    holds: int = 0
    judged: int = 0
    unit: str = "draws"
    evidence: str = ""
    missing: str = ""

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        if self.missing:
            return "cannot be judged"
        if self.holds == self.judged:
            return f"holds in {_all(self.judged, self.unit)}"
        if self.holds == 0:
            return f"contradicted in {_all(self.judged, self.unit)}"
        return f"holds in {self.holds} of {self.judged} {self.unit}"


def _all(n: int, unit: str) -> str:
    return {1: f"the one {unit.removesuffix('s')}", 2: f"both {unit}"}.get(n, f"all {n} {unit}")


def table(comparison: str, found: Sequence[Statement]) -> Table:
    """Return statements as a table, their evidence below it.

    Parameters
    ----------
    comparison
        Name of the comparison that they are of.
    found
        The statements, in the order of their numbers.
    """
    return Table(
        name=f"{comparison}-claims",
        title=f"Comparison {comparison}: the paper's claims",
        data=pd.DataFrame(
            [
                {
                    "claim": one.claim,
                    "verdict": one.verdict,
                    "holds": one.holds,
                    "judged": one.judged,
                    "unit": one.unit,
                    "evidence": one.evidence,
                    "missing": one.missing,
                }
                for one in found
            ]
        ),
        header=("Claim", "Verdict"),
        rows=tuple((f"{k}. {one.claim}", one.verdict) for k, one in enumerate(found, 1)),
        n_text=2,
        notes=tuple(f"{k}. {one.missing or one.evidence}" for k, one in enumerate(found, 1)),
    )


def spread(values: pd.Series[Any] | npt.NDArray[np.float64], style: str = ".2f") -> str:
    """Return the median of some numbers and, of several, the lowest and the highest.

    Of no number it is a dash.
    """
    numbers = np.asarray(values, float)
    if not len(numbers):
        return "-"
    middle, low, high = (format(float(f(numbers)), style) for f in (np.median, np.min, np.max))
    return middle if len(numbers) == 1 else f"{middle} ({low} to {high})"
