"""Table 1 as printed: the NLL beside the paper's, their intervals, and what the rows rest on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fdrnn.model import VARIANTS
from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.bootstrap import N_RESAMPLES
from fdrnn.reports.numbers.table1 import Row, frame

MISSING = "-"
RULES = (
    "Test NLL in nats per predicted step, of the trial with the lowest validation NLL; nothing "
    "is selected on test data.",
    '"Pooled" averages over all predicted steps of all test sequences, as the authors\' code did; '
    '"by sequence" is the mean over test sequences of each one\'s average. For sequences of one '
    "length, as in the paper's formula, both are the same.",
)
"""What holds of every test NLL of a report."""


def tables(rows: Sequence[Row]) -> tuple[Table, Table, Table]:
    """Return Table 1 in three parts.

    Parameters
    ----------
    rows
        As `fdrnn.reports.numbers.table1.arranged` returns them.

    Returns
    -------
    tuple of Table
        The NLL, FD and plain of our own beside the paper's; the selecting validation NLL and the
        intervals of the test NLL; the studies, with the notes.
    """
    return _results(rows), _intervals(rows), _studies(rows)


def _results(rows: Sequence[Row]) -> Table:
    by_name = {row.study: row for row in rows}
    paired = {row.plain_study for row in rows}
    lines = []
    for row in rows:
        if row.variant == "plain" and row.study in paired:
            continue
        own, plain = (
            (None, row) if row.variant == "plain" else (row, by_name.get(row.plain_study or ""))
        )
        lines.append(
            (
                row.title,
                row.study,
                VARIANTS[row.variant].title,
                _both(own),
                _both(plain),
                number(row.paper_fd),
                number(row.cited_plain),
                number(row.cited_rnn_nade),
                number(row.cited_deep_rnn),
            )
        )
    return Table(
        name="table1",
        title="Table 1: test NLL beside the paper's",
        data=frame(rows),
        header=(
            "Data set",
            "Study",
            "Network",
            "Ours",
            "Ours: plain",
            "Paper: FD",
            "plain*",
            "RNN-NADE*",
            "Deep RNN*",
        ),
        rows=tuple(lines),
        n_text=3,
        notes=(
            "Ours: pooled / by sequence.",
            *RULES,
            "Columns marked * are cited by the paper from other work. Both networks of ours "
            "in one row have the same data, seed and training settings.",
            *_counterparts(rows),
        ),
    )


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
        if row.minus_plain is not None:
            span = _span(row.minus_plain_low, row.minus_plain_high)
            text += f"; pooled, {row.study} minus plain is {row.minus_plain:.2f} (95 %: {span})"
        if plain.trials_planned != row.trials_planned:
            text += (
                f"; {row.study} has {row.trials_planned}, and more draws find a lower NLL by luck "
                "alone"
            )
        yield f"{text}."


def _intervals(rows: Sequence[Row]) -> Table:
    return Table(
        name="table1-intervals",
        title="The selected trials and the intervals of their test NLL",
        data=frame(rows)[
            [
                "study",
                "variant",
                "selected_trial",
                "best_epoch",
                "valid_nll",
                "test_nll_pooled",
                "test_nll_pooled_low",
                "test_nll_pooled_high",
                "test_nll_sequence_mean",
                "test_nll_sequence_mean_low",
                "test_nll_sequence_mean_high",
            ]
        ],
        header=(
            "Study",
            "Network",
            "Trial",
            "Epoch",
            "Valid. NLL",
            "Test, pooled",
            "95 %",
            "Test, by sequence",
            "95 %",
        ),
        rows=tuple(
            (
                row.study,
                VARIANTS[row.variant].title,
                integer(row.selected_trial),
                integer(row.best_epoch),
                number(row.valid_nll),
                number(row.test_nll_pooled),
                _span(row.test_nll_pooled_low, row.test_nll_pooled_high),
                number(row.test_nll_sequence_mean),
                _span(row.test_nll_sequence_mean_low, row.test_nll_sequence_mean_high),
            )
            for row in rows
        ),
        n_text=2,
        notes=(
            "The validation NLL, under the study's padding rule, selected the trial; with padding "
            "counted it averages over prepended zeros too and is lower than a test NLL.",
            f"95 %: percentile bootstrap interval over test sequences ({N_RESAMPLES:,} resamples, "
            "fixed seed). It says how much the number depends on which pieces are in the test "
            "set, and nothing of the luck of the draws.",
            *_without_interval(rows),
        ),
    )


def _without_interval(rows: Sequence[Row]) -> Iterator[str]:
    lacking = [row.study for row in rows if len(row.test_scores) == 1]
    if lacking:
        yield f"No interval for {', '.join(lacking)}: it takes two test sequences."


def _studies(rows: Sequence[Row]) -> Table:
    return Table(
        name="studies",
        title="What the rows rest on",
        data=frame(rows)[
            [
                "study",
                "data",
                "variant",
                "space",
                "seed",
                "padding",
                "training",
                "plain_study",
                "code_version",
                "trials_planned",
                "trials_finished",
                "trials_diverged",
                "trials_failed",
                "note",
            ]
        ],
        header=("Study", "Space", "Padding", "Code", "Training", "Seed", "Finished", "Diverged"),
        rows=tuple(
            (
                row.study,
                row.space,
                row.padding,
                row.code_version,
                row.training,
                str(row.seed),
                f"{row.trials_finished} of {row.trials_planned}",
                str(row.trials_diverged),
            )
            for row in rows
        ),
        n_text=5,
        notes=tuple(f"{row.study}: {row.note}." for row in rows if row.note),
    )


def number(value: float | None) -> str:
    """Return a NLL with two decimals, a dash for None."""
    return MISSING if value is None else f"{value:.2f}"


def integer(value: int | None) -> str:
    """Return an integer, a dash for None."""
    return MISSING if value is None else str(value)


def _both(row: Row | None) -> str:
    if row is None or row.test_nll_pooled is None:
        return MISSING
    return f"{number(row.test_nll_pooled)} / {number(row.test_nll_sequence_mean)}"


def _span(low: float | None, high: float | None) -> str:
    return MISSING if low is None or high is None else f"{low:.2f} to {high:.2f}"
