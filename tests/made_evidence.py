"""Evidence with reads that a test makes up instead of the store's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from fdrnn.reports.numbers.evidence import Evidence

NO_SEQUENCES = pd.DataFrame({"nll_sum": [], "n_steps": []})


def with_reads(evidence: Evidence, trials: pd.DataFrame | None = None, **reads: Any) -> Evidence:
    """Return evidence with other trials, and other ``curves``, ``sequences`` or ``samples``."""
    made = replace(evidence, trials=evidence.trials if trials is None else trials)
    known = {
        name: vars(evidence)[name] for name in ("curves", "sequences") if name in vars(evidence)
    }
    vars(made).update(known | reads)
    return made
