"""A report's files: one HTML page, Markdown, and every table and figure on its own."""

from __future__ import annotations

import base64
import gc
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from fdrnn.reports.artefacts import Attachment, Figure, Report, Section, Table
from fdrnn.reports.document import html, latex, markdown
from fdrnn.reports.document.files import FileSet, file_set

PAGE = "report.html"
_NUMBER_FORMAT = "%.10g"
"""Of CSV: more digits than any platform's arithmetic changes."""


class _OnlyTriedError(Exception):
    """Nothing is to be written after all."""


def require_writable(folder: Path) -> None:
    """Try whether a report's folder can be written, long before the report; leave it as it was.

    Raises
    ------
    OutputError
        If it cannot.
    """
    with suppress(_OnlyTriedError), file_set(folder, whole=False):
        raise _OnlyTriedError


def write_report(folder: Path, report: Report) -> list[Path]:
    """Write a report into a folder.

    Parameters
    ----------
    folder
        Made where it is missing; files of an earlier report are replaced.
    report
        The report. Its studies are computed, drawn and written one after another.

    Returns
    -------
    list of Path
        ``report.html``, ``report.md``, and per table CSV, Markdown and LaTeX in ``tables/``, per
        figure SVG and PDF in ``figures/``, attachments in ``files/``.

    Raises
    ------
    OutputError
        If the folder or a file cannot be written; it is then as it was.
    """
    with file_set(folder) as files:
        with files.open(PAGE) as page, files.open("report.md") as text:
            text.write(f"# {report.title}\n\n".encode())
            text.writelines(f"- {line}\n".encode() for line in (*report.used, *report.missing))

            def sections() -> Iterator[html.RenderedSection]:
                for section in _sections(report):
                    text.write(f"\n{markdown.section(section)}".encode())
                    yield html.RenderedSection(section, dict(_write_artefacts(files, section)))
                    # Drawings refer to themselves: without this, those of many studies pile up.
                    gc.collect()

            page.writelines(part.encode() for part in html.page(report, sections()))
        names = files.names
    return [folder / name for name in names]


def write_tables(folder: Path, tables: Sequence[Table]) -> list[Path]:
    """Write tables alone, as `write_report` does, and leave the rest of an earlier report.

    Parameters
    ----------
    folder
        Made where it is missing.
    tables
        The tables.

    Returns
    -------
    list of Path
        CSV, Markdown and LaTeX of each, in ``tables/``.

    Raises
    ------
    OutputError
        If the folder or a file cannot be written; it is then as it was.
    """
    with file_set(folder, whole=False) as files:
        for table in tables:
            _write_table(files, table)
        names = files.names
    return [folder / name for name in names]


def _sections(report: Report) -> Iterator[Section]:
    yield from report.overview
    yield from report.studies()


def _write_artefacts(files: FileSet, section: Section) -> Iterator[tuple[str, str]]:
    """Write a section's files; yield the name of each figure and its data URI."""
    for artefact in section.artefacts:
        if isinstance(artefact, Table):
            _write_table(files, artefact)
        elif isinstance(artefact, Attachment):
            files.add(f"files/{artefact.name}", artefact.content)
        else:
            yield artefact.name, _write_figure(files, artefact)


def _write_table(files: FileSet, table: Table) -> None:
    stem = f"tables/{table.name}"
    files.add(f"{stem}.md", markdown.table(table))
    files.add(f"{stem}.tex", latex.table(table))
    csv = table.data.to_csv(index=False, lineterminator="\n", float_format=_NUMBER_FORMAT)
    files.add(f"{stem}.csv", csv)


def _write_figure(files: FileSet, figure: Figure) -> str:
    from fdrnn.reports.document import style  # noqa: PLC0415 - imports matplotlib, which tables need not

    drawn = style.rendered(figure.draw, figure.formats)
    for suffix, content in drawn.items():
        files.add(f"figures/{figure.name}.{suffix}", content)
    if "svg" in drawn:
        return _data_uri("image/svg+xml", style.themed(drawn["svg"]))
    return _data_uri("image/png", drawn["png"])


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
