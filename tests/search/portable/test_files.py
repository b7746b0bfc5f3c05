"""Files of studies that are damaged, foreign or no such files: refused in one line."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from filled_study import fill

from fdrnn.search import (
    PortableFileError,
    PortableStudy,
    Store,
    create_study,
    open_store,
)
from fdrnn.search.portable import FORMAT_VERSION, archive
from fdrnn.search.store import tables
from fdrnn.search.work.claiming import claim, this_worker


@pytest.fixture(scope="module")
def content(
    initialized_file: Path, fake: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """What a file of `fill` holds."""
    folder = tmp_path_factory.mktemp("content")
    store = open_store(str(shutil.copy(initialized_file, folder)))
    fill(store, fake)
    PortableStudy.from_study(store.study("noise")).write(folder / "noise.zip")
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
    manifest["format_version"] = FORMAT_VERSION + 1


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
        (_newer_format, "has format version 3, this fdrnn reads versions up to 2; a newer fdrnn"),
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
        ("trials.jsonl", b'"momentum":0.', b'"momentum":7.', "'momentum' = 7"),
        ("trials.jsonl", b'"momentum":0.', b'"lost":0.', "trial .*: momentum is missing"),
        (
            "trials.jsonl",
            b'{"n_hidden"',
            b'[["n_hidden",200]],{"n_hidden"',
            "line 2: it must be a list of",
        ),
        ("samples.jsonl", b'{"seed"', b'["seed"],{"seed"', "it must be a list of"),
        (
            "epochs.jsonl",
            b"\n[0,1,",
            b"\n[0,-1,",
            "epoch must be in 1 .. 2147483647, got -1",
        ),
        ("epochs.jsonl", b"\n[0,1,", b"\n[0,1" + b"0" * 5000 + b",", "holds no study .*digit"),
        (
            "epochs.jsonl",
            b"\n[0,1,",
            b"\n[0,1" + b"0" * 25 + b",",
            "epoch must be in 1 .. 2147483647",
        ),
        ("checkpoints.jsonl", b",", b",null,", "checkpoints.jsonl"),
        ("study.json", b'"title": "Noise"', b'"title": 5', "data.title must be str, got 5"),
        ("study.json", b'"created_at": ', b'"created_at": 1e30, "old": ', "must have the keys"),
        ("study.json", b'"training"', b'"training": {}, "trained"', "unknown key trained"),
        ("study.json", b"{", b"[" * 100_000 + b"{", "holds no study"),
        ("epochs.jsonl", b"\n[0,1,", b"\n" + b"[" * 100_000 + b"0,1,", "holds no study"),
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
        (
            "samples/0/sample.npy",
            b"NUMPY",
            b"LUMPY",
            "line 3: member .* is damaged: Cannot load",
        ),
        ("study.json", b'"seed": 7', b'"seed": -7', "seed must be in 0"),
        ("study.json", b'"title"', b'"tale"', "unexpected keyword argument 'tale'"),
        (
            "study.json",
            b'"variant": "fast_dropout"',
            b'"variant": "gone", "plugins": {"variant": "lost 3.0"}',
            "package lost 3.0, which is not installed here; install it$",
        ),
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


def changed_rows(
    members: dict[str, bytes],
    manifest: dict[str, Any],
    table: str,
    change: Callable[[list[dict[str, Any]]], object],
) -> None:
    """Change the rows of a table's member in place."""
    header, *lines = map(json.loads, members[f"{table}.jsonl"].splitlines())
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    change(rows)
    lines = [header, *([row[name] for name in header] for row in rows)]
    replaced(members, manifest, f"{table}.jsonl", "".join(json.dumps(x) + "\n" for x in lines))


def replaced(
    members: dict[str, bytes], manifest: dict[str, Any], member: str, content: str | bytes
) -> None:
    members[member] = content.encode() if isinstance(content, str) else content
    manifest["members"][member] = hashlib.sha256(members[member]).hexdigest()


def _epochs(rows: list[dict[str, Any]]) -> None:
    rows[:] = [row for row in rows if row["config_index"] != 0]


def _a_later_epoch(rows: list[dict[str, Any]]) -> None:
    rows.append(rows[2] | {"epoch": 99})


def _best_epoch(rows: list[dict[str, Any]]) -> None:
    rows[0]["best_epoch"] = None


def _nll(rows: list[dict[str, Any]]) -> None:
    rows[0]["valid_nll"] = None


def _test_nll(rows: list[dict[str, Any]]) -> None:
    rows.clear()


def _measurement(rows: list[dict[str, Any]]) -> None:
    rows[0]["name"] = "train_nll"


def _error(rows: list[dict[str, Any]]) -> None:
    rows[2]["error"] = "x\ud800"


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("epochs", _epochs, "trial 0: its epochs must be 1 to 3, each once, got 0"),
        ("epochs", _a_later_epoch, "trial 0: its epochs must be 1 to 99, each once, got 4"),
        ("trials", _best_epoch, "trial 0: best_epoch must be .*, got best_epoch None, valid_nll 1"),
        ("trials", _nll, "trial 0: best_epoch must be .*, got best_epoch 2, valid_nll None"),
        ("test_sequences", _test_nll, "trial 0: it has finished, and has no test NLL"),
        ("measurements", _measurement, "a measurement must not be called 'train_nll'"),
        ("trials", _error, r"line 4: error must be encodable as UTF-8, got 'x\\ud800'"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(
    path: Path, table: str, change: Callable[[list[dict[str, Any]]], object], message: str
) -> None:
    with pytest.raises(PortableFileError, match=message):
        PortableStudy.read(rewritten(path, lambda *about: changed_rows(*about, table, change)))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("lowest_midi_note", "C4", "data.lowest_midi_note must be int of .*, got 'C4'"),
        ("lowest_midi_note", 10**30, "data.lowest_midi_note must be int of .*, got 10"),
        ("title", "x\ud800", "data must be encodable as UTF-8"),
        ("note", "x\udfff", "data must be encodable as UTF-8"),
    ],
)
def test_a_description_that_no_report_can_print_is_refused(
    path: Path, column: str, value: object, message: str
) -> None:
    def change(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
        study = json.loads(members["study.json"])
        study["data"][column] = value
        replaced(members, manifest, "study.json", json.dumps(study))

    with pytest.raises(PortableFileError, match=message) as caught:
        PortableStudy.read(rewritten(path, change))
    assert str(caught.value).isprintable()


_ORIGIN = {
    "sequence": 0,
    "sequence_length": 2,
    "n_given": 1,
    "seed": 3,
    "step_quarters": 1.0,
    "code_version": "1",
}
_ARRAYS = {
    "excerpt": np.zeros((2, 3), np.uint8),
    "predictions": np.zeros((1, 3)),
    "sample": np.zeros((4, 3), np.uint8),
}


def sampled(path: Path, arrays: dict[str, Any], origin: object) -> Path:
    """Write the file again with samples of trial 0."""

    def change(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
        rows = []
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            replaced(members, manifest, f"samples/0/{name}.npy", buffer.getvalue())
            rows.append([0, name, f"samples/0/{name}.npy", origin])
        lines = [["config_index", "name", "data", "about"], *rows]
        replaced(members, manifest, "samples.jsonl", "\n".join(map(json.dumps, lines)))

    return rewritten(path, change)


def test_samples_are_read(other: Store, path: Path) -> None:
    PortableStudy.read(sampled(path, _ARRAYS, _ORIGIN)).insert(other)
    samples = other.study("noise").samples(0)
    assert samples is not None
    assert samples.sample.shape == (4, 3)


@pytest.mark.parametrize(
    ("arrays", "origin", "message"),
    [
        (dict.fromkeys(_ARRAYS, np.zeros(3)), {}, r"must be of shapes .*, got \(3,\), \(3,\), \(3"),
        ({"predictions": np.zeros((2, 3))}, {}, r"must be of shapes .*, \(2, 3\)"),
        ({"deviations": np.zeros((2, 3))}, {}, r"must be of shapes .*, \(1, 3\), \(2, 3\)"),
        ({"sample": np.zeros((4, 2))}, {}, "must be of shapes"),
        ({"sample": np.zeros((0, 3))}, {}, "must be of shapes"),
        ({name: array[:, :2] for name, array in _ARRAYS.items()}, {}, "the 3 columns of the data"),
        ({}, {"n_given": "two"}, "n_given of samples must be int, got 'two'"),
        ({}, {"step_quarters": "x"}, "step_quarters must be positive and finite, got 'x'"),
        ({}, {"step_quarters": 0}, "step_quarters must be positive and finite, got 0"),
        ({}, {"code_version": 1}, "code_version of samples must be str, got 1"),
        ({}, {"color": "red"}, "unexpected keyword argument 'color'"),
    ],
)
def test_samples_that_no_figure_can_draw_are_refused(
    path: Path, arrays: dict[str, Any], origin: dict[str, object], message: str
) -> None:
    changed = sampled(path, _ARRAYS | arrays, _ORIGIN | origin)
    with pytest.raises(PortableFileError, match=f"trial 0: .*{message}"):
        PortableStudy.read(changed)


def test_damage_at_any_place_is_noticed(other: Store, path: Path, content: bytes) -> None:
    PortableStudy.read(path).insert(other)
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
        PortableStudy.read(path).insert(other)
    assert other.study_names() == []


def test_what_is_no_file(other: Store, tmp_path: Path) -> None:
    with pytest.raises(PortableFileError, match=r"there is no exported study .*none.zip"):
        PortableStudy.read(tmp_path / "none.zip").insert(other)
    (tmp_path / "notes.zip").write_text("no zip archive")
    with pytest.raises(PortableFileError, match=r"notes.zip is no exported study, or truncated"):
        PortableStudy.read(tmp_path / "notes.zip").insert(other)


def test_values_that_break_a_rule_are_refused_before_the_first_write(
    other: Store, path: Path
) -> None:
    rows: list[tuple[str, object, str]] = [
        ("hyperparameters", [["n_hidden", 200]], "line 2: hyperparameters must be an object"),
        ("hyperparameters", {}, "trial 0: n_hidden is missing"),
        ("attempt", -5, "attempt must be in 0 .. 2147483647, got -5"),
        (
            "best_epoch",
            10**6,
            r"trial 0: coalesce\(best_epoch, 0\) <= coalesce\(n_epochs, 0\) must",
        ),
        ("best_epoch", 10**25, "best_epoch must be in 0 .. 2147483647"),
        ("started_at", "yesterday", "started_at must be a number, got 'yesterday'"),
        ("started_at", 1e300, "started_at must be in 0"),
        ("n_epochs", None, "must hold, got best_epoch '2', n_epochs None"),
        ("error", "a\0b", "error must be a text of at most 3 characters without NUL"),
        ("diverged", 1, "diverged must be true or false, got 1"),
    ]
    for column, value, message in rows:

        def change(
            members: dict[str, bytes],
            manifest: dict[str, Any],
            column: str = column,
            value: object = value,
        ) -> None:
            header, first, *rest = map(json.loads, members["trials.jsonl"].splitlines())
            first[header.index(column)] = value
            lines = "".join(json.dumps(line) + "\n" for line in (header, first, *rest))
            members["trials.jsonl"] = lines.encode()
            digest = hashlib.sha256(members["trials.jsonl"]).hexdigest()
            manifest["members"]["trials.jsonl"] = digest

        with pytest.raises(PortableFileError, match=message):
            PortableStudy.read(rewritten(path, change)).insert(other)
        assert other.study_names() == []


@pytest.mark.parametrize("name", ["", "../../x", "a\0b", 5, None])
def test_a_name_in_a_file_keeps_to_the_rule_of_names(path: Path, name: object) -> None:
    def change(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["study"] = name

    with pytest.raises(PortableFileError, match="name must be"):
        PortableStudy.read(rewritten(path, change))


@pytest.mark.parametrize(
    "array",
    [np.zeros(2, [("x", "<f8")]), np.array(["text"]), np.array([1j])],
    ids=["structured", "text", "complex"],
)
def test_arrays_of_other_than_numbers_are_refused(path: Path, array: Any) -> None:
    def change(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
        buffer = io.BytesIO()
        np.save(buffer, array)
        members["samples/0/sample.npy"] = buffer.getvalue()
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        manifest["members"]["samples/0/sample.npy"] = digest

    with pytest.raises(PortableFileError, match=r"must be a \.npy file of numbers"):
        PortableStudy.read(rewritten(path, change))


def test_a_member_that_two_rows_name_is_refused_at_the_second(path: Path) -> None:
    def change(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(2**20, np.uint8))
        replaced(members, manifest, "samples/0/sample.npy", buffer.getvalue())
        rows = [[0, f"array {number}", "samples/0/sample.npy", None] for number in range(100)]
        lines = [["config_index", "name", "data", "about"], *rows]
        replaced(members, manifest, "samples.jsonl", "\n".join(map(json.dumps, lines)))

    changed = rewritten(path, change)
    tracemalloc.start()
    with pytest.raises(
        PortableFileError, match=r"line 3: member 'samples/0/sample.npy' is missing"
    ):
        PortableStudy.read(changed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 2**20


def test_an_array_with_a_nested_header_is_refused(path: Path) -> None:
    def change(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
        header = b"[" * 9000
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        members["samples/0/sample.npy"] = content
        manifest["members"]["samples/0/sample.npy"] = hashlib.sha256(content).hexdigest()

    with pytest.raises(PortableFileError, match="holds no study"):
        PortableStudy.read(rewritten(path, change))


def test_a_named_pipe_and_a_bomb_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(PortableFileError, match="is a named pipe"):
        PortableStudy.read(tmp_path / "pipe.zip")
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("zeros", "w") as member,
    ):
        for _ in range(1025):
            member.write(bytes(2**20))
    with pytest.raises(PortableFileError, match="too large: its members may have 1 GiB"):
        PortableStudy.read(tmp_path / "bomb.zip")


_BOMB_BYTES = 64 * 2**20


def understated(content: bytes, compression: int) -> bytes:
    """Return an archive whose manifest announces ten bytes, whatever it has."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("manifest.json", content)
    size, announced = (struct.pack("<I", n) for n in (len(content), 10))
    # In the header of the member and in its entry of the directory.
    assert buffer.getvalue().count(size) == 2
    return buffer.getvalue().replace(size, announced)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_of_more_bytes_than_it_announces_takes_no_memory(
    path: Path, tmp_path: Path, compression: int
) -> None:
    bomb = tmp_path / "bomb.zip"
    bomb.write_bytes(understated(bytes(_BOMB_BYTES), compression))
    study = PortableStudy.read(path)
    tracemalloc.start()
    with pytest.raises(PortableFileError, match=r"bomb.zip is .*damaged") as caught:
        PortableStudy.read(bomb)
    with pytest.raises(PortableFileError, match=r"bomb.zip exists and is no exported study"):
        study.write(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(caught.value).isprintable()
    assert peak < _BOMB_BYTES / 4


def test_what_is_too_large_to_be_read_is_not_replaced(path: Path, tmp_path: Path) -> None:
    study = PortableStudy.read(path)
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("manifest.json", "w") as member,
    ):
        for _ in range(1025):
            member.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(PortableFileError, match=r"bomb.zip exists and is no exported study"):
        study.write(tmp_path / "bomb.zip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < _BOMB_BYTES / 4


def test_a_study_of_deflated_members_is_read(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert PortableStudy.read(path).name == "noise"


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_of_any_compression_is_refused_and_not_replaced(
    path: Path, tmp_path: Path, compression: int
) -> None:
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(damaged, "w", compression) as made:
        made.writestr("manifest.json", json.dumps({"format": "fdrnn-study", "x": ["y"] * 999}))
    content = bytearray(damaged.read_bytes())
    # The compressed data follow the member's header and name.
    begin = content.index(b"manifest.json") + len(b"manifest.json")
    begin += 9 if compression == zipfile.ZIP_LZMA else 0
    content[begin : begin + 20] = b"\xff" * 20
    damaged.write_bytes(content)
    with pytest.raises(PortableFileError, match=r"damaged.zip is damaged"):
        PortableStudy.read(damaged)
    with pytest.raises(PortableFileError, match=r"damaged.zip exists and is no exported study"):
        PortableStudy.read(path).write(damaged)
    assert damaged.read_bytes() == content


def test_an_export_that_no_store_could_import_is_refused(
    store: Store, fake: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = create_study(store, fake.definition(n_trials=1), fake.DATA)
    lease = claim(store.database, study.study_id, this_worker(), 60.0)
    assert lease
    lease.write([fake.record(1, 1)], bytes(200_000))
    lease.release()
    monkeypatch.setattr(archive, "SIZE_LIMIT", 100_000)
    with pytest.raises(PortableFileError, match=r"at most .* leave out checkpoints"):
        PortableStudy.from_study(study).write(tmp_path / "noise.fdrnn.zip")
    assert not (tmp_path / "noise.fdrnn.zip").exists()
