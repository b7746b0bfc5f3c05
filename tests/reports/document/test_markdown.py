"""Tables and sections as Markdown."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure as Drawing

from fdrnn.reports.artefacts import Attachment, Figure, Section, Table
from fdrnn.reports.document import markdown

TABLE = Table(
    name="one",
    title="One",
    data=pd.DataFrame({"a": [1]}),
    header=("Study", "NLL"),
    rows=(("a|b", "8.01"), ("a longer one", "10.5")),
    n_text=1,
    notes=("First.", "Second."),
)


def test_a_table_has_its_heading_aligned_columns_and_notes() -> None:
    lines = markdown.table(TABLE, level=3).splitlines()
    assert lines[0] == "### One"
    assert lines[2:6] == [
        "| Study        |  NLL |",
        "| ------------ | ---: |",
        "| a\\|b         | 8.01 |",
        "| a longer one | 10.5 |",
    ]
    assert lines[7:] == ["- First.", "- Second."]


def test_the_best_number_is_bold() -> None:
    text = markdown.table(replace(TABLE, best=frozenset({(0, 1)})))
    assert "| **8.01** |" in text
    assert "|     10.5 |" in text


def test_titles_have_no_html_and_no_link() -> None:
    title = "<b>[x](javascript:y)|"
    figure = Figure(name="f", title=title, caption="", alt="", draw=Drawing)
    attachment = Attachment(name="a.mid", title=title, content=b"")
    text = markdown.section(Section(anchor="s", title="Part", artefacts=(figure, attachment)))
    assert "### \\<b>[x]\\(javascript:y)|\n" in text
    assert text.endswith("- [\\<b>\\[x\\]\\(javascript:y)|](files/a.mid)\n")


def test_a_section_shows_its_artefacts_in_order() -> None:
    figure = Figure(name="f", title="A figure", caption="Says it.", alt="[it]", draw=Drawing)
    attachment = Attachment(name="a.mid", title="Music", content=b"")
    section = Section(
        anchor="s", title="Part", text=("A paragraph.",), artefacts=(TABLE, figure, attachment)
    )
    text = markdown.section(section)
    assert text.startswith("## Part\n\nA paragraph.\n")
    assert "![\\[it\\]](figures/f.svg)\n\nSays it.\n" in text
    assert text.endswith("- [Music](files/a.mid)\n")
    assert text.index("### One") < text.index("### A figure")
