"""``fdrnn study export`` and ``import``, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from fdrnn.search import open_store, trials

Run = Callable[..., Result]
ErrorLine = Callable[..., str]


def test_export_and_import(fdrnn: Run, study_file: Path, noise: Path, tmp_path: Path) -> None:
    fdrnn("study", "create", study_file)
    told = fdrnn("study", "export", "mine")
    assert told.exit_code == 0
    assert told.stdout.startswith("mine.fdrnn.zip, ")
    assert told.stdout.endswith(" kB: study mine, 3 trials, 3 waiting, without weights\n")
    url = f"sqlite:///{tmp_path}/elsewhere.sqlite3"
    for expected in ("elsewhere.sqlite3: study mine, 3 trials", "was there already, and the same"):
        told = fdrnn("study", "import", "mine.fdrnn.zip", "--storage", url)
        assert told.exit_code == 0
        assert expected in told.stdout
    told = fdrnn("study", "import", "mine.fdrnn.zip", "--storage", url, "--name", "yours")
    assert "study yours, 3 trials" in told.stdout
    assert open_store(url).study_names() == ["mine", "yours"]
    # A report needs no data, which stand at a path of the machine where the study was made.
    noise.unlink()
    assert fdrnn("report", "yours", "--storage", url).exit_code == 0
    here = open_store("fdrnn.sqlite3")
    assert trials(open_store(url), "yours").equals(trials(here, "mine"))


def test_whole_stores_go_through_a_folder(
    fdrnn: Run, error_line: ErrorLine, study_file: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere.sqlite3"
    fdrnn("study", "create", study_file)
    fdrnn("study", "create", study_file, "--name", "yours", "--trials", "2")
    told = fdrnn("study", "export", "--output", tmp_path / "new" / "exports")
    assert told.exit_code == 0
    assert [line.split(",")[0] for line in told.stdout.splitlines()] == [
        str(tmp_path / "new" / "exports" / f"{name}.fdrnn.zip") for name in ("mine", "yours")
    ]
    told = fdrnn("study", "import", tmp_path / "new" / "exports", "--storage", url)
    assert told.exit_code == 0
    assert open_store(url).study_names() == ["mine", "yours"]
    empty = f"sqlite:///{tmp_path}/empty.sqlite3"
    open_store(empty, create=True).close()
    line = error_line("study", "export", "--storage", empty)
    assert f"store {tmp_path}/empty.sqlite3 holds no study to export" in line
    line = error_line("study", "import", tmp_path / "new", "--storage", url)
    assert f"folder {tmp_path}/new holds no exported study" in line


def test_a_study_of_that_name_is_refused_with_the_way_out(
    fdrnn: Run, error_line: ErrorLine, study_file: Path
) -> None:
    fdrnn("study", "create", study_file)
    fdrnn("study", "export", "mine")
    fdrnn("study", "create", study_file, "--trials", "4")
    line = error_line("study", "import", "mine.fdrnn.zip")
    assert "holds a study 'mine' that is not as the file has it" in line
    assert "--name" in line


def test_bad_files_and_places(
    fdrnn: Run, error_line: ErrorLine, study_file: Path, tmp_path: Path
) -> None:
    fdrnn("study", "create", study_file)
    assert "did you mean 'mine'?" in error_line("study", "export", "mien")
    assert "cannot write" in error_line("study", "export", "--output", tmp_path / "fdrnn.sqlite3")
    (tmp_path / "mine.fdrnn.zip").write_text("mine")
    assert "is no exported study" in error_line("study", "export", "mine")
    (tmp_path / "mine.fdrnn.zip").unlink()
    fdrnn("study", "export", "mine")
    (tmp_path / "mine.fdrnn.zip").rename(tmp_path / "good.zip")
    (tmp_path / "bad.zip").write_bytes((tmp_path / "good.zip").read_bytes()[:-100])
    url = f"sqlite:///{tmp_path}/elsewhere.sqlite3"
    line = error_line("study", "import", "good.zip", "bad.zip", "--storage", url)
    assert "bad.zip is no exported study, or truncated" in line
    assert "No such file" in error_line("study", "import", "none.zip", "--storage", url)
    line = error_line("study", "import", "good.zip", "good.zip", "--name", "x", "--storage", url)
    assert "--name names one study, got 2 files" in line
    # Nothing was imported, and no store made.
    assert not (tmp_path / "elsewhere.sqlite3").exists()
