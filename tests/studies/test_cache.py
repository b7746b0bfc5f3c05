from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with files of each part, and one that is somebody else's."""
    folder = tmp_path / "own"
    monkeypatch.setenv("FDRNN_CACHE_DIR", str(folder))
    for name, size in (("data/jsb.mat", 1000), ("compile/a/b.so", 2000), ("compile/c", 500)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(size))
    (folder / "letters.txt").write_text("not ours")
    return folder


def test_its_parts_are_shown_and_deleted(fdrnn: Run, cache: Path) -> None:
    lines = [line.split() for line in fdrnn("cache", "show").stdout.splitlines()]
    assert [line[-3:] for line in lines if line and line[0] == "compile"] == [["2", "2.5", "kB"]]
    assert [line[-3:] for line in lines if line and line[0] == "data"] == [["1", "1.0", "kB"]]
    done = fdrnn("cache", "clear", "compile")
    assert done.exit_code == 0
    assert "deleted 2 files, 2.5 kB" in done.stdout
    assert not (cache / "compile").exists()
    assert (cache / "data" / "jsb.mat").exists()
    assert fdrnn("cache", "clear").exit_code == 0
    assert not (cache / "data").exists()
    assert (cache / "letters.txt").exists()
    assert fdrnn("cache", "show").exit_code == 0


def test_a_folder_that_another_process_deletes_meanwhile_is_left_out(
    fdrnn: Run, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def scan(folder: str | Path | int = ".") -> object:
        if Path(str(folder)) == cache / "compile" / "a":
            monkeypatch.setattr(os, "scandir", scandir)
            shutil.rmtree(str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", scan)
    shown = fdrnn("cache", "show")
    assert shown.exit_code == 0, shown.output
    (line,) = (line for line in shown.stdout.splitlines() if "compiled operations" in line)
    assert line.split()[-3:] == ["1", "0.5", "kB"]
    assert not (cache / "compile" / "a").exists()


def test_an_unknown_part(error_line: Callable[..., str], cache: Path) -> None:
    line = error_line("cache", "clear", "data", "compiled")
    assert "unknown part of the cache 'compiled'; did you mean 'compile'?" in line
    assert (cache / "data").exists()
