"""Table 1 as printed: the NLL beside the paper's, their intervals, and the studies of the rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fdrnn.model import VARIANTS
from fdrnn.reports.artefacts import Columns, Table
from fdrnn.reports.numbers.bootstrap import N_RESAMPLES
from fdrnn.reports.numbers.table1 import Row, frame
from fdrnn.reports.numbers.text import MISSING, number, span

RULES = (
    "Test NLL in nats per predicted step, of the trial with the lowest validation NLL; nothing "
    "is selected on test data.",
    '"Pooled" averages over all predicted steps of all test sequences, as the authors\' code did; '
    '"by sequence" is the mean over test sequences of each one\'s average. For sequences of one '
    "length, as in the paper's formula, both are the same.",
)
"""Rules for every test NLL of a report."""

_STUDY: Columns[Row] = [("Study", lambda row: row.study)]
_NETWORK: Columns[Row] = [("Network", lambda row: VARIANTS[row.variant].title)]


def tables(rows: Sequence[Row]) -> tuple[Table, Table, Table]:
    """Return Table 1 in three parts.

    The NLL, FD and plain of our own beside the paper's; the selecting validation NLL and the
    intervals of the test NLL; the studies, with the notes.
    """
    return _results(rows), _intervals(rows), _studies(rows)


def _results(rows: Sequence[Row]) -> Table:
    by_name = {row.study: row for row in rows}
    paired = {row.plain_study for row in rows}

    def own(row: Row) -> str:
        return MISSING if row.variant == "plain" else _both(row)

    def plain(row: Row) -> str:
        return _both(row if row.variant == "plain" else by_name.get(row.plain_study or ""))

    return Table.of(
        [row for row in rows if row.variant != "plain" or row.study not in paired],
        name="table1",
        title="Table 1: test NLL beside the paper's",
        data=frame(rows),
        text=[("Data set", lambda row: row.title), *_STUDY, *_NETWORK],
        numbers=[
            ("Ours", own),
            ("Ours: plain", plain),
            ("Paper: FD", lambda row: number(row.paper_fd)),
            ("plain*", lambda row: number(row.cited_plain)),
            ("RNN-NADE*", lambda row: number(row.cited_rnn_nade)),
            ("Deep RNN*", lambda row: number(row.cited_deep_rnn)),
        ],
        notes=(
            "Ours: pooled / by sequence.",
            *RULES,
            "Columns marked * are cited by the paper from other work. Both networks of ours "
            "in one row have the same data, seed and training settings.",
            *_counterparts(rows),
            *_repeats(rows),
        ),
    )


def _repeats(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row.repeats:
            deviation = (
                ""
                if row.repeats_deviation is None
                else f", standard deviation {number(row.repeats_deviation)}"
            )
            yield (
                f"{row.study}: the selected configuration with {row.repeats} further seeds has a "
                f"pooled test NLL of {number(row.repeats_mean)} on average{deviation}; the run in "
                "the table was selected among the draws, these were not."
            )


def _both(row: Row | None) -> str:
    if row is None or row.test_nll_pooled.value is None:
        return MISSING
    return f"{number(row.test_nll_pooled.value)} / {number(row.test_nll_sequence_mean.value)}"


def _counterparts(rows: Sequence[Row]) -> Iterator[str]:
    by_name = {row.study: row for row in rows}
    for row in rows:
        plain = by_name.get(row.plain_study or "")
        if plain is None:
            continue
        text = (
            f"Plain of {row.study}: {plain.study}, {plain.trials_finished} of "
            f"{plain.trials_planned} trials"
        )
        minus = row.minus_plain
        if minus.value is not None:
            interval = span(minus.low, minus.high)
            text += f"; pooled, {row.study} minus plain is {minus.value:.2f} (95 %: {interval})"
        if plain.trials_planned != row.trials_planned:
            text += (
                f"; {row.study} has {row.trials_planned}, and more draws find a lower NLL by luck "
                "alone"
            )
        yield f"{text}."


def _intervals(rows: Sequence[Row]) -> Table:
    averages = [
        f"test_nll_{name}{end}"
        for name in ("pooled", "sequence_mean")
        for end in ("", "_low", "_high")
    ]
    selected = ["study", "variant", "selected_trial", "best_epoch", "valid_nll"]
    lacking = [row.study for row in rows if _lacks_interval(row)]
    return Table.of(
        rows,
        name="table1-intervals",
        title="The selected trials and the intervals of their test NLL",
        data=frame(rows)[[*selected, *averages]],
        text=[*_STUDY, *_NETWORK],
        numbers=[
            ("Trial", lambda row: number(row.selected_trial, "d")),
            ("Epoch", lambda row: number(row.best_epoch, "d")),
            ("Valid. NLL", lambda row: number(row.valid_nll)),
            ("Test, pooled", lambda row: number(row.test_nll_pooled.value)),
            ("95 %", lambda row: span(row.test_nll_pooled.low, row.test_nll_pooled.high)),
            ("Test, by sequence", lambda row: number(row.test_nll_sequence_mean.value)),
            (
                "95 %",
                lambda row: span(row.test_nll_sequence_mean.low, row.test_nll_sequence_mean.high),
            ),
        ],
        notes=(
            "The validation NLL, under the study's padding rule, selected the trial; with padding "
            "counted it averages over prepended zeros too and is lower than a test NLL.",
            f"95 %: percentile bootstrap interval over test sequences ({N_RESAMPLES:,} resamples, "
            "fixed seed). It says how much the number depends on which pieces are in the test "
            "set, and nothing of the luck of the draws.",
            *(
                [f"No interval for {', '.join(lacking)}: it takes two test sequences."]
                if lacking
                else []
            ),
        ),
    )


def _lacks_interval(row: Row) -> bool:
    pooled = row.test_nll_pooled
    return pooled.value is not None and math.isfinite(pooled.value) and pooled.low is None


def _studies(rows: Sequence[Row]) -> Table:
    definition = ["study", "data", "variant", "space", "seed", "padding", "training"]
    counts = [f"trials_{name}" for name in ("planned", "finished", "diverged", "failed")]
    return Table.of(
        rows,
        name="studies",
        title="What the rows rest on",
        data=frame(rows)[[*definition, "plain_study", "code_version", *counts, "note"]],
        text=[
            *_STUDY,
            ("Space", lambda row: row.space),
            ("Padding", lambda row: row.padding),
            ("Code", lambda row: row.code_version),
            ("Training", lambda row: row.training),
        ],
        numbers=[
            ("Seed", lambda row: str(row.seed)),
            ("Finished", lambda row: f"{row.trials_finished} of {row.trials_planned}"),
            ("Diverged", lambda row: str(row.trials_diverged)),
        ],
        notes=[f"{row.study}: {row.note}." for row in rows if row.note],
    )
