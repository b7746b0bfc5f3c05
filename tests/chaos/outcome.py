"""What came of a trial by fire."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """Facts to print, and what broke the promise.

    Attributes
    ----------
    name
        The trial by fire, with its sizes.
    facts
        What happened, in words and numbers.
    faults
        What should not have happened; empty if the promise held.
    """

    name: str
    facts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def require(self, holds: bool, fault: str) -> None:
        """Note a fault unless the condition holds."""
        if not holds:
            self.faults.append(fault)

    def __str__(self) -> str:
        verdict = "held" if not self.faults else "BROKEN"
        lines = [f"{self.name}: {verdict}", *(f"  {line}" for line in self.facts)]
        return "\n".join([*lines, *(f"  fault: {line}" for line in self.faults)])
