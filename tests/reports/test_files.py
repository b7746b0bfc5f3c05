"""Sets of files."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fdrnn.reports.document.files import file_set
from fdrnn.reports.errors import OutputError

CONTENTS = "fdrnn-report-contents.txt"


def written(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_set_is_written_with_its_contents(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    with file_set(folder) as files:
        files.add("page.html", "a")
        with files.open("tables/one.csv") as file:
            file.write(b"b")
            file.write(b"c")
        assert written(folder).keys() != {"page.html", "tables/one.csv"}
    assert written(folder) == {
        "page.html": "a",
        "tables/one.csv": "bc",
        CONTENTS: "page.html\ntables/one.csv\n",
    }


def test_files_have_the_permissions_of_the_user_s_mask(tmp_path: Path) -> None:
    with file_set(tmp_path) as files:
        files.add("tables/one.csv", "")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "tables/one.csv").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "tables").stat().st_mode) == 0o777 & ~umask


def test_a_later_set_replaces_an_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with file_set(tmp_path) as files:
        files.add("page.html", "old")
        files.add("figures/stale.svg", "old")
    with file_set(tmp_path) as files:
        files.add("page.html", "new")
    assert written(tmp_path) == {
        "mine.txt": "mine",
        "page.html": "new",
        CONTENTS: "page.html\n",
    }
    assert not (tmp_path / "figures").exists()


def test_a_part_leaves_the_rest_of_an_earlier_set(tmp_path: Path) -> None:
    with file_set(tmp_path) as files:
        files.add("page.html", "old")
        files.add("tables/one.csv", "old")
    with file_set(tmp_path, whole=False) as files:
        files.add("tables/one.csv", "new")
    assert written(tmp_path) == {
        "page.html": "old",
        "tables/one.csv": "new",
        CONTENTS: "page.html\ntables/one.csv\n",
    }


def test_a_contents_file_cannot_name_what_lies_outside(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / CONTENTS).write_text("../precious.txt\n")
    with file_set(folder) as files:
        files.add("page.html", "")
    assert (tmp_path / "precious.txt").exists()


def test_files_of_the_user_with_any_usual_name_stay(tmp_path: Path) -> None:
    mine = {"contents.txt": "chapter1.md\n", "chapter1.md": "mine", "README.md": "mine"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    with file_set(tmp_path) as files:
        files.add("page.html", "new")
    assert mine.items() < written(tmp_path).items()


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"tables\n", b"\n", b"\0\n"])
def test_a_damaged_contents_file_harms_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "mine.csv").write_text("mine")
    (tmp_path / CONTENTS).write_bytes(content)
    with file_set(tmp_path) as files:
        files.add("page.html", "new")
    assert written(tmp_path) == {
        "tables/mine.csv": "mine",
        "page.html": "new",
        CONTENTS: "page.html\n",
    }


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_everything_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    def fail(folder: Path) -> None:
        with file_set(folder) as files:
            files.add("page.html", "new")
            raise error

    with file_set(tmp_path) as files:
        files.add("page.html", "old")
    before = written(tmp_path)
    with pytest.raises(error):
        fail(tmp_path)
    with pytest.raises(error):
        fail(tmp_path / "none" / "there")
    assert written(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONTENTS, "page.html"]


def test_a_rename_that_fails_puts_the_earlier_files_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_set(tmp_path) as files:
        files.add("a.html", "old")
        files.add("b.html", "old")
    before = written(tmp_path)
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target == tmp_path / "b.html" and self.parent.name != ".earlier":
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left"), file_set(tmp_path) as files:
        files.add("a.html", "new")
        files.add("new/c.html", "new")
        files.add("b.html", "new")
    assert written(tmp_path) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("during", ["replace", "rmtree"])
def test_an_interrupt_waits_until_all_files_are_in_place(
    during: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_set(tmp_path) as files:
        files.add("a.html", "old")
        files.add("b.html", "old")
    owner: Any = Path if during == "replace" else shutil
    original = getattr(owner, during)

    def interrupted(*arguments: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return original(*arguments, **options)

    monkeypatch.setattr(owner, during, interrupted)
    with pytest.raises(KeyboardInterrupt), file_set(tmp_path) as files:
        files.add("a.html", "new")
        files.add("b.html", "new")
    monkeypatch.undo()
    assert written(tmp_path) == {CONTENTS: "a.html\nb.html\n", "a.html": "new", "b.html": "new"}
    assert not list(tmp_path.glob(".writing-*"))


def test_files_are_written_by_other_threads_too(tmp_path: Path) -> None:
    def write() -> None:
        with file_set(tmp_path) as files:
            files.add("a.html", "new")

    with ThreadPoolExecutor() as pool:
        pool.submit(write).result()
    assert (tmp_path / "a.html").read_text() == "new"


def test_what_a_killed_process_left_is_removed_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".writing-{platform.node()}-{dead.pid}-x"
    living = tmp_path / f".writing-{platform.node()}-{os.getpid()}-x"
    for folder in (left, living):
        folder.mkdir()
        (folder / "page.html").write_text("part")
    with file_set(tmp_path) as files:
        files.add("page.html", "new")
    assert not left.exists()
    assert living.exists()


def test_a_file_in_the_folder_s_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(OutputError, match=r"cannot write the report into .*file.*--output"),
        file_set(tmp_path / "file"),
    ):
        pass
    assert written(tmp_path) == {"file": "in the way"}


def test_a_folder_that_cannot_be_written_is_one_line_and_unchanged(tmp_path: Path) -> None:
    # Not by permissions, which the superuser passes over: a folder stands where a file must.
    (tmp_path / "page.html" / "inner").mkdir(parents=True)
    with (
        pytest.raises(OutputError, match="cannot write the report into"),
        file_set(tmp_path) as files,
    ):
        files.add("page.html", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
