"""A report's files: written atomically, and those of an earlier report removed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing

from fdrnn.datasets.errors import FileError
from fdrnn.reports.artefacts import Attachment, Figure, Report, Section, Table
from fdrnn.reports.document.writing import PAGE, require_writable, write_report, write_tables

CONTENTS = "fdrnn-report-contents.txt"


def report(*names: str, fails: bool = False) -> Report:
    """A report with an attachment of each name in a separate study."""
    sections = [
        Section(
            anchor=name,
            title=name,
            artefacts=(Attachment(name=name, title=name, content=name.encode()),),
        )
        for name in names
    ]
    if fails:
        sections.append(Section(anchor="fails", title="fails", artefacts=(_failing(),)))
    return Report(
        title="A report", used=(), rules=(), missing=(), overview=(), studies=tuple(sections)
    )


def _failing() -> Figure:
    def draw() -> Drawing:
        raise RuntimeError("a drawing failed")

    return Figure(name="fails", title="fails", caption="", alt="", draw=draw)


def found(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_files_and_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    written = write_report(folder, report("a.mid"))
    assert {str(path.relative_to(folder)) for path in written} == {
        PAGE,
        "report.md",
        "files/a.mid",
    }
    assert found(folder) == {PAGE, "report.md", "files/a.mid", CONTENTS}
    assert (folder / CONTENTS).read_text() == f"files/a.mid\n{PAGE}\nreport.md\n"
    assert (folder / "files" / "a.mid").read_text() == "a.mid"


def test_a_later_report_replaces_an_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "contents.txt").write_text("mine.txt\n")
    write_report(tmp_path, report("old.mid"))
    write_report(tmp_path, report())
    assert found(tmp_path) == {"mine.txt", "contents.txt", PAGE, "report.md", CONTENTS}
    assert not (tmp_path / "files").exists()


def test_a_contents_file_cannot_name_what_lies_outside(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / CONTENTS).write_text("../precious.txt\n")
    write_report(folder, report())
    assert (tmp_path / "precious.txt").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"tables\n", b"\n", b"\0\n"])
def test_a_damaged_contents_file_harms_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "mine.csv").write_text("mine")
    (tmp_path / CONTENTS).write_bytes(content)
    write_report(tmp_path, report())
    assert found(tmp_path) == {"tables/mine.csv", PAGE, "report.md", CONTENTS}


def test_an_error_leaves_the_earlier_page_and_its_files(tmp_path: Path) -> None:
    write_report(tmp_path, report("old.mid"))
    page = (tmp_path / PAGE).read_text()
    with pytest.raises(RuntimeError):
        write_report(tmp_path, report("new.mid", fails=True))
    assert (tmp_path / PAGE).read_text() == page
    assert found(tmp_path) == {PAGE, "report.md", CONTENTS, "files/old.mid", "files/new.mid"}
    write_report(tmp_path, report())
    assert found(tmp_path) == {PAGE, "report.md", CONTENTS}


def test_what_a_report_used_and_misses_has_no_html_and_no_link(tmp_path: Path) -> None:
    used, missing = ("jsb: space <b>",), ("[x](javascript:y)",)
    write_report(tmp_path, replace(report(), used=used, missing=missing))
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert lines == ["# A report", "", "- jsb: space \\<b>", "- [x]\\(javascript:y)"]


def small_table(name: str, value: float) -> Table:
    data = pd.DataFrame({"a": [value]})
    return Table(name=name, title="t", data=data, header=("a",), rows=(), n_text=1)


def with_tables(*tables: Table) -> Report:
    section = Section(anchor="results", title="results", artefacts=tables)
    return replace(report("old.mid"), overview=(section,))


def test_tables_alone_replace_others(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    write_tables(tmp_path, [small_table("table1", 0.5), small_table("costs", 2.0)])
    paths = write_tables(tmp_path, [small_table("table1", 1 / 3)])
    assert {path.name for path in paths} == {"table1.md", "table1.csv", "table1.tex"}
    tables = {f"tables/table1.{suffix}" for suffix in ("csv", "md", "tex")}
    assert found(tmp_path) == {"mine.txt", CONTENTS, *tables}
    assert (tmp_path / "tables" / "table1.md").read_text().startswith("## t\n")
    assert (tmp_path / "tables" / "table1.csv").read_text() == "a\n0.3333333333\n"
    write_tables(tmp_path, [small_table("other", 1.0)])
    assert not (tmp_path / "tables" / "table1.csv").exists()
    write_report(tmp_path, report())
    assert found(tmp_path) == {"mine.txt", PAGE, "report.md", CONTENTS}


def test_a_report_with_a_page_stays_whole(tmp_path: Path) -> None:
    """Other tables beside its page would contradict it."""
    write_report(tmp_path, with_tables(small_table("table1", 0.5), small_table("costs", 2.0)))
    before = {name: (tmp_path / name).read_bytes() for name in found(tmp_path)}
    assert write_tables(tmp_path, [small_table("table1", 1 / 3)]) == []
    assert {name: (tmp_path / name).read_bytes() for name in found(tmp_path)} == before


def test_a_file_in_the_folder_s_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for refused in (
        require_writable,
        lambda folder: write_report(folder, report()),
        lambda folder: write_tables(folder, [small_table("table1", 0.5)]),
    ):
        with pytest.raises(FileError, match=r"file.*cannot be written|cannot write.*file") as error:
            refused(tmp_path / "file" / "report")
        assert re.search("name another folder with --output$", str(error.value))
    assert found(tmp_path) == {"file"}


def test_trying_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    require_writable(tmp_path / "new" / "report")
    assert not list(tmp_path.iterdir())


def test_a_text_that_is_a_number_stays_one(tmp_path: Path) -> None:
    values = ["-0.8", "+1e-05", "-2+3", "-A1"]
    data = pd.DataFrame({"value": values})
    write_tables(
        tmp_path, [Table(name="t", title="t", data=data, header=("a",), rows=(), n_text=1)]
    )
    lines = (tmp_path / "tables" / "t.csv").read_text().splitlines()
    assert lines[1:] == ["-0.8", "+1e-05", "'-2+3", "'-A1"]


def test_texts_of_data_are_no_formulas_links_html_or_escape_sequences(tmp_path: Path) -> None:
    evil = ["=HYPERLINK(1)", "@SUM(1)", "a <script>", "[x](javascript:y)", "\x1b[31mred\n", "-"]
    data = pd.DataFrame({"note": evil, "nll": -1.5})
    rows = tuple((one, "-1.50") for one in evil)
    table = Table(
        name="t",
        title=evil[4],
        data=data,
        header=("a", "b"),
        rows=rows,
        n_text=1,
        notes=tuple(evil),
    )
    write_tables(tmp_path, [table])
    texts = {path.suffix: path.read_text() for path in (tmp_path / "tables").iterdir()}
    assert [line.split(",")[0] for line in texts[".csv"].splitlines()[1:3]] == [
        "'=HYPERLINK(1)",
        "'@SUM(1)",
    ]
    assert texts[".csv"].splitlines()[-1] == "-,-1.5"
    assert "\\<script>" in texts[".md"]
    assert "[x]\\(javascript:y)" in texts[".md"]
    assert not any("\x1b" in text for text in texts.values())
    assert texts[".md"].count("\n") == 2 + 2 + len(rows) + 1 + len(evil)
