"""A statement on a claim: counts, a verdict that follows from them, a test, and the evidence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """The draws (or trials) that a claim cannot be judged in, by reason.

    Attributes
    ----------
    diverged
        A trial that the claim needs diverged.
    not_finished
        None diverged, but one has not finished.
    not_measured
        All are complete, but what the rule compares is not known of them.
    """

    diverged: int = 0
    not_finished: int = 0
    not_measured: int = 0

    @property
    def total(self) -> int:
        """Number of draws that are left out."""
        return self.diverged + self.not_finished + self.not_measured


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The verdict of a comparison on one claim.

    Attributes
    ----------
    claim
        The claim, a phrase.
    holds, judged
        Draws (or trials) in which it holds, and of how many.
    left_out
        Those that are not judged.
    unit
        What is counted: ``"draws"`` or ``"trials"``.
    p_value
        Of the count, by the claim's test; None for a claim without one.
    largest_p_value
        The largest that `p_value` could be if the draws left out had been judged.
    evidence
        The rule, and the numbers that support or contradict the claim, in sentences.
    missing
        What a verdict would need; empty where there is one.
    """

    claim: str
    holds: int = 0
    judged: int = 0
    left_out: LeftOut = LeftOut()
    unit: str = "draws"
    p_value: float | None = None
    largest_p_value: float | None = None
    evidence: str = ""
    missing: str = ""

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        if self.missing:
            return "cannot be judged"
        if self.holds == self.judged:
            return f"holds in {self._all}"
        if self.holds == 0:
            return f"contradicted in {self._all}"
        return f"holds in {self.holds} of {self.judged} {self.unit}"

    @property
    def _all(self) -> str:
        n = self.judged
        if self.left_out.total:
            return f"{n} of {n} {self.unit}"
        words = {1: f"the one {self.unit.removesuffix('s')}", 2: f"both {self.unit}"}
        return words.get(n, f"all {n} {self.unit}")
