"""The published results: documents and tables say what the exported studies contain."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import published
import pytest

from fdrnn.reports import costs, nll_tables
from fdrnn.reports.evidence import read
from fdrnn.reports.table1 import table1
from fdrnn.reports.write import write_tables
from fdrnn.search import PortableStudy, open_store

documents = pytest.mark.parametrize(
    "document", published.DOCUMENTS, ids=lambda path: str(path.relative_to(published.ROOT))
)


@documents
def test_the_documents_print_what_the_studies_files_contain(document: Path) -> None:
    text = document.read_text()
    assert re.search(r"^\|.*\b(study|data set)\b", text, re.MULTILINE)
    assert published.filled(text) == text


def test_the_readme_s_table_1_shows_the_selected_trials() -> None:
    row = re.search(r"^\| JSB Chorales \|.*$", published.README.read_text(), re.MULTILINE)
    assert row is not None
    for study in ("jsb", "jsb-wide", "jsb-plain"):
        assert published.facts(study)["test"] in row[0]


def test_fast_dropout_is_below_plain_wherever_both_are_finished_as_the_page_says() -> None:
    finished = {
        study: float(facts["test"].split(" / ")[0])
        for study in published.FILES
        if (facts := published.facts(study)).get("finished") == "32 of 32"
    }
    pairs = [(wide, wide.replace("-wide", "-plain")) for wide in finished if "-wide" in wide]
    compared = [(wide, plain) for wide, plain in pairs if plain in finished]
    assert compared
    for wide, plain in compared:
        assert finished[wide] < finished[plain], (wide, plain)


@documents
def test_links_of_the_documents_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if "://" not in link:
            assert (document.parent / link).exists(), link


def test_the_published_tables_are_made_of_the_published_studies(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    for path in sorted(published.PUBLISHED.glob(f"*{published.SUFFIX}")):
        PortableStudy.read(path).insert(store)
    rows = table1(store)
    evidence = [read(store, row.study) for row in rows]
    made = [*nll_tables.tables(rows), costs.table(evidence)]
    for path in write_tables(tmp_path / "report", made):
        committed = published.PUBLISHED / "report" / "tables" / path.name
        assert committed.read_bytes() == path.read_bytes(), path.name
    for row in rows:
        if row.selected_trial is None:
            continue
        shown = f"{row.test_nll_pooled:.2f} / {row.test_nll_sequence_mean:.2f}"
        assert shown == published.facts(row.study)["test"]
    store.close()


def test_nothing_published_holds_parameters() -> None:
    for path in published.FILES.values():
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        assert not manifest["weights"]
        assert not manifest["checkpoints"]
