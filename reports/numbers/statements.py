"""A statement on a claim: counts, a verdict that follows from them, and its evidence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The verdict of a comparison on one claim.

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
