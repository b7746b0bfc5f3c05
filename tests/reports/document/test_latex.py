"""Tables as LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from fdrnn.reports.artefacts import Table
from fdrnn.reports.document import latex
from fdrnn.reports.numbers.comparison import Comparison
from fdrnn.reports.numbers.findings import read_evidence
from fdrnn.reports.tables import claims, comparison, table1, table2, table3
from fdrnn.search import Store

AWKWARD = '\\ 95 % & $x_1$ #2 {a} ~ ^ " < > |W| [b]'
TABLE = Table(
    name="one",
    title="A & B",
    data=pd.DataFrame(),
    header=("Study", "NLL"),
    rows=((AWKWARD, "8.01"), ("[1]", "-")),
    n_text=1,
    notes=("50 % of it.",),
)


def test_booktabs_alignment_caption_and_label() -> None:
    text = latex.table(TABLE)
    assert re.findall(r"\\(toprule|midrule|bottomrule)", text) == [
        "toprule",
        "midrule",
        "bottomrule",
    ]
    assert r"\begin{tabular}{@{}lr@{}}" in text
    assert r"\caption{A \& B.}" in text
    assert r"\label{tab:one}" in text
    assert r"\fdrnnnote{50 \% of it.}" in text


def test_a_paper_numbers_its_captions_and_prints_dashes_bold_and_symbols() -> None:
    table = replace(
        TABLE,
        title="Table 3: sigma^2 of W_rec",
        rows=(("rho, best", "-"), ("a", "8.01")),
        best=frozenset({(1, 1)}),
    )
    text = latex.table(table)
    assert r"\caption{$\sigma^2$ of $W_\mathrm{rec}$.}" in text
    assert r"{$\rho$, best} & {--} \\" in text
    assert r"{a} & \textbf{8.01} \\" in text
    assert r"\caption{Test NLL.}" in latex.table(replace(TABLE, title="Table 1: test NLL"))
    # The notes are optional: a document may define the command that prints them.
    assert text.startswith(r"\providecommand{\fdrnnnote}[1]{\par #1}")


def test_nothing_in_a_cell_is_a_command() -> None:
    left = latex.escaped(AWKWARD)
    known = r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}"
    left = re.sub(known, "", left)
    left = re.sub(r"\\[&%$#_{}]", "", left)
    assert not re.search(r"[\\&%$#_{}~^<>|\"]", left)


def test_every_line_has_as_many_cells_as_the_header() -> None:
    lines = [line for line in latex.table(TABLE).splitlines() if line.endswith(r" \\")]
    assert [len(re.findall(r"(?<!\\)&", line)) for line in lines] == [1, 1, 1]


def wide() -> Table:
    numbers = tuple(f"7.{n} / 8.{n}" for n in range(10, 40))
    header = ("Study", *(f"x{n}" for n in range(10, 40)))
    return replace(TABLE, header=header, rows=(("a", *numbers), ("b", *numbers)))


def test_columns_of_numbers_that_do_not_fit_are_divided_between_tables() -> None:
    text = latex.table(wide())
    parts = text.split(r"\begin{table}")[1:]
    assert len(parts) > 1
    n = len(parts)
    assert re.findall(r"\\caption{A \\& B \((\d+) of (\d+)\)\.}", text) == [
        (str(part), str(n)) for part in range(1, n + 1)
    ]
    assert re.findall(r"\\label{tab:(.*)}", text) == ["one", *(f"one-{k}" for k in range(2, n + 1))]
    assert re.findall(r"\[r\]{(x\d+)}", text) == list(wide().header[1:])
    for part in parts:
        rows = [line for line in part.splitlines() if line.endswith(r" \\")]
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in rows}) == 1
        assert [line.split(" & ")[0] for line in rows] == ["{Study}", "{a}", "{b}"]
    assert [r"\fdrnnnote{50" in part for part in parts] == [False] * (n - 1) + [True]


def test_quotation_marks_open_and_close() -> None:
    assert latex.escaped('"Pooled" over ("all") of "a b"') == "``Pooled'' over (``all'') of ``a b''"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_latex_takes_it(tmp_path: Path) -> None:
    typeset(latex.table(replace(TABLE, rows=(*TABLE.rows, TABLE.header))), tmp_path)
    assert "Overfull" not in typeset(latex.table(wide()), tmp_path)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_the_tables_of_a_report_fit_a_page(golden: Store, tmp_path: Path) -> None:
    findings = read_evidence(golden)
    studies = list(findings.studies.values())
    compared = Comparison("golden", {one.definition.variant: one for one in studies})
    tables = [
        *table1.tables(findings.rows),
        *table3.tables(studies),
        *map(table2.table2, studies),
        comparison.table(compared),
        claims.table(compared),
    ]
    assert "Overfull" not in typeset("".join(map(latex.table, tables)), tmp_path)


def typeset(body: str, tmp_path: Path) -> str:
    """Return LaTeX's log of a document of the article class."""
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\\usepackage{array,booktabs}"
        f"\\begin{{document}}{body}\\end{{document}}"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
