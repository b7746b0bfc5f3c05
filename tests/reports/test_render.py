"""Markdown and CSV of Table 1."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from fdrnn.reports.errors import OutputError
from fdrnn.reports.render import markdown, write_table1
from fdrnn.reports.table1 import Row

ROW = Row(
    data="jsb",
    title="JSB Chorales",
    study="jsb",
    variant="fast_dropout",
    space="table2",
    seed=2013,
    padding="counted",
    code_version="0.1.0",
    trials_planned=32,
    trials_finished=32,
    trials_diverged=5,
    trials_failed=0,
    selected_trial=17,
    best_epoch=93,
    valid_nll=8.123456789,
    test_nll_pooled=8.147,
    test_nll_sequence_mean=8.104,
    paper_fd=8.01,
    cited_plain=8.58,
    cited_rnn_nade=5.19,
    cited_deep_rnn=7.92,
    note="",
)
EMPTY = replace(
    ROW,
    data="bach",
    title="Bach (music21)",
    study="bach",
    trials_finished=0,
    trials_diverged=0,
    selected_trial=None,
    best_epoch=None,
    valid_nll=None,
    test_nll_pooled=None,
    test_nll_sequence_mean=None,
    paper_fd=None,
    cited_plain=None,
    cited_rnn_nade=None,
    cited_deep_rnn=None,
    note="not the benchmark",
)


def tables(text: str) -> list[list[dict[str, str]]]:
    """Parse the Markdown tables of a document into rows by header."""
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        if lines:
            cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
            found.append([dict(zip(cells[0], line, strict=True)) for line in cells[2:]])
    return found


def test_the_tables_say_the_numbers_and_what_they_rest_on() -> None:
    text = markdown([ROW])
    (result,), (basis,) = tables(text)
    assert result == {
        "Data set": "JSB Chorales",
        "Study": "jsb",
        "Network": "FD-RNN",
        "Ours, pooled": "8.15",
        "Ours, by sequence": "8.10",
        "Paper: FD": "8.01",
        "plain*": "8.58",
        "RNN-NADE*": "5.19",
        "Deep RNN*": "7.92",
    }
    assert basis["Finished"] == "32 of 32"
    assert basis["Diverged"] == "5"
    assert basis["Selected trial"] == "17"
    assert basis["Its valid. NLL"] == "8.12"
    assert (basis["Padding"], basis["Seed"], basis["Code"]) == ("counted", "2013", "0.1.0")
    assert "* are cited" in text


def test_missing_numbers_are_dashes_and_the_note_is_told() -> None:
    text = markdown([ROW, EMPTY])
    result, _ = tables(text)
    assert result[1]["Ours, pooled"] == "-"
    assert result[1]["Paper: FD"] == "-"
    assert "- bach: not the benchmark.\n" in text


def test_table_lines_have_one_width() -> None:
    for block in markdown([ROW, EMPTY]).split("\n\n"):
        widths = {len(line) for line in block.splitlines() if line.startswith("|")}
        assert len(widths) <= 1


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    text = markdown([replace(ROW, title="a|b")])
    assert "a\\|b" in text


def test_the_csv_keeps_full_precision_and_empty_cells(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    paths = write_table1(folder, [ROW, EMPTY])
    assert [path.name for path in paths] == ["table1.md", "table1.csv"]
    assert paths[0].read_text() == markdown([ROW, EMPTY])
    table = pd.read_csv(paths[1])
    assert table["valid_nll"][0] == ROW.valid_nll
    assert table["selected_trial"][0] == 17
    assert table.loc[1, ["selected_trial", "test_nll_pooled", "paper_fd"]].isna().all()


def test_an_earlier_report_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_table1(tmp_path, [EMPTY])
    write_table1(tmp_path, [ROW])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table1.csv", "table1.md"]
    assert "8.15" in (tmp_path / "table1.md").read_text()
    umask = os.umask(0)
    os.umask(umask)
    mode = stat.S_IMODE((tmp_path / "table1.md").stat().st_mode)
    assert mode == 0o666 & ~umask


def test_an_unwritable_folder_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot write the report .*file.*--output"):
        write_table1(tmp_path / "file", [ROW])
    assert (tmp_path / "file").read_text() == "in the way"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
