"""A report's files: one HTML page, Markdown, and every table and figure on its own.

Every file is written atomically: a reader, or a crash, finds the old file or the new one.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from fdrnn.datasets.errors import FileError
from fdrnn.datasets.files import write_atomically
from fdrnn.reports.artefacts import Artefact, Attachment, Figure, Report, Section, Table
from fdrnn.reports.document import drawing, html, latex, markdown
from fdrnn.reports.numbers.text import MISSING, printable

PAGE = "report.html"
_CONTENTS = "fdrnn-report-contents.txt"
_NUMBER_FORMAT = "%.10g"
"""Format of a CSV file's numbers: more digits than any platform's arithmetic changes."""
_WAY_OUT = "name another folder with --output"


def require_writable(folder: Path) -> None:
    """Check that files can be created in a folder, or in the first above it that exists.

    Raises
    ------
    FileError
        If they cannot.
    """
    try:
        existing = next(one for one in (folder, *folder.parents) if one.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise FileError(f"cannot write into {folder}: {error.strerror}; {_WAY_OUT}") from error


def write_report(
    folder: Path,
    report: Report,
    *,
    pdf: bool = False,
    progress: Callable[[str], object] = lambda _: None,
) -> list[Path]:
    """Write a report into a folder.

    Its names are kept in ``fdrnn-report-contents.txt``, and files of an earlier report that are
    not in this one are removed, so that no number of an earlier report stays beside a newer one.

    Parameters
    ----------
    folder
        The folder, created if necessary.
    report
        The report. Figures are drawn on every core, or kept (`fdrnn.reports.document.drawing`).
    pdf
        Whether every figure is also written as PDF.
    progress
        Called with a line after each figure.

    Returns
    -------
    list of Path
        ``report.html``, ``report.md``, and per table CSV, Markdown and LaTeX in ``tables/``, per
        figure SVG in ``figures/``, attachments in ``files/``.

    Raises
    ------
    FileError
        If the folder or a file cannot be written.
    """
    written: list[str] = []
    lines = "".join(f"- {markdown.escaped(line)}\n" for line in (*report.used, *report.missing))
    text = [f"# {report.title}\n\n{lines}"]
    made = [_with_pdf(section) for section in report.sections] if pdf else report.sections
    figures = [one for section in made for one in section.artefacts if isinstance(one, Figure)]

    def sections(drawn: Iterator[tuple[int, drawing.Files]]) -> Iterator[html.Shown]:
        for section in made:
            text.append(f"\n{markdown.section(section)}")
            images = {}
            for artefact in section.artefacts:
                if isinstance(artefact, Figure):
                    number, content = next(drawn)
                    progress(f"figure {number} of {len(figures)}")
                    images[artefact.name] = _image(content)
                    files = {f"figures/{artefact.name}.{key}": content[key] for key in content}
                    written.extend(_write(folder, files))
                else:
                    written.extend(_write(folder, _files(artefact)))
            yield section, images

    def write_page(file: BinaryIO) -> None:
        # Closed at an error too: its processes end with it.
        with closing(drawing.drawn(figures)) as drawn:
            page = html.page(report, sections(enumerate(drawn, 1)))
            file.writelines(part.encode() for part in page)

    earlier = _listed(folder)
    try:
        write_atomically(folder / PAGE, write_page, way_out=_WAY_OUT)
        _write(folder, {"report.md": "".join(text)})
    except BaseException:
        # The next report removes what this one has written so far.
        if written:
            with suppress(FileError):
                _list(folder, earlier | set(written))
        raise
    written = [PAGE, "report.md", *written]
    _list(folder, written)
    _remove(folder, earlier - set(written))
    return [folder / name for name in written]


def write_tables(folder: Path, tables: Sequence[Table]) -> list[Path]:
    """Write tables alone, as `write_report` does, instead of earlier ones.

    Where the folder has a whole report, it stays as it is, because its page would contradict
    other tables.

    Parameters
    ----------
    folder
        The folder, created if necessary.
    tables
        The tables.

    Returns
    -------
    list of Path
        CSV, Markdown and LaTeX of each, in ``tables/``; empty where a whole report stays.

    Raises
    ------
    FileError
        If the folder or a file cannot be written.
    """
    if (folder / PAGE).is_file():
        return []
    files = {name: content for table in tables for name, content in _files(table).items()}
    earlier = _listed(folder)
    # The next report removes what an error leaves.
    _list(folder, earlier | set(files))
    _write(folder, files)
    _remove(folder, earlier - set(files))
    _list(folder, files)
    return [folder / name for name in files]


def _with_pdf(section: Section) -> Section:
    artefacts = (
        replace(one, formats=(*one.formats, "pdf")) if isinstance(one, Figure) else one
        for one in section.artefacts
    )
    return replace(section, artefacts=tuple(artefacts))


def _files(artefact: Artefact) -> dict[str, str | bytes]:
    """Return the files of a table or an attachment by name."""
    if isinstance(artefact, Table):
        stem = f"tables/{artefact.name}"
        data = artefact.data.copy()
        for name in data.select_dtypes("object"):
            data[name] = data[name].map(_no_formula)
        csv = data.to_csv(index=False, lineterminator="\n", float_format=_NUMBER_FORMAT)
        return {
            f"{stem}.md": markdown.table(artefact),
            f"{stem}.tex": latex.table(artefact),
            f"{stem}.csv": csv,
        }
    assert isinstance(artefact, Attachment)
    return {f"files/{artefact.name}": artefact.content}


def _no_formula(value: object) -> object:
    """Return a value of a CSV file that a spreadsheet reads as text, not as a formula."""
    if not isinstance(value, str) or value in {"", MISSING}:
        return value
    text = printable(value)
    return f"'{text}" if text[0] in "=+-@" and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _write(folder: Path, files: Mapping[str, str | bytes]) -> list[str]:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        write_atomically(folder / name, data, way_out=_WAY_OUT)
    return list(files)


def _image(content: drawing.Files) -> str:
    """Return the data URI of a figure: of its SVG in the page's ink, else of its PNG."""
    from fdrnn.reports.figures import style  # noqa: PLC0415 - imports matplotlib, which tables need not

    kind, shown = (
        ("svg+xml", style.themed(content["svg"])) if "svg" in content else ("png", content["png"])
    )
    return f"data:image/{kind};base64,{base64.b64encode(shown).decode()}"


def _listed(folder: Path) -> set[str]:
    """Return the names of an earlier report's files."""
    contents = folder / _CONTENTS
    if not contents.is_file():
        return set()
    # A name that is not UTF-8 is not of a report.
    return set(contents.read_text(encoding="utf-8", errors="replace").splitlines())


def _list(folder: Path, names: Iterable[str]) -> None:
    _write(folder, {_CONTENTS: "".join(f"{name}\n" for name in sorted(names))})


def _remove(folder: Path, names: set[str]) -> None:
    for name in names:
        file = folder / name
        # The list is a file that anyone may have edited.
        if "\0" not in name and file.is_file() and folder.resolve() in file.resolve().parents:
            file.unlink(missing_ok=True)
            if not any(file.parent.iterdir()):
                file.parent.rmdir()
