"""What a report lacks, and the command that would supply it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fdrnn.model import VARIANTS
from fdrnn.reports.numbers.comparison import not_compared
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.findings import Findings
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.reports.numbers.table1 import Row

_Gap = tuple[str, str]
"""What is missing, and which command supplies it, in sentences; the second may be empty."""


def missing(findings: Findings, figure1: str = "", *, of_exports: bool = False) -> Iterator[str]:
    """Yield what a report lacks, in sentences.

    Parameters
    ----------
    findings
        The report's.
    figure1
        Why Figure 1 is not drawn; empty where it is.
    of_exports
        Whether the studies come from exports, which no command can complete.
    """
    gaps = (
        *(gap for row in findings.rows for gap in _of_study(row, findings.studies[row.study])),
        *_counterparts(findings.rows),
        *_not_compared(findings),
        *_figures(findings, figure1),
        *_samples(findings.studies),
    )
    for lack, advice in gaps:
        yield lack if of_exports or not advice else f"{lack} {advice}"


def _of_study(row: Row, study: Evidence) -> Iterator[_Gap]:
    name, progress = row.study, study.progress
    train = f"`fdrnn worker {name}` trains them."
    retry = f"`fdrnn study status {name}` shows it, `fdrnn study retry {name}` retries them."
    repeats = f"of {study.definition.repeats} repeats of the selected configuration"
    if row.trials_left:
        left = f"{row.trials_left} of {row.trials_planned} trials"
        yield f"{name} is not finished: {left} are to be trained.", train
    if row.trials_failed:
        failed = f"{row.trials_failed} of {row.trials_planned} trials"
        yield f"{name}: {failed} failed with a program error.", retry
    if progress.repeats_left:
        yield f"{name}: {progress.repeats_left} {repeats} are to be trained.", train
    if progress.repeats_failed:
        yield f"{name}: {progress.repeats_failed} {repeats} failed with a program error.", retry
    if row.trials_finished and row.selected_trial is None:
        yield (
            f"{name} has no selected trial: every finished trial diverged before it had a finite "
            "validation NLL.",
            "",
        )


def _counterparts(rows: Sequence[Row]) -> Iterator[_Gap]:
    variant_of = {row.study: row.variant for row in rows}
    # Table 1 may have plain RNNs beside a network, for want of its own counterpart.
    alone = [
        row
        for row in rows
        if not row.is_plain and variant_of.get(row.plain_study or "") != VARIANTS[row.variant].plain
    ]
    # The studies of the paper's tables have counterparts that come with the program.
    shipped = dict.fromkeys(
        f"`{row.data}-{VARIANTS[row.variant].plain.replace('_', '-')}`"
        for row in alone
        if row.data in TABLE_1 and row.study == _name(row)
    )
    if alone:
        yield (
            f"No plain counterpart of {', '.join(row.study for row in alone)}: a study of the "
            "same networks without dropout on the same data with the same seed and the same "
            "training settings.",
            f"`fdrnn run` makes {', '.join(shipped)}, with the same options." if shipped else "",
        )


def _name(row: Row) -> str:
    # As the program's own studies are named.
    own = "" if row.variant == "fast_dropout" else f"-{row.variant.replace('_', '-')}"
    return f"{row.data}{own}"


def _not_compared(findings: Findings) -> Iterator[_Gap]:
    if names := not_compared(findings.studies.values()):
        yield (
            f"Not compared: {', '.join(names)}, whose data, seed, output or training settings are "
            "not those of the other studies of the comparison.",
            "",
        )


def _figures(findings: Findings, figure1: str) -> Iterator[_Gap]:
    recording = [row for row in findings.rows if findings.studies[row.study].records_test_nll]
    if findings.of_the_paper and not recording:
        yield (
            "Figure 2 is not drawn: no study here records the test NLL of every epoch.",
            "`fdrnn run figure2-fd` and `fdrnn run figure2-plain` do.",
        )
    for row in recording:
        if row.selected_trial is None:
            yield f"Figure 2 is without {row.study}: no trial of it is selected.", ""
    if findings.of_the_paper and figure1:
        yield f"Figure 1 is not drawn, whose fields Theano computes: {figure1}.", ""


def _samples(studies: Mapping[str, Evidence]) -> Iterator[_Gap]:
    silent = [
        name
        for name, study in studies.items()
        if study.selected is not None and study.samples is None
    ]
    if silent:
        yield (
            f"No sample of {', '.join(silent)}.",
            "`fdrnn sample STUDY` stores an excerpt, predictions and a sample of the selected "
            "trial.",
        )
