"""Evidence with reads that a test makes up instead of the store's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.search import Study
from fdrnn.search.store.progress import progress_of

NO_SEQUENCES = pd.DataFrame({"nll_sum": [], "n_steps": []})


def made(study: Study, trials: pd.DataFrame) -> Evidence:
    """Return evidence of trials alone."""
    return Evidence(
        study=study,
        trials=trials,
        all_repeats=trials.iloc[:0].assign(repeat_of=[]),
        sequences=NO_SEQUENCES,
        progress=progress_of(study.definition, []),
    )


def with_reads(evidence: Evidence, trials: pd.DataFrame | None = None, **reads: Any) -> Evidence:
    """Return evidence with other trials, and other fields, ``curves`` or ``samples``."""
    own = {name: reads.pop(name) for name in list(reads) if name in Evidence.__annotations__}
    changed = replace(evidence, trials=evidence.trials if trials is None else trials, **own)
    known = {name: vars(evidence)[name] for name in ("curves",) if name in vars(evidence)}
    vars(changed).update(known | reads)
    return changed
