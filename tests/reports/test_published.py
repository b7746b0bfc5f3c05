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


def test_sentences_of_the_pages_say_what_the_files_contain() -> None:
    differences = _words(published.PUBLISHED / "DIFFERENCES.md")
    page = _words(published.PUBLISHED / "README.md")

    limits = {
        study: published.ended_at_limit(study)
        for study in published.FILES
        if published.facts(study)["finished"] == "32 of 32"
    }
    many = ("nottingham-wide", "nottingham-wide-std", "musedata-wide", "jsb-wide-2014")
    few = [n for study, n in limits.items() if study not in many]
    assert (
        f"{min(few)} to {max(few)} of the 32 in a study, but {limits[many[0]]} in `{many[0]}`, "
        f"{limits[many[1]]} in `{many[1]}`, {limits[many[2]]} in `{many[2]}` and "
        f"{limits[many[3]]} in `{many[3]}`"
    ) in differences

    best = published.ranked("nottingham-wide")[0]
    valid = {
        row["epoch"]: row["valid_nll_counted"]
        for row in published.rows("nottingham-wide", "epochs")
        if row["config_index"] == best["config_index"]
    }
    epoch = best["best_epoch"]
    assert (f"({valid[80]:.3f} after 80 epochs, {valid[epoch]:.3f} after {epoch})") in differences

    def highest_radius(study: str) -> float:
        return max(
            row["spectral_radius"]
            for row in published.rows(study, "epochs")
            if isinstance(row["spectral_radius"], float)
        )

    assert f"to {highest_radius('figure2-fd'):.0f} in one of the eight draws" in differences
    assert f"one comes to {highest_radius('figure2-plain'):.0f}" in differences
    radius = {
        row["epoch"]: row["spectral_radius"]
        for row in published.rows("table3-jsb-authors", "epochs")
    }
    top = max(radius, key=lambda epoch: radius[epoch])
    assert f"{radius[top]:.1f} at epoch {top}, {radius[max(radius)]:.1f} at {max(radius)}" in (
        differences
    )

    first = published.ranked("jsb-wide")[:4]
    assert {one["hyperparameters"]["dropout_hidden_to_hidden"] for one in first} == {0.9}
    assert "The four draws with the lowest validation NLL there have the highest rate" in page

    authors = published.ranked("jsb-wide-authors-cell")[0]
    same = ("hyperparameters", "valid_nll", "best_epoch")
    assert [authors[key] for key in same] == [
        published.ranked("jsb-authors-cell")[0][key] for key in same
    ]
    assert authors["hyperparameters"]["dropout_hidden_to_hidden"] == 0.1
    assert (
        "The best of 32 draws is the same trial in both spaces, with a rate of 0.1" in differences
    )

    lowest = {
        study: published.ranked(study)[0]["valid_nll"]
        for study in ("table3-jsb-authors", "jsb-wide", "jsb-wide-2014")
    }
    assert list(lowest) == sorted(lowest, key=lambda study: lowest[study])
    assert "So the best of all 64 draws, by validation NLL, is that of `jsb-wide`" in differences

    paper = {"musedata": 6.75, "nottingham": 3.09, "jsb": 8.01, "piano": 7.39}
    above = {
        data: round(float(published.facts(f"{data}-wide")["test"].split(" / ")[0]) - nll, 2)
        for data, nll in paper.items()
    }
    assert above["piano"] == -0.01
    assert (
        "a hundredth below the paper's number on Piano-midi.de and above it on MuseData (by "
        f"{above['musedata']}), Nottingham ({above['nottingham']}) and JSB Chorales "
        f"({above['jsb']})"
    ) in page


def _words(document: Path) -> str:
    """Return a document's text in one line."""
    return " ".join(document.read_text().split())
