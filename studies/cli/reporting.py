"""``fdrnn report``: Table 1 on the terminal; the page, tables and figures in files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.markdown import Markdown

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.reports.artefacts import Table
from fdrnn.reports.document import markdown
from fdrnn.reports.document.writing import PAGE, write_report, write_tables
from fdrnn.reports.numbers.findings import Findings, read_evidence
from fdrnn.reports.tables import claims, comparison, nll_tables
from fdrnn.search import (
    Store,
    StoreUnavailableError,
    StudyProgress,
    default_storage_url,
    open_store,
)
from fdrnn.studies.cli.console import CliConsole
from fdrnn.studies.cli.exports import exported_store
from fdrnn.studies.cli.interrupts import remembered_interrupts
from fdrnn.studies.cli.notes import write_notes
from fdrnn.studies.cli.readable import readable_studies
from fdrnn.studies.cli.watch import require_interval
from fdrnn.studies.errors import OptionError


def report_studies(
    studies: Sequence[str],
    storage: str | None,
    output: Path,
    exports: Sequence[Path] = (),
    watch: bool = False,
    every_s: float = 30.0,
) -> None:
    """Report studies of a store or of exports, all of them if none is named.

    Parameters
    ----------
    studies
        Names in the store.
    storage
        Its URL; None for the default.
    output
        Folder of the files.
    exports
        Files of exported studies, or folders of them, to report in the place of a store's.
    watch
        Whether to write the report again while the studies are trained, until they are complete.
    every_s
        Seconds between two looks at the store then.

    Raises
    ------
    OptionError
        If `every_s` is no time to wait, or exports are to be watched.
    """
    require_interval(every_s)
    if exports and watch:
        raise OptionError("--watch needs a store; exports (--from) do not change")
    if exports:
        with exported_store(exports) as store:
            _require_exported(store, studies)
            findings = read_evidence(store, studies)
            print_results(findings)
            _write(findings, output, of_exports=True)
        return
    store = open_store(storage or default_storage_url())
    findings = read_evidence(store, studies)
    print_results(findings)
    if watch:
        _watch(store, studies, output, every_s)
    else:
        _write(findings, output)
        write_notes(store, findings)


def _require_exported(store: Store, studies: Sequence[str]) -> None:
    for name in studies:
        try:
            store.studies([name])
        except UnknownNameError:
            # That error names the temporary file that holds the exports.
            hint = "these are the studies of --from"
            raise UnknownNameError("study", name, store.study_names(), hint) from None


def report_results(store: Store, output: Path) -> None:
    """Print Table 1 of a store and its comparisons, and write their tables, without figures.

    Studies of another fdrnn are left out.
    """
    names = readable_studies(store)
    findings = read_evidence(store, names)
    tables = print_results(findings)
    write_notes(store, findings)
    write_tables(output, tables)
    typer.echo(
        f"Written: Table 1 in {output / 'tables'}; `fdrnn report` adds the figures and a page",
        err=True,
    )


def print_results(findings: Findings) -> list[Table]:
    """Print Table 1 with the studies of its rows, and the tables of comparisons; return them.

    A terminal that is wide enough for the tables shows the Markdown drawn; others and a pipe get
    the Markdown itself.
    """
    tables = list(nll_tables.tables(findings.rows))
    for one in findings.comparisons:
        tables += [comparison.table(one), claims.table(one)]
    _print(markdown.document("Results", tables))
    return tables


def _print(text: str) -> None:
    console = CliConsole()
    table_width = max(len(line) for line in text.splitlines() if line.startswith("|"))
    if console.is_terminal and console.width >= table_width:
        console.print(Markdown(text))
    else:
        typer.echo(text)


def _write(findings: Findings, output: Path, *, of_exports: bool = False) -> None:
    # Matplotlib and Optuna are imported here: Table 1 is printed without waiting for them.
    from fdrnn.reports.report import build  # noqa: PLC0415

    paths = write_report(output, build(findings, of_exports=of_exports))
    typer.echo(f"Written: {output / PAGE} and {len(paths) - 1} files beside it", err=True)


def _watch(store: Store, studies: Sequence[str], output: Path, every_s: float) -> None:
    written: list[tuple[object, ...]] | None = None
    while True:
        try:
            # The first look loads libraries, of which some swallow a Ctrl-C.
            with remembered_interrupts():
                # Evidence that is later than the progress: at the end nothing is missing.
                progress = [study.progress() for study in store.studies(studies)]
                state = [_state(one) for one in progress]
                if state != written:
                    findings = read_evidence(store, studies)
                    _write(findings, output)
                    write_notes(store, findings)
                    written = state
            if all(one.complete for one in progress):
                print_results(findings)
                return
            done = sum(one.finished for one in progress)
            planned = sum(one.n_trials for one in progress)
            typer.echo(
                f"{done} of {planned} trials finished; looking again in {every_s:g} s, Ctrl-C ends",
                err=True,
            )
        except StoreUnavailableError as error:
            typer.echo(f"{error}; looking again in {every_s:g} s", err=True)
        time.sleep(every_s)


def _state(progress: StudyProgress) -> tuple[object, ...]:
    """Return what a new report would show differently."""
    epochs = tuple((one.config_index, one.epoch) for one in progress.running_trials)
    return progress.study, progress.n_trials, progress.finished, progress.failed, epochs
