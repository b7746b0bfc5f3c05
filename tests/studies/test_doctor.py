"""``fdrnn doctor``: each check, working and broken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import Result

# Loaded before these tests move the cache directory.
import fdrnn.model.toolchain  # noqa: F401
from fdrnn.datasets import plugins
from fdrnn.datasets.benchmarks import BENCHMARKS
from fdrnn.search import open_store

Run = Callable[..., Result]


def checks(result: Result) -> dict[str, tuple[str, str]]:
    """The verdict and the text of each check."""
    lines = (line.split(maxsplit=1) for line in result.stdout.splitlines())
    parts = ((verdict, *rest.split(": ", 1)) for verdict, rest in lines)
    return {name: (verdict, text) for verdict, name, text in parts}


def test_what_works_is_ok(fdrnn: Run, tmp_path: Path) -> None:
    result = fdrnn("doctor")
    assert result.exit_code == 0, result.output
    found = checks(result)
    names = ["Python", "packages", "plug-ins", "compiler", "CPU", "cache", "store", "data"]
    assert list(found) == names
    assert all(verdict == "ok" for verdict, _ in found.values())
    assert "there is none at" in found["store"][1]
    assert not (tmp_path / "fdrnn.sqlite3").exists()
    open_store("fdrnn.sqlite3", create=True).close()
    assert "studies: 0" in checks(fdrnn("doctor"))["store"][1]


def test_another_python(fdrnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    result = fdrnn("doctor")
    assert result.exit_code == 1
    verdict, text = checks(result)["Python"]
    assert verdict == "wrong"
    assert "create the environment with python3.11" in text


def test_packages_of_other_versions(fdrnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def other(name: str) -> str:
        if name == "rich":
            raise metadata.PackageNotFoundError(name)
        return "1.26.4" if name == "numpy" else version(name)

    monkeypatch.setattr(metadata, "version", other)
    verdict, text = checks(fdrnn("doctor"))["packages"]
    assert verdict == "wrong"
    assert "numpy must be <1.24,>=1.23.5, got 1.26.4, rich is missing; install fdrnn again" in text


def test_a_broken_plug_in_is_named(
    fdrnn: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "brought-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.2\n")
    lines = ["[fdrnn.data]", "gone = no_such_module:DATA", "jsb = no_such_module:DATA"]
    (about / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    plugins._entry_points.cache_clear()
    try:
        verdict, text = checks(fdrnn("doctor"))["plug-ins"]
    finally:
        plugins._entry_points.cache_clear()
    assert verdict == "wrong"
    assert text.startswith("plug-in 'gone' of package brought 1.2 cannot be imported: ModuleNot")
    assert text.endswith("; repair or uninstall the package")
    assert "jsb" not in text


def test_no_compiler(fdrnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    verdict, text = checks(fdrnn("doctor"))["compiler"]
    assert verdict == "wrong"
    assert "'no-such-compiler' is not on the PATH; install one (Debian: apt-get" in text


def test_a_damaged_package_is_a_line(fdrnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fdrnn.search.machine", None)
    verdict, text = checks(fdrnn("doctor"))["CPU"]
    assert verdict == "wrong"
    assert "install fdrnn again" in text


def test_cache_store_and_data_with_their_fixes(
    fdrnn: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "old.sqlite3").write_text("no database, but long enough to look like a file")
    monkeypatch.setenv("FDRNN_CACHE_DIR", str(tmp_path / "file" / "cache"))
    found = checks(fdrnn("doctor", "--storage", "old.sqlite3", "--data-dir", tmp_path))
    assert found["cache"][0] == found["store"][0] == found["data"][0] == "wrong"
    assert "FDRNN_CACHE_DIR" in found["cache"][1]
    assert "check --storage or FDRNN_STORAGE" in found["store"][1]
    assert "lacks jsb, nottingham, musedata, piano; put the files there" in found["data"][1]


def test_a_data_folder_with_some_of_the_data_sets_is_ok(fdrnn: Run, tmp_path: Path) -> None:
    (tmp_path / BENCHMARKS["jsb"].mat.name).touch()
    verdict, text = checks(fdrnn("doctor", "--data-dir", tmp_path))["data"]
    assert verdict == "ok"
    assert "jsb (folder), nottingham (missing), musedata (missing), piano (missing)" in text
