from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fdrnn.datasets import (
    BENCHMARKS,
    Benchmark,
    BenchmarkFile,
    DataError,
    FetchError,
    MissingFileError,
    PathError,
    UnknownNameError,
    describe,
    fetch,
    load,
    names,
)
from fdrnn.datasets.cache import data_directory
from oracles.data_files import write_mat, write_pickle


@pytest.fixture
def tiny(small, tmp_path, monkeypatch):
    """A folder with both forms of `small`, known as the benchmark "tiny" without a mirror."""
    folder = tmp_path / "folder"
    folder.mkdir()
    write_mat(folder / "Tiny.mat", small)
    write_pickle(folder / "Tiny.pickle", small)

    def file(name):
        return BenchmarkFile(name, hashlib.sha256((folder / name).read_bytes()).hexdigest(), ())

    tiny = Benchmark("tiny", "Tiny set", 0.25, file("Tiny.mat"), file("Tiny.pickle"))
    monkeypatch.setattr("fdrnn.datasets.sources.BENCHMARKS", {"tiny": tiny})
    return folder


def test_the_registry_holds_the_four_sets_of_the_paper():
    assert names() == ("bach", "bach-melody", "waves", "jsb", "nottingham", "musedata", "piano")
    for name, benchmark in BENCHMARKS.items():
        assert benchmark.name == name
        assert [file.name.rsplit(".", 1)[1] for file in benchmark.files] == ["mat", "pickle"]
        for file in benchmark.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            assert file.urls
            assert all(url.startswith("http") and " " not in url for url in file.urls)


def test_the_registered_checksums_are_those_of_the_real_files(real_data_dir):
    for benchmark in BENCHMARKS.values():
        data = (real_data_dir / benchmark.mat.name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == benchmark.mat.sha256


@pytest.mark.parametrize("form", ["Tiny.mat", "Tiny.pickle"])
def test_a_folder_with_either_form(small, tiny, form):
    for path in tiny.iterdir():
        if path.name != form:
            path.unlink()
    data = load("tiny", tiny)
    assert (data.name, data.title, data.lowest_midi_note) == ("tiny", "Tiny set", 21)
    assert data.step_quarters == 0.25
    assert data.fingerprint == small.fingerprint


def test_the_environment_names_a_folder_and_the_argument_takes_precedence(
    small, tiny, tmp_path, monkeypatch
):
    monkeypatch.setenv("FDRNN_DATA_DIR", str(tiny))
    assert load("tiny").fingerprint == small.fingerprint
    with pytest.raises(MissingFileError, match="elsewhere does not exist"):
        load("tiny", tmp_path / "elsewhere")
    with pytest.raises(MissingFileError, match=r"Tiny\.mat is a file; put a file there"):
        load("tiny", tiny / "Tiny.mat")


@pytest.mark.parametrize("form", ["Tiny.mat", "Tiny.pickle"])
def test_the_checksum_is_checked_before_a_byte_is_parsed(tiny, form, monkeypatch):
    def parse(*_, **__):
        raise AssertionError("parsed")

    monkeypatch.setattr("fdrnn.datasets.formats.parse_pickle", parse)
    monkeypatch.setattr("fdrnn.datasets.formats.read_mat", parse)
    for path in tiny.iterdir():
        if path.name != form:
            path.unlink()
    path = tiny / form
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(
        DataError, match=r"wrong checksum: SHA-256 [0-9a-f]{64}, expected"
    ) as caught:
        load("tiny", tiny)
    assert str(path) in str(caught.value)


def test_a_folder_that_lacks_the_file_is_not_replaced_by_a_download(tiny, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MissingFileError, match=r"holds neither 'Tiny\.mat' nor") as caught:
        load("tiny", empty)
    assert str(empty) in str(caught.value)
    assert not data_directory().exists()


def test_an_own_file_that_is_not_at_its_path_comes_from_the_folder(small, tiny, tmp_path):
    own = tmp_path / "elsewhere" / "Tiny.mat"
    with pytest.raises(MissingFileError, match=f"there is no data file {own}"):
        load(str(own))
    found = load(str(own), tiny)
    assert (found.fingerprint, found.name, found.title) == (small.fingerprint, str(own), own.name)
    own.parent.mkdir()
    own.write_bytes(b"not a data file")
    with pytest.raises(DataError):
        load(str(own), tiny)


@pytest.mark.parametrize("call", [lambda folder: load("tiny", folder), describe])
def test_a_folder_whose_files_may_not_be_looked_at_is_one_line(tiny, monkeypatch, call):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(PathError, match="cannot be accessed: Permission denied") as caught:
        call(tiny)
    assert "\n" not in str(caught.value)


def test_the_cache_is_used_when_no_folder_is_named(small, tiny):
    with pytest.raises(FetchError, match="Tiny set could not be fetched"):
        load("tiny")
    (data_directory() / "Tiny.mat").write_bytes((tiny / "Tiny.mat").read_bytes())
    assert load("tiny").fingerprint == small.fingerprint
    assert fetch("tiny") == data_directory() / "Tiny.mat"


@pytest.mark.parametrize("call", [load, fetch])
def test_an_unknown_name_is_answered_with_the_nearest(call):
    with pytest.raises(UnknownNameError, match="unknown data set 'jbs'; did you mean 'jsb'"):
        call("jbs")


def test_describe_says_where_each_set_would_come_from_now(tiny, tmp_path):
    def origin(folder=None):
        known = {entry.name: entry for entry in describe(folder)}
        assert list(known) == ["bach", "bach-melody", "waves", "tiny"]
        made = [(known[name].origin, known[name].path) for name in names()[:3]]
        assert made == [("package", None), ("package", None), ("generated", None)]
        assert "not the JSB Chorales benchmark" in known["bach"].note
        assert known["tiny"].title == "Tiny set"
        return known["tiny"].origin, known["tiny"].path

    assert origin() == ("download", None)
    assert origin(tiny) == ("folder", tiny / "Tiny.mat")
    assert origin(tmp_path) == ("missing", tmp_path)
    data_directory().mkdir(parents=True)
    (data_directory() / "Tiny.pickle").write_bytes(b"")
    assert origin() == ("cache", data_directory() / "Tiny.pickle")


def test_importing_the_package_loads_none_of_the_slow_libraries():
    code = (
        "import sys, fdrnn.datasets; "
        "print({'music21', 'matplotlib', 'scipy', 'pooch', 'pandas'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"
