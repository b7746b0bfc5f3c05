"""A wheel holds whatever the packages need besides Python code."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("datasets", "model", "search", "reports", "studies")


def test_kernels_definitions_and_type_markers_are_in_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from setuptools import build_meta  # noqa: PLC0415 - it changes how distutils is imported

    # Building writes beside its sources.
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    wheel = build_meta.build_wheel(str(tmp_path))

    packed = set(zipfile.ZipFile(tmp_path / wheel).namelist())
    needed = {
        f"fdrnn/{path.relative_to(ROOT)}"
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.suffix in {".py", ".c", ".toml"} or path.name == "py.typed"
        if ROOT / "reports" / "published" not in path.parents
    }
    assert os.fspath(Path("fdrnn/model/native/recurrence.c")) in needed
    assert needed <= packed
    assert not any("published" in name for name in packed)
