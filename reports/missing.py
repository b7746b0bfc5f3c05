"""What a report lacks, and the command that would supply it."""

from __future__ import annotations

from collections.abc import Iterator

from fdrnn.reports.numbers.findings import Findings
from fdrnn.reports.numbers.paper import TABLE_1


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

    def advice(text: str) -> str:
        return "" if of_exports else f" {text}"

    rows, studies = findings.rows, findings.studies
    for row in rows:
        if row.trials_left:
            yield (
                f"{row.study} is not finished: {row.trials_left} of {row.trials_planned} trials "
                f"are to be trained.{advice(f'`fdrnn worker {row.study}` trains them.')}"
            )
        retry = advice(
            f"`fdrnn study status {row.study}` shows it, `fdrnn study retry {row.study}` retries "
            "them."
        )
        if row.trials_failed:
            yield (
                f"{row.study}: {row.trials_failed} of {row.trials_planned} trials failed with a "
                f"program error.{retry}"
            )
        study = studies[row.study]
        progress = study.progress
        repeats = f"of {study.definition.repeats} repeats of the selected configuration"
        if progress.repeats_left:
            yield (
                f"{row.study}: {progress.repeats_left} {repeats} are to be trained."
                + advice(f"`fdrnn worker {row.study}` trains them.")
            )
        if progress.repeats_failed:
            yield (
                f"{row.study}: {progress.repeats_failed} {repeats} failed with a program error."
                + retry
            )
        if row.trials_finished and row.selected_trial is None:
            yield (
                f"{row.study} has no selected trial: every finished trial diverged before it had "
                "a finite validation NLL."
            )
    alone = [row for row in rows if row.variant != "plain" and row.plain_study is None]
    if alone:
        text = (
            f"No plain counterpart of {', '.join(row.study for row in alone)}: a study of plain "
            "networks on the same data with the same seed and the same training settings."
        )
        # The studies of the paper's tables have counterparts that come with the program.
        shipped = dict.fromkeys(
            f"`{row.data}-plain`" for row in alone if row.study == row.data and row.data in TABLE_1
        )
        yield text + (
            advice(f"`fdrnn run` makes {', '.join(shipped)}, with the same options.")
            if shipped
            else ""
        )
    recording = [row for row in rows if studies[row.study].records_test_nll]
    if findings.of_the_paper and not recording:
        yield (
            "Figure 2 is not drawn: no study here records the test NLL of every epoch."
            + advice("`fdrnn run figure2-fd` and `fdrnn run figure2-plain` do.")
        )
    for row in recording:
        if row.selected_trial is None:
            yield f"Figure 2 is without {row.study}: no trial of it is selected yet."
    if findings.of_the_paper and figure1:
        yield f"Figure 1 is not drawn, whose fields Theano computes: {figure1}."
    silent = [
        name for name, one in studies.items() if one.selected is not None and one.samples is None
    ]
    if silent:
        yield (
            f"No sample of {', '.join(silent)}."
            + advice(
                "`fdrnn sample STUDY` stores an excerpt, predictions and a sample of the selected "
                "trial."
            )
        )
