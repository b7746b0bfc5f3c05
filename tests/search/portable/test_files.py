"""Files of studies that are damaged, foreign or no such files: refused in one line."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from filled_study import fill

from fdrnn.search import (
    PortableFileError,
    PortableStudy,
    Store,
    export_study,
    import_study,
    open_store,
)
from fdrnn.search.store import tables


@pytest.fixture(scope="module")
def content(
    initialized_file: Path, fake: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """What a file of `fill` holds."""
    folder = tmp_path_factory.mktemp("content")
    store = open_store(str(shutil.copy(initialized_file, folder)))
    fill(store, fake)
    export_study(store.study("noise"), folder / "noise.zip")
    return (folder / "noise.zip").read_bytes()


@pytest.fixture
def path(content: bytes, tmp_path: Path) -> Path:
    """A file of `fill`, to be spoiled."""
    (tmp_path / "noise.zip").write_bytes(content)
    return tmp_path / "noise.zip"


def rewritten(path: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Path:
    """Write the file again after a change to its members and manifest."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(changed, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for name, content in members.items():
            archive.writestr(name, content)
    return changed


def _newer_format(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["format_version"] = 2


def _newer_schema(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["schema_version"] = tables.SCHEMA_VERSION + 1


def _another_format(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["format"] = "holiday-photographs"


def _no_members(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del manifest["members"]


def _edited(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    members["epochs.jsonl"] += b"\n"


def _missing(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del members["trials.jsonl"]


def _missing_altogether(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del members["trials.jsonl"], manifest["members"]["trials.jsonl"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_newer_format, "has format version 2, this fdrnn reads versions up to 1; a newer fdrnn"),
        (_newer_schema, "has schema version .*; a newer fdrnn"),
        (_another_format, "is no exported study"),
        (_no_members, "manifest is incomplete"),
        (_edited, "epochs.jsonl has another SHA-256"),
        (_missing, "no item named 'trials.jsonl'"),
        (_missing_altogether, "'trials.jsonl' is missing"),
    ],
)
def test_a_file_that_is_not_as_it_should_be(
    path: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None], message: str
) -> None:
    changed = rewritten(path, change)
    with pytest.raises(PortableFileError, match=message) as caught:
        PortableStudy.read(changed)
    assert str(changed) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("member", "old", "new", "message"),
    [
        (
            "trials.jsonl",
            b'"seed"',
            b'"sead"',
            "trials.jsonl must have the columns config_index, s",
        ),
        ("trials.jsonl", b'"finished"', b'"asleep"', "line 2: state must be .*, got 'asleep'"),
        ("trials.jsonl", b"\n[6,", b"\n[5,", "trials must be 0 to 6, each once"),
        ("trials.jsonl", b'"momentum":0.', b'"momentum":7.', "momentum = 7"),
        ("epochs.jsonl", b"\n[0,1,", b'\n[0,"1",', "line 2: epoch must be an integer, got '1'"),
        ("epochs.jsonl", b"\n[0,1,", b"\n[0,null,", "line 2: epoch must not be null"),
        ("epochs.jsonl", b"\n[0,1,", b"\n[0,2,", "a row of epochs is listed twice"),
        ("epochs.jsonl", b"\n[0,1,", b"\n[9,1,", "a row of epochs belongs to no trial"),
        ("epochs.jsonl", b"\n[0,1,", b"\n[0,1,1,", "line 2: it must be a list of 9 values"),
        (
            "samples.jsonl",
            b"samples/0/",
            b"samples/1/",
            "member 'samples/1/Excerpt.npy' is missing",
        ),
        ("samples/0/sample.npy", b"NUMPY", b"LUMPY", "samples.jsonl, line 3: Cannot load"),
        ("study.json", b'"seed": 7', b'"seed": -7', "seed must be in 0"),
        ("study.json", b'"title"', b'"tale"', "unexpected keyword argument 'tale'"),
        ("study.json", b'"code_version"', b'"cod_version"', "the study must have the keys"),
    ],
)
def test_contents_that_are_no_study(
    path: Path, member: str, old: bytes, new: bytes, message: str
) -> None:
    def change(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
        assert old in members[member]
        members[member] = members[member].replace(old, new)
        manifest["members"][member] = hashlib.sha256(members[member]).hexdigest()

    with pytest.raises(PortableFileError, match=message):
        PortableStudy.read(rewritten(path, change))


def test_damage_at_any_place_is_noticed(other: Store, path: Path, content: bytes) -> None:
    import_study(other, path)
    for end in range(0, len(content), 499):
        path.write_bytes(content[:end])
        with pytest.raises(PortableFileError):
            PortableStudy.read(path)
    n_noticed = 0
    for position in range(0, len(content), 499):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]
        )
        try:
            portable = PortableStudy.read(path)
        except PortableFileError:
            n_noticed += 1
        else:
            # A byte of the archive's own that means nothing here, such as a time stamp.
            assert not portable.insert(other)
    assert n_noticed > len(content) / 499 / 2


def test_a_failing_import_leaves_the_store_as_it_was(other: Store, path: Path) -> None:
    with other.database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON fdrnn_checkpoints "
            "BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    with pytest.raises(sa.exc.IntegrityError, match="no room"):
        import_study(other, path)
    assert other.study_names() == []


def test_what_is_no_file(other: Store, tmp_path: Path) -> None:
    with pytest.raises(PortableFileError, match=r"cannot read .*none.zip: No such file"):
        import_study(other, tmp_path / "none.zip")
    (tmp_path / "notes.zip").write_text("no zip archive")
    with pytest.raises(PortableFileError, match=r"notes.zip is no exported study, or truncated"):
        import_study(other, tmp_path / "notes.zip")
