"""Table 1 as printed: the NLL beside the paper's, their intervals, and the studies of the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from fdrnn.reports.artefacts import Columns, Table
from fdrnn.reports.numbers.bootstrap import N_RESAMPLES
from fdrnn.reports.numbers.table1 import PAPERS_DRAWS, Row, frame
from fdrnn.reports.numbers.text import MISSING, number, plural, span
from fdrnn.reports.tables.columns import paper_columns

RULES = (
    "Test NLL in nats per predicted step, of the trial with the lowest validation NLL; nothing "
    "is selected on test data.",
    '"Pooled" averages over all predicted steps of all test sequences, as the authors\' code did; '
    '"by sequence" is the mean over test sequences of each one\'s average. For sequences of one '
    "length, as in the paper's formula, both are the same.",
)
"""Rules for every test NLL of a report."""

_CAUTION = (
    f"Caution, of either network in a row: fewer than {PAPERS_DRAWS} draws, trials that are still "
    "to come, or a selected trial that ended at its limit of epochs may miss a lower NLL; given "
    "values are no search; where padding decides, a note below has both trials."
)

_OF_REPEATS = (
    "Repeats: mean and standard deviation of the pooled test NLL of the selected configuration "
    "with further seeds (their number). The run in the table was selected among the draws, these "
    "were not."
)

_PAIRED = "Both networks of one row have the same data, seed and training settings."

_STUDY: Columns[Row] = [("Study", lambda row: row.study)]
_NETWORK: Columns[Row] = [("Network", lambda row: row.network)]


def tables(rows: Sequence[Row]) -> tuple[Table, ...]:
    """Return Table 1 in parts.

    The NLL, FD and plain of our own, beside the paper's for its data sets and beside a naive
    prediction's for others; the selecting validation NLL and the intervals of the test NLL; the
    studies, with the notes.
    """
    of_paper = [row for row in rows if row.paper_fd is not None]
    own = [row for row in rows if row.paper_fd is None]
    results = [
        *([_beside_the_paper(of_paper)] if of_paper else []),
        *([_own_data(own, "table1-own-data" if of_paper else "table1")] if own else []),
    ]
    return *results, _intervals(rows), _studies(rows)


def _beside_the_paper(rows: Sequence[Row]) -> Table:
    return _results(
        rows,
        name="table1",
        title="Table 1: test NLL beside the paper's",
        own="Ours",
        plain="Ours: plain",
        beside=paper_columns(lambda row: row.data),
        notes=["Columns marked * are cited by the paper from other work."],
    )


def _own_data(rows: Sequence[Row], name: str) -> Table:
    return _results(
        rows,
        name=name,
        title="Test NLL",
        own="NLL",
        plain="Plain",
        beside=[("Naive", lambda row: number(row.baseline_nll))],
        notes=[
            "Naive: pooled test NLL without a network. Columns of 0 and 1 and symbols are "
            "predicted by their frequencies in training, real values by the last value, with the "
            "standard deviation of the steps in training. A network that is not below it "
            "has learned nothing of the order."
        ],
    )


def _results(
    rows: Sequence[Row],
    *,
    name: str,
    title: str,
    own: str,
    plain: str,
    beside: Columns[Row],
    notes: Sequence[str],
) -> Table:
    by_name = {row.study: row for row in rows}
    paired = {row.plain_study for row in rows}
    shown = [row for row in rows if not row.is_plain or row.study not in paired]

    def pair(row: Row) -> tuple[Row | None, Row | None]:
        if row.variant == "plain":
            return None, row
        return row, by_name.get(row.plain_study or "")

    def caution(row: Row) -> str:
        other = by_name.get(row.plain_study or "")
        both = [one.caution for one in (row, other) if one and one.caution]
        return "; ".join(dict.fromkeys("; ".join(both).split("; ")))

    text: Columns[Row] = [("Data set", lambda row: row.title), *_STUDY, *_NETWORK]
    cautioned = any(map(caution, shown))
    if cautioned:
        text = [*text, ("Caution", caution)]
    pairs = [(own, lambda row: _both(pair(row)[0])), (plain, lambda row: _both(pair(row)[1]))]
    repeats = [
        ("Repeats", lambda row: _repeated(pair(row)[0])),
        ("Repeats: plain", lambda row: _repeated(pair(row)[1])),
    ]
    used = [position for position in (0, 1) if any(pair(row)[position] for row in shown)]
    repeated = [
        position
        for position in used
        if any(one.repeats for row in shown if (one := pair(row)[position]))
    ]
    return Table.of(
        shown,
        name=name,
        title=title,
        data=frame(rows),
        text=text,
        numbers=[
            *(pairs[position] for position in used),
            # A narrow terminal leaves out the last columns first.
            *beside[:1],
            *(repeats[position] for position in repeated),
            *beside[1:],
        ],
        notes=(
            f"{own}: pooled / by sequence, in bold the lowest pooled one on its data.",
            *RULES,
            *notes,
            *([_PAIRED] if len(used) > 1 else []),
            *([_CAUTION] if cautioned else []),
            *([_OF_REPEATS] if repeated else []),
            *_counterparts(rows),
            *_repeats_without_nll(rows),
            *(f"{row.study}: {row.selections}." for row in rows if row.selections),
        ),
        best=_best([[pair(row)[position] for position in used] for row in shown], len(text)),
    )


def _best(rows: Sequence[Sequence[Row | None]], first: int) -> Iterator[tuple[int, int]]:
    """Yield the cells with the lowest pooled NLL on the same data; `first` is their column."""
    found = [
        (row.fingerprint, row.test_nll_pooled.value, position, first + column)
        for position, cells in enumerate(rows)
        for column, row in enumerate(cells)
        if row is not None and row.test_nll_pooled.value is not None
    ]
    for fingerprint, nll, *place in found:
        if nll == min(other[1] for other in found if other[0] == fingerprint):
            yield place[0], place[1]


def _repeated(row: Row | None) -> str:
    if row is None or not row.repeats:
        return MISSING
    spread = "" if row.repeats_deviation is None else f", {number(row.repeats_deviation)}"
    return f"{number(row.repeats_mean)}{spread} ({row.repeats - row.repeats_without_nll})"


def _repeats_without_nll(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row.repeats_without_nll:
            seeds = plural(row.repeats_without_nll, "further seed")
            yield f"{row.study}: with {seeds} the selected configuration has no test NLL."


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
            f"Plain of {row.study}: {plain.study} ({plain.network}), {plain.trials_finished} of "
            f"{plain.trials_planned} trials"
            f"{f' and {plain.trials_pruned} pruned' if plain.trials_pruned else ''}"
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
            "The validation NLL, under the study's padding rule, selected the trial."
            + (
                " With padding counted it averages over the zeros of short chunks too, and cannot "
                "be compared with a test NLL."
                if any(row.padding == "counted" for row in rows)
                else ""
            ),
            f"95 %: percentile bootstrap interval over test sequences ({N_RESAMPLES:,} resamples, "
            "fixed seed). It says how much the number depends on which pieces are in the test "
            "set, and nothing of the luck of the draws.",
            *_test_sets(rows),
            *(
                [f"No interval for {', '.join(lacking)}: it takes two test sequences."]
                if lacking
                else []
            ),
        ),
    )


def _test_sets(rows: Sequence[Row]) -> Iterator[str]:
    tested = {row.fingerprint: row for row in rows if row.test_sequences}
    if tested:
        sizes = (
            f"{row.title} {plural(row.test_sequences, 'sequence')}, {row.test_steps:,} steps"
            for row in tested.values()
        )
        yield f"Test sets: {'; '.join(sizes)}."


def _of(texts: Mapping[str, str]) -> Callable[[Row], str]:
    return lambda row: texts[row.study]


def _lacks_interval(row: Row) -> bool:
    pooled = row.test_nll_pooled
    return pooled.value is not None and math.isfinite(pooled.value) and pooled.low is None


def _studies(rows: Sequence[Row]) -> Table:
    definition = ["study", "data", "variant", "space", "seed", "padding", "training"]
    counts = [f"trials_{name}" for name in ("planned", "finished", "diverged", "failed")]
    settings = [
        [
            f"padding {row.padding}",
            f"fdrnn {row.code_version}",
            f"seed {row.seed}",
            *row.training.split("; "),
        ]
        for row in rows
    ]
    # What all of several studies have in common is said once.
    common = set.intersection(*map(set, settings)) if len(rows) > 1 else set()
    own = {
        row.study: "; ".join(one for one in some if one not in common)
        for row, some in zip(rows, settings, strict=True)
    }
    shared = [f"All studies: {'; '.join(one for one in settings[0] if one in common)}."]
    return Table.of(
        rows,
        name="studies",
        title="What the rows rest on",
        data=frame(rows)[[*definition, "plain_study", "code_version", *counts, "note"]],
        text=[
            *_STUDY,
            ("Space", lambda row: row.space),
            *([("Settings", _of(own))] if any(own.values()) else []),
        ],
        numbers=[
            ("Finished", lambda row: f"{row.trials_finished} of {row.trials_planned}"),
            ("Diverged", lambda row: str(row.trials_diverged)),
        ],
        notes=[
            *(shared if common else []),
            *(f"{row.study}: {row.note}." for row in rows if row.note),
        ],
    )
