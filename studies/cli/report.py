"""``fdrnn report``: Table 1 on the terminal; the page, tables and figures in files."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.markup import escape

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.reports.artefacts import Table
from fdrnn.reports.document import markdown
from fdrnn.reports.document.writing import PAGE, write_report, write_tables
from fdrnn.reports.numbers.findings import Findings, read_evidence
from fdrnn.reports.tables import claims, comparison, table1
from fdrnn.search import (
    Store,
    StoreUnavailableError,
    StudyProgress,
    open_store,
)
from fdrnn.studies.cli.exports import exported_store
from fdrnn.studies.cli.interrupts import remembered_interrupts
from fdrnn.studies.cli.notes import write_notes
from fdrnn.studies.cli.options import (
    AnyStudies,
    Output,
    Storage,
    commands,
    interval,
    on_command_line,
    option,
    require_watch,
)
from fdrnn.studies.cli.phases import SILENCE_S
from fdrnn.studies.cli.readable import chosen_studies
from fdrnn.studies.cli.tables import CliConsole, columns_that_fit
from fdrnn.studies.errors import OptionError

app = commands()

_Write = Callable[..., None]
_LINE = 36
"""Characters in a line of a cell below which a terminal does not break text."""

_LABELS = 2
_MAIN_NUMBERS = 3
"""Columns that a narrow terminal shows rather than others, in Table 1: data set and study; our NLL,
plain and the paper's."""


@app.command()
def report(
    context: typer.Context,
    studies: AnyStudies,
    exports: Annotated[
        list[Path],
        option(
            "--from",
            metavar="PATH",
            help="Report exported studies instead of a store's: a file, or a folder of "
            "*.fdrnn.zip files. May be given several times.",
        ),
    ],
    watch: Annotated[
        bool,
        option("--watch", default=False, help="Write the report again while studies are trained."),
    ],
    every: Annotated[float, interval(30.0)],
    pdf: Annotated[bool, option("--pdf", default=False, help="Write figures as PDF too.")],
    no_figures: Annotated[
        bool, option("--no-figures", default=False, help="Leave out the figures.")
    ],
    storage: Storage,
    output: Output,
) -> None:
    """Print Table 1 and comparisons; write a page, tables and figures.

    The folder gets report.html, which needs no network; tables as CSV, Markdown and LaTeX;
    figures as SVG. Incomplete studies are included, and the report says what is missing.

    For example:

        fdrnn report jsb jsb-plain

        fdrnn report --watch --every 60

        fdrnn report --from results --output jsb-report
    """
    if exports and on_command_line(context, "storage"):
        raise OptionError("--from reports exports instead of a store's studies: omit --storage")
    if exports and watch:
        raise OptionError("--watch needs a store; exports (--from) do not change")
    if pdf and no_figures:
        raise OptionError("--pdf and --no-figures exclude each other; leave one out")
    require_watch(context, watch)
    write = partial(_write, output=output, pdf=pdf, figures=not no_figures)
    with remembered_interrupts():
        if exports:
            _report_exports(exports, studies, write)
            return
        store = open_store(storage)
        if watch:
            _watch(store, studies, write, every)
        else:
            findings = _evidence(store, studies)
            print_results(findings)
            write(findings)
            write_notes(findings.studies.values())


def _evidence(store: Store, studies: Sequence[str]) -> Findings:
    return read_evidence(store, [study.name for study in chosen_studies(store, studies)])


def _report_exports(exports: Sequence[Path], studies: Sequence[str], write: _Write) -> None:
    with exported_store(exports) as store:
        for name in studies:
            try:
                store.studies([name])
            except UnknownNameError:
                # That error names the temporary file that holds the exports.
                hint = "not among the studies of --from"
                raise UnknownNameError("study", name, store.study_names(), hint) from None
        findings = read_evidence(store, studies)
        print_results(findings)
        write(findings, of_exports=True)


def report_results(
    store: Store, studies: Sequence[str], output: Path, *, page: bool = False
) -> None:
    """Print Table 1 of studies and their comparisons, and write their tables or the whole report.

    Parameters
    ----------
    store
        The store.
    studies
        Names of the studies.
    output
        The folder of the report.
    page
        Whether to write the whole report, with page and figures, which takes longer.
    """
    findings = read_evidence(store, studies)
    tables = print_results(findings)
    write_notes(findings.studies.values())
    if page:
        _write(findings, output, pdf=False, figures=True)
        return
    if write_tables(output, tables):
        written = (
            f"Written: Table 1 in {output / 'tables'}; `fdrnn report` adds the figures and a page"
        )
    else:
        written = f"{output} has an earlier report, which stays; `fdrnn report` writes it anew"
    typer.echo(written, err=True)


def print_results(findings: Findings) -> list[Table]:
    """Print Table 1 with the studies of its rows, and the tables of comparisons; return them.

    A terminal shows rendered Markdown, with as many columns as it has room for; a pipe gets the
    Markdown itself.
    """
    tables = list(table1.tables(findings.rows))
    for compared in findings.comparisons:
        tables += [comparison.table(compared), claims.table(compared)]
    console = CliConsole()
    if console.is_terminal:
        shown = [_fitted(table, console.width) for table in tables]
        console.print(Markdown(markdown.results(shown)))
    else:
        typer.echo(markdown.results(tables))
    return tables


def _fitted(table: Table, width: int) -> Table:
    """Return a table without the columns that a width has no room for, and a note of these.

    Columns of dashes are left out first, then numbers but the first three, text but the first two
    columns, and the rest, each from the right; the first number comes last.
    """
    numbers = range(1, len(table.header))
    empty = [column for column in numbers if all(row[column] == "-" for row in table.rows)]

    def worth(column: int) -> int:
        if column == table.n_text:
            return 4
        if column < table.n_text:
            return 3 if column < _LABELS else 1
        return 2 if column < table.n_text + _MAIN_NUMBERS else 0

    order = sorted(numbers, key=lambda column: (worth(column), -column))
    dispensable = [*empty, *(column for column in order if column not in empty)]
    kept = columns_that_fit(_widths(table), dispensable, width)
    left_out = [title for column, title in enumerate(table.header) if column not in kept]
    if not left_out:
        return table
    return replace(
        table,
        header=tuple(table.header[column] for column in kept),
        rows=tuple(tuple(row[column] for column in kept) for row in table.rows),
        n_text=sum(column < table.n_text for column in kept),
        best=frozenset((row, kept.index(one)) for row, one in table.best if one in kept),
        notes=(*table.notes, f"A wider terminal also shows: {', '.join(left_out)}."),
    )


def _widths(table: Table) -> list[int]:
    """Return the width of each column of a rendered table, with a space on either side.

    Longer text than `_LINE` is broken into lines.
    """
    columns = zip(table.header, *table.rows, strict=True)
    widths = [max(map(len, cells)) for cells in columns]
    text = (min(width, _LINE) for width in widths[: table.n_text])
    return [width + 2 for width in (*text, *widths[table.n_text :])]


def _write(
    findings: Findings, output: Path, *, pdf: bool, figures: bool, of_exports: bool = False
) -> None:
    # Matplotlib and Optuna are imported here: Table 1 is printed without waiting for them.
    from fdrnn.reports.report import build  # noqa: PLC0415

    console, last = CliConsole(stderr=True), time.monotonic()
    with console.status("Making the report") as status:

        def show(line: str) -> None:
            nonlocal last
            if console.is_terminal:
                status.update(escape(line))
            elif time.monotonic() - last >= SILENCE_S:
                typer.echo(line, err=True)
                last = time.monotonic()

        report = build(findings, figures=figures, of_exports=of_exports)
        paths = write_report(output, report, pdf=pdf, progress=show)
    typer.echo(f"Written: {output / PAGE} and {len(paths) - 1} files beside it", err=True)


def _watch(store: Store, studies: Sequence[str], write: _Write, every_s: float) -> None:
    written: list[tuple[object, ...]] | None = None
    while True:
        try:
            # The first time loads libraries, of which some swallow a Ctrl-C.
            with remembered_interrupts():
                # Evidence that is later than the progress: at the end nothing is missing.
                progress = [study.progress() for study in chosen_studies(store, studies)]
                state = [_state(study) for study in progress]
                complete = all(study.complete for study in progress)
                if state != written:
                    findings = _evidence(store, studies)
                    if written is None or complete:
                        print_results(findings)
                    write(findings)
                    write_notes(findings.studies.values())
                    written = state
            if complete:
                return
            finished = sum(study.finished for study in progress)
            n_trials = sum(study.n_trials for study in progress)
            message = f"{finished} of {n_trials} trials finished"
        except StoreUnavailableError as error:
            message = str(error)
        typer.echo(f"{message}; reading again in {every_s:g} s, Ctrl-C ends", err=True)
        time.sleep(every_s)


def _state(progress: StudyProgress) -> tuple[object, ...]:
    """Return what a new report would show differently."""
    return (
        progress.study,
        progress.n_trials,
        progress.paused,
        progress.finished,
        progress.pruned,
        progress.repeats_planned,
        progress.repeats_left,
        progress.complete,
        progress.n_failed,
        *((trial.config_index, trial.epoch) for trial in progress.running_trials),
    )
