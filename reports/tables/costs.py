"""What studies cost, and on which machines: the table beside Table 1."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.evidence import Evidence

UNKNOWN_MACHINE = "a machine that is not recorded"


def costs(studies: Sequence[Evidence]) -> pd.DataFrame:
    """Compute what studies cost.

    Parameters
    ----------
    studies
        In the order of the rows.

    Returns
    -------
    pandas.DataFrame
        A row per study: ``study``, ``trials`` (with at least an epoch in the store), ``epochs``,
        ``hours`` (of a worker: the sum over those epochs of the wall time of training,
        validation and statistics) and ``seconds_per_epoch`` (median over trials of each one's
        mean; NaN before the first epoch).
    """
    rows = []
    for study in studies:
        begun = study.trials[study.trials["n_epochs"] > 0]
        # Of a study without an epoch the columns have no type.
        seconds = begun["seconds"].to_numpy(float)
        epochs = begun["n_epochs"].to_numpy(float)
        rows.append(
            {
                "study": study.name,
                "trials": len(begun),
                "epochs": int(epochs.sum()),
                "hours": float(seconds.sum()) / 3600,
                "seconds_per_epoch": float(np.median(seconds / epochs)) if len(begun) else math.nan,
            }
        )
    return pd.DataFrame(rows)


def table(studies: Sequence[Evidence]) -> Table:
    """Return the table of `costs`, with the machines in its notes."""
    data = costs(studies)
    lines = [
        (study, str(trials), str(epochs), f"{hours:.2f}", _seconds(seconds))
        for study, trials, epochs, hours, seconds in zip(
            *(data[column] for column in data.columns), strict=True
        )
    ]
    total = (
        "all",
        str(data["trials"].sum()),
        str(data["epochs"].sum()),
        f"{data['hours'].sum():.2f}",
        "-",
    )
    return Table(
        name="costs",
        title="What the studies cost",
        data=data,
        header=("Study", "Trials", "Epochs", "Worker hours", "s/epoch"),
        rows=(*lines, total) if len(lines) > 1 else tuple(lines),
        n_text=1,
        notes=(
            "Trials with an epoch in the store. Worker hours: wall time of their epochs, each on "
            "one worker; s/epoch: median over trials. Epochs that were trained again after a "
            "stop count once.",
            *_machines(studies),
        ),
    )


def _seconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds:.2f}"


def _machines(studies: Sequence[Evidence]) -> Iterator[str]:
    """Say on which machines how many trials of which studies were trained."""
    counts: dict[str, dict[str, int]] = {}
    for study in studies:
        begun = study.trials[study.trials["n_epochs"] > 0]
        for machine, n_trials in begun["machine"].fillna(UNKNOWN_MACHINE).value_counts().items():
            # A line for each of several machines that trained one trial.
            name = "; then ".join(str(machine).splitlines())
            counts.setdefault(name, {})[study.name] = int(n_trials)
    for name in sorted(counts):
        on_it = ", ".join(f"{study} ({count})" for study, count in counts[name].items())
        yield f"Trained on {name}: {on_it}."
