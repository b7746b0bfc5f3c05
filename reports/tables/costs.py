"""What studies cost, and on which machines: the table beside Table 1."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.text import amount, number
from fdrnn.search import StudyProgress

_UNKNOWN = "a machine that is not recorded"


def costs(studies: Sequence[Evidence]) -> pd.DataFrame:
    """Return what studies cost.

    Returns
    -------
    pandas.DataFrame
        A row per study: ``study``, ``trials`` (with at least an epoch in the store, repeats
        included), ``epochs``, ``hours`` (of a worker: the sum over those epochs of the wall time
        of training, validation and statistics) and ``seconds_per_epoch`` (median over trials of
        each one's mean; NaN before the first epoch). Where a study is not complete also
        ``hours_left`` (of a worker, as `fdrnn.search.store.forecast` expects them; NaN before the
        first epoch, 0 where it is complete).
    """
    table = pd.DataFrame(map(_cost, studies))
    if all(study.progress.complete for study in studies):
        return table
    return table.assign(hours_left=[_hours_left(study.progress) for study in studies])


def _cost(study: Evidence) -> dict[str, object]:
    begun = study.begun
    # Of a study without an epoch the columns have no type.
    seconds, epochs = begun["seconds"].to_numpy(float), begun["n_epochs"].to_numpy(float)
    return {
        "study": study.name,
        "trials": len(begun),
        "epochs": int(epochs.sum()),
        "hours": float(seconds.sum()) / 3600,
        "seconds_per_epoch": float(np.median(seconds / epochs)) if len(begun) else math.nan,
    }


def _hours_left(progress: StudyProgress) -> float:
    if progress.complete:
        return 0.0
    left = progress.time_left
    return math.nan if left is None else left.worker_seconds / 3600


def table(studies: Sequence[Evidence]) -> Table:
    """Return the table of `costs`, with the machines in its notes."""
    data = costs(studies)
    lines = data.to_dict("records")
    if len(lines) > 1:
        total = data.drop(columns=["study", "seconds_per_epoch"]).sum(skipna=False).to_dict()
        lines.append({**total, "study": "all", "seconds_per_epoch": math.nan})
    expected = [("Hours left", lambda row: amount(row["hours_left"]))]
    left = "Hours left: what one worker would still need, as `fdrnn study status` expects it."
    is_complete = "hours_left" not in data
    repeated = any(len(study.all_repeats) for study in studies)
    counted = "Trials and repeats" if repeated else "Trials"
    return Table.of(
        lines,
        name="costs",
        title="What the studies cost",
        data=data,
        text=[("Study", lambda row: str(row["study"]))],
        numbers=[
            ("Trials", lambda row: number(row["trials"], ".0f")),
            ("Epochs", lambda row: number(row["epochs"], ".0f")),
            ("Worker hours", lambda row: amount(row["hours"])),
            *([] if is_complete else expected),
            ("s/epoch", lambda row: amount(row["seconds_per_epoch"])),
        ],
        notes=(
            f"{counted} with an epoch in the store. Worker hours: wall time of their epochs, each "
            "on one worker; s/epoch: median over trials. Epochs that were trained again after a "
            "stop count once.",
            *([] if is_complete else [left]),
            *_machines(studies),
        ),
    )


def _machines(studies: Sequence[Evidence]) -> Iterator[str]:
    """Yield on which machines how many trials of which studies were trained."""
    counts: dict[str, dict[str, int]] = {}
    for study in studies:
        for machine, n_trials in study.begun["machine"].fillna(_UNKNOWN).value_counts().items():
            # A line for each of several machines that trained one trial.
            name = "; then ".join(str(machine).splitlines())
            counts.setdefault(name, {})[study.name] = int(n_trials)
    for name in sorted(counts):
        on_it = ", ".join(f"{study} ({count})" for study, count in counts[name].items())
        yield f"Trained on {name}: {on_it}."
