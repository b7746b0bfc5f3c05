"""What the findings of a report say of several studies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.findings import Findings, read_evidence
from fdrnn.search import SPACES, StudyDefinition, create_study, open_store
from fdrnn.search.design.halving import Halving

HALVING = Halving((2, 4))
FEWER_EPOCHS = {"max_epochs": 3}


@pytest.fixture
def findings(fd: Evidence, tmp_path: Path) -> Findings:
    """A search without halving, with it, and studies that are others in one respect each."""
    search = replace(fd.definition, name="search")
    studies: dict[str, dict[str, Any]] = {
        "search": {},
        "pruned": {"halving": HALVING, "n_trials": 32, "repeats": 2},
        "few-pruned": {"halving": Halving((3,)), "n_trials": 16},
        "more": {"n_trials": 40},
        "seed": {"halving": HALVING, "seed": 1},
        "space": {"halving": HALVING, "space": SPACES["table2"]},
        "variant": {"halving": HALVING, "variant": "authors_cell"},
        "epochs": {"training": replace(search.training, **FEWER_EPOCHS)},
    }
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    for name, changed in studies.items():
        create_study(store, replace(search, name=name, **changed), fd.data)
    return read_evidence(store)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("search", "pruned"),
        ("more", "pruned"),
        ("pruned", "more"),
        ("few-pruned", "more"),
        ("seed", None),
        ("space", None),
        ("variant", None),
        ("epochs", None),
    ],
)
def test_the_other_plan_is_the_same_search_with_halving_or_without(
    findings: Findings, name: str, expected: str | None
) -> None:
    other = findings.other_plan(findings.studies[name])
    assert (None if other is None else other.name) == expected


def test_the_other_plan_is_found_without_checks_of_definitions(
    findings: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(_: StudyDefinition) -> None:
        raise AssertionError

    monkeypatch.setattr(StudyDefinition, "__post_init__", check)
    other = findings.other_plan(findings.studies["search"])
    assert other is not None
    assert other.name == "pruned"


def test_the_other_plan_has_the_same_data(findings: Findings) -> None:
    study = findings.studies["pruned"]
    others = {
        name: replace(
            one, study=replace(one.study, data=replace(one.study.data, fingerprint="0" * 64))
        )
        for name, one in findings.studies.items()
    }
    assert Findings(findings.rows, others).other_plan(study) is None


def test_data_files_of_one_name_are_told_apart_by_their_folders(
    fd: Evidence, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    for folder, fingerprint in (("fold-1", "1"), ("fold-2", "2"), ("copy", "2")):
        definition = replace(fd.definition, name=folder, data=f"/music/{folder}/notes.npz")
        data = replace(fd.data, title="notes.npz", fingerprint=fingerprint * 64)
        create_study(store, definition, data)
    titles = {row.study: row.title for row in read_evidence(store).rows}
    two = "fold-2/notes.npz"
    assert titles == {"fold-1": "fold-1/notes.npz", "fold-2": two, "copy": two}
    (alone,) = read_evidence(store, ["fold-1"]).rows
    assert alone.title == "notes.npz"


@pytest.mark.parametrize(
    ("paths", "titles"),
    [
        (
            ["/p/2024/data/mine.npz", "/q/2025/data/mine.npz"],
            ["2024/data/mine.npz", "2025/data/mine.npz"],
        ),
        (["/data/mine.npz", "/b/data/mine.npz"], ["data/mine.npz", "b/data/mine.npz"]),
        (["mine.npz", "a/mine.npz"], ["mine.npz", "a/mine.npz"]),
        (["/a/mine.npz", "/a/mine.npz"], ["mine.npz (00000000)", "mine.npz (11111111)"]),
        (
            ["/a/mine.npz", "/a/mine.npz", "/b/mine.npz"],
            ["a/mine.npz (00000000)", "a/mine.npz (11111111)", "b/mine.npz"],
        ),
        (["jsb", "jsb"], ["mine.npz (00000000)", "mine.npz (11111111)"]),
    ],
)
def test_different_data_have_different_titles(
    fd: Evidence, tmp_path: Path, paths: list[str], titles: list[str]
) -> None:
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    for number, path in enumerate(paths):
        data = replace(fd.data, title="mine.npz", fingerprint=f"{number}" * 64)
        create_study(store, replace(fd.definition, name=f"study-{number}", data=path), data)
    found = {row.study: row.title for row in read_evidence(store).rows}
    assert [found[f"study-{number}"] for number in range(len(paths))] == titles


def test_rows_of_the_same_data_are_neighbours(fd: Evidence, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    for name, path, fingerprint in (
        ("a", "mine.npz", "2"),
        ("b", "mine.npz", "1"),
        ("c", "other.npz", "2"),
        ("d", "copy.npz", "3"),
        ("e", "jsb", "3"),
    ):
        data = replace(fd.data, title=path, fingerprint=fingerprint * 64)
        create_study(store, replace(fd.definition, name=name, data=path), data)
    assert [row.study for row in read_evidence(store).rows] == ["d", "e", "b", "a", "c"]
