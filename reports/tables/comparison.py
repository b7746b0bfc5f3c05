"""The table of a comparison, and its draws as a file."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np

from fdrnn.model import VARIANTS
from fdrnn.reports.artefacts import Attachment, Table
from fdrnn.reports.numbers.comparison import Comparison, draws, frame
from fdrnn.reports.numbers.text import number
from fdrnn.reports.tables.table1 import RULES


def table(comparison: Comparison) -> Table:
    """Return the table of a comparison."""
    data = frame(comparison)
    scores = ["valid_nll", "test_nll_pooled", "test_nll_sequence_mean"]
    return Table.of(
        data.to_dict("records"),
        name=f"{comparison.name}-comparison",
        title=f"Comparison {comparison.name}: variants on {comparison.title}",
        data=data,
        text=[("Network", lambda row: VARIANTS[row["variant"]].title)],
        numbers=[
            ("Trial", lambda row: number(row["selected_trial"], "d")),
            ("Valid. NLL", lambda row: number(row["valid_nll"])),
            ("Test, pooled", lambda row: number(row["test_nll_pooled"])),
            ("Test, by sequence", lambda row: number(row["test_nll_sequence_mean"])),
            ("Gap", _gap),
            ("rho, best", lambda row: number(row["spectral_radius_best"])),
            ("rho, end", lambda row: number(row["spectral_radius_end"])),
            ("s / epoch", lambda row: number(row["seconds_per_epoch"])),
            ("Diverged", lambda row: f"{row['trials_diverged']} of {row['trials_finished']}"),
        ],
        notes=(
            *RULES,
            f"Every variant has up to {comparison.n_trials} draws, of the space that the CSV "
            "names, with one seed; parameters of one name and choices have the same values draw by "
            "draw. With so many draws the order of two networks may be luck.",
            *_limits(comparison),
            "The CSV has the 95 % bootstrap intervals of both averages, as beside Table 1.",
            "Gap: validation less training NLL at the selected trial's best epoch, under the "
            "study's padding rule. The training NLL is the mean over the epoch's updates, at the "
            "parameters before each and with the variant's noise, so that the gap may be negative.",
            "rho: spectral radius of the recurrent weights (LSTM: of the cell input's) of the "
            "selected trial, at its best epoch and at its last.",
            "s / epoch: median wall time over the epochs of all trials, without what the study "
            "records besides; it is of the machines that trained. Diverged: of finished trials.",
        ),
        best=(
            (row, 2 + column)
            for column, name in enumerate(scores)
            for row in np.flatnonzero(data[name] == data[name].min()).tolist()
        ),
    )


def _limits(comparison: Comparison) -> Iterator[str]:
    """Yield the limits on training where an extension has not reached every member."""
    limits: dict[str, list[str]] = {}
    for variant, member in comparison.members.items():
        training = member.definition.training
        limit = f"{training.max_epochs} epochs and patience {training.patience}"
        limits.setdefault(limit, []).append(VARIANTS[variant].title)
    if len(limits) > 1:
        named = (f"{limit} of {', '.join(titles)}" for limit, titles in limits.items())
        yield f"The limits on training differ: {'; '.join(named)}."


def _gap(one: dict[Hashable, Any]) -> str:
    # A training NLL of the first epochs may be of any size.
    return number(one["gap"], ".2g" if abs(one["gap"]) >= 1000 else ".2f")


def draws_file(comparison: Comparison) -> Attachment:
    """Return the numbers of every draw as a CSV file."""
    text = draws(comparison).to_csv(index=False, lineterminator="\n", float_format="%.10g")
    return Attachment(
        name=f"{comparison.name}-draws.csv",
        title="The numbers of every draw, as CSV",
        content=text.encode(),
    )
