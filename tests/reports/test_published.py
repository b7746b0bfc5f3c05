"""The published results: what documents say of them is what the exported studies contain.

The studies' files are read by the standard library and NumPy alone, as their format is
described, and share no code with the reports.
"""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fdrnn.reports import costs, nll_tables
from fdrnn.reports.artefacts import Table
from fdrnn.reports.evidence import read
from fdrnn.reports.table1 import table1
from fdrnn.reports.write import write_tables
from fdrnn.search import PortableStudy, open_store

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "reports" / "published"
SUFFIX = ".fdrnn.zip"
FILES = {
    path.name.removesuffix(SUFFIX): path
    for folder in (PUBLISHED, PUBLISHED / "pilot")
    for path in sorted(folder.glob(f"*{SUFFIX}"))
}
DOCUMENTS = (ROOT / "README.md", PUBLISHED / "README.md", PUBLISHED / "DIFFERENCES.md")
DATA_SETS = {
    "Piano-midi.de": "piano",
    "Nottingham": "nottingham",
    "MuseData": "musedata",
    "JSB Chorales": "jsb",
}
COLUMNS = {"FD": "", "FD, wide": "-wide", "plain": "-plain"}


def jsonl(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    columns, *rows = map(json.loads, archive.read(f"{name}.jsonl").decode().splitlines())
    return [dict(zip(columns, row, strict=True)) for row in rows]


@cache
def published(study: str) -> dict[str, str]:
    """Return what a study's file says of its best-validation trial, as documents print it."""
    with zipfile.ZipFile(FILES[study]) as archive:
        trials, sequences = jsonl(archive, "trials"), jsonl(archive, "test_sequences")
    finished = [one for one in trials if one["state"] == "finished"]
    count = f"{len(finished)} of {len(trials)}"
    eligible = [one for one in finished if isinstance(one["valid_nll"], float)]
    if not eligible:
        return {"finished": count}
    best = min(eligible, key=lambda one: (one["valid_nll"], one["config_index"]))
    scores = [
        (one["nll_sum"], one["n_steps"])
        for one in sequences
        if one["config_index"] == best["config_index"] and one["n_steps"]
    ]
    pooled = math.fsum(nll for nll, _ in scores) / sum(steps for _, steps in scores)
    by_sequence = math.fsum(nll / steps for nll, steps in scores) / len(scores)
    both = f"{pooled:.2f} / {by_sequence:.2f}"
    return {
        "finished": count,
        "trial": str(best["config_index"]),
        "epoch": str(best["best_epoch"]),
        "valid., counted": f"{best['valid_nll_counted']:.3f}",
        "valid., masked": f"{best['valid_nll_masked']:.3f}",
        "test, pooled / by sequence": both,
        "in table 1": both if len(finished) == len(trials) else f"{both} ({count})",
    }


def tables(document: Path) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Yield the header and the rows of every Markdown table of a document."""
    for block in re.findall(r"(?:^\|.*\n)+", document.read_text(), re.MULTILINE):
        header, _, *rows = (
            [cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in block.splitlines()
        )
        yield header, rows


def test_the_readme_s_table_1_is_the_published_studies() -> None:
    header, rows = next(
        (header, rows) for header, rows in tables(DOCUMENTS[0]) if header[0] == "data set"
    )
    assert [row[0] for row in rows] == list(DATA_SETS)
    assert header[1:4] == list(COLUMNS)
    for row in rows:
        for cell, suffix in zip(row[1:4], COLUMNS.values(), strict=True):
            study = DATA_SETS[row[0]] + suffix
            known = published(study) if study in FILES else {}
            assert cell == known.get("in table 1", "-"), study


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_tables_of_studies_say_what_their_files_contain(document: Path) -> None:
    n_checked = 0
    for header, rows in tables(document):
        if "study" not in header:
            continue
        for row in rows:
            cells = dict(zip(header, row, strict=True))
            known = published(cells["study"].strip("`"))
            for column in known.keys() & cells.keys():
                assert cells[column] == known[column], (cells["study"], column)
                n_checked += 1
    assert n_checked or document == DOCUMENTS[0]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_links_of_the_documents_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if "://" not in link:
            assert (document.parent / link).exists(), link


def test_the_published_tables_are_made_of_the_published_studies(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    for path in sorted(PUBLISHED.glob(f"*{SUFFIX}")):
        PortableStudy.read(path).insert(store)
    rows = table1(store)
    evidence = [read(store, row.study) for row in rows]
    made: list[Table] = [*nll_tables.tables(rows), costs.table(evidence)]
    for path in write_tables(tmp_path / "report", made):
        committed = PUBLISHED / "report" / "tables" / path.name
        assert committed.read_bytes() == path.read_bytes(), path.name
    store.close()


def test_nothing_published_holds_parameters() -> None:
    for path in FILES.values():
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            assert not manifest["weights"]
            assert not manifest["checkpoints"]
