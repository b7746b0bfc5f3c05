"""A wheel holds whatever the packages need besides Python code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("datasets", "model", "search", "reports", "studies")


def test_kernels_definitions_templates_and_type_markers_are_in_the_wheel(tmp_path: Path) -> None:
    # Building writes beside its sources.
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    code = "from setuptools import build_meta; build_meta.build_wheel('.')"
    built = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "absent from" not in built.stderr

    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        f"fdrnn/{path.relative_to(ROOT)}"
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.suffix in {".py", ".c", ".toml", ".html", ".css"} or path.name == "py.typed"
        if ROOT / "reports" / "published" not in path.parents
    }
    assert os.fspath(Path("fdrnn/model/native/recurrence.c")) in needed
    assert needed <= packed
    assert not any("published" in name for name in packed)
