"""``fdrnn report``: exports, watching, and errors in one line."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from fdrnn.search import PortableStudy, StoreUnavailableError, Study, StudyProgress, open_store
from fdrnn.studies.cli.report import report_results
from waiting import wait_until

Run = Callable[..., Result]
ErrorLine = Callable[..., str]
Start = Callable[..., subprocess.Popen[str]]

GOLDEN = Path(__file__).parents[1] / "reports" / "golden"
LIMIT_S = 120


def test_exports_are_reported_without_a_store(fdrnn: Run, tmp_path: Path) -> None:
    result = fdrnn("report", "golden-plain", "--from", GOLDEN, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "Table 1: test NLL beside the paper's" in result.stdout
    assert "report.html and " in result.stderr
    assert not (tmp_path / "fdrnn.sqlite3").exists()
    names = {path.name for path in (tmp_path / "out" / "tables").iterdir()}
    assert "golden-plain-table2.csv" in names
    assert "golden-fd-table2.csv" not in names


def test_an_export_is_reported_as_its_store(fdrnn: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    store = open_store(url, create=True)
    PortableStudy.read(GOLDEN / "golden-plain.fdrnn.zip").insert(store)
    store.close()
    of_store, of_export = tmp_path / "a", tmp_path / "b"
    assert fdrnn("report", "--storage", url, "--output", of_store).exit_code == 0
    file = GOLDEN / "golden-plain.fdrnn.zip"
    assert fdrnn("report", "--from", file, "--output", of_export).exit_code == 0
    for path in of_store.rglob("*"):
        # The page advises commands for a store, and none for an export.
        if path.is_file() and not path.name.startswith("report."):
            assert path.read_bytes() == (of_export / path.relative_to(of_store)).read_bytes()


def test_the_tables_of_a_run_leave_a_report_with_a_page(
    fdrnn: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, output = f"sqlite:///{tmp_path}/store.sqlite3", tmp_path / "out"
    with closing(open_store(url, create=True)) as store:
        for name in ("golden-fd", "golden-plain"):
            PortableStudy.read(GOLDEN / f"{name}.fdrnn.zip").insert(store)
        report_results(store, ["golden-fd"], output)
        assert f"Written: Table 1 in {output}/tables" in capsys.readouterr().err
        result = fdrnn("report", "--storage", url, "--output", output, "--no-figures")
        assert result.exit_code == 0, result.output
        report_results(store, ["golden-plain"], output)
    assert f"{output} has an earlier report, which stays; `fdrnn" in capsys.readouterr().err
    assert "golden-fd" in (output / "tables" / "table1.csv").read_text()


def test_exports_that_are_none(error_line: ErrorLine, tmp_path: Path) -> None:
    assert "holds no exported study" in error_line("report", "--from", tmp_path)
    file = GOLDEN / "golden-fd.fdrnn.zip"
    shutil.copy(file, tmp_path / "again.fdrnn.zip")
    line = error_line("report", "--from", tmp_path, "--from", file)
    assert "both hold a study 'golden-fd'" in line
    (tmp_path / "no.zip").write_text("no archive")
    assert "no.zip" in error_line("report", "--from", tmp_path / "no.zip")
    assert "--watch needs a store" in error_line("report", "--from", file, "--watch")
    line = error_line("report", "other", "--from", file)
    assert "unknown study 'other' (known: golden-fd); not among the studies of --from" in line
    assert "sqlite" not in line
    line = error_line("report", "--from", file, "--storage", "sqlite:///x.sqlite3")
    assert "omit --storage" in line


def test_pdfs_of_no_figures_are_refused(error_line: ErrorLine) -> None:
    line = error_line("report", "--from", GOLDEN, "--pdf", "--no-figures")
    assert "--pdf and --no-figures exclude each other; leave one out" in line


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_terminal_shows_the_columns_that_it_has_room_for(
    fdrnn: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    result = fdrnn("report", "--from", GOLDEN, "--output", tmp_path / "out", "--no-figures")
    assert result.exit_code == 0, result.output
    lines = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout).splitlines()
    assert max(map(len, lines)) <= width
    header = next(line for line in lines if line.split()[:2] == ["Data", "set"])
    assert ("Deep RNN*" in header) == (width == 140)
    assert "Study" in header
    assert "Ours" in header
    assert ("Paper: FD" in header) == (width >= 80)
    assert ("A wider terminal also shows:" in result.stdout) == (width < 140)


def test_a_terminal_breaks_sentences_before_it_leaves_out_columns(
    fdrnn: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    with closing(open_store(url, create=True)) as store:
        for file, name in (("plain", "both.plain"), ("fd", "both.fast_dropout")):
            PortableStudy.read(GOLDEN / f"golden-{file}.fdrnn.zip").insert(store, name)
    result = fdrnn("report", "both", "--storage", url, "--output", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.output
    lines = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout).splitlines()
    assert max(map(len, lines)) <= 80
    header = next(line for line in lines if line.split()[:1] == ["Claim"])
    assert header.split() == ["Claim", "Verdict", "p"]


@pytest.mark.parametrize("every", ["0", "-1", "nan"])
def test_a_time_between_looks_that_is_none(error_line: ErrorLine, every: str) -> None:
    assert "--every must be at least 0.01 s" in error_line("report", "--watch", "--every", every)


def test_watching_ends_with_the_study(start: Start, fdrnn: Run, study_file: Path) -> None:
    assert fdrnn("study", "create", study_file).exit_code == 0
    watcher = start("report", "--watch", "--every", "0.2", "--output", "out")
    page = Path("out") / "report.html"
    wait_until(page.is_file, watcher)
    assert "mine is not finished: 3 of 3 trials" in page.read_text()
    worker = start("worker", "mine", FAKE_EPOCH_S="0.05")
    _, log = worker.communicate(timeout=LIMIT_S)
    assert worker.returncode == 0, log
    out, log = watcher.communicate(timeout=LIMIT_S)
    assert watcher.returncode == 0, log
    assert "reading again in 0.2 s" in log
    assert "Traceback" not in log
    assert "| 3 of 3 |" in re.sub(" +", " ", out)
    assert "mine is not finished" not in page.read_text()


@pytest.mark.parametrize(
    "before",
    [
        {"repeats_planned": 1, "repeats_left": 1},
        {"pruned": 0, "paused": 1},
    ],
)
def test_the_last_report_of_a_watch_is_of_the_complete_study(
    fdrnn: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: dict[str, int]
) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    with closing(open_store(url, create=True)) as store:
        PortableStudy.read(GOLDEN / "golden-plain.fdrnn.zip").insert(store)
        complete = replace(store.study("golden-plain").progress(), finished=7, pruned=1)
    states = iter([replace(complete, **before), complete])
    monkeypatch.setattr(Study, "progress", lambda _: next(states, complete))
    command = ("report", "--watch", "--every", "0.01", "--storage", url, "--no-figures")
    result = fdrnn(*command, "--output", "out")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Written: ") == 2
    assert result.stdout.count("# Results") == 2


def test_watching_survives_a_store_that_is_away(
    fdrnn: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    store = open_store(url, create=True)
    PortableStudy.read(GOLDEN / "golden-plain.fdrnn.zip").insert(store)
    store.close()
    errors = iter([StoreUnavailableError("unavailable"), StoreUnavailableError("still so")])
    progress = Study.progress

    def sometimes(study: Study) -> StudyProgress:
        for error in errors:
            raise error
        return progress(study)

    monkeypatch.setattr(Study, "progress", sometimes)
    result = fdrnn("report", "--watch", "--every", "0.01", "--storage", url, "--output", "out")
    assert result.exit_code == 0
    assert "unavailable; reading again in 0.01 s" in result.stderr
    assert "still so" in result.stderr
    assert Path("out", "report.html").is_file()


def test_ctrl_c_ends_watching(start: Start, fdrnn: Run, study_file: Path) -> None:
    assert fdrnn("study", "create", study_file).exit_code == 0
    watcher = start("report", "--watch", "--output", "out")
    page = Path("out") / "report.html"
    wait_until(page.is_file, watcher)
    os.killpg(watcher.pid, signal.SIGINT)
    _, log = watcher.communicate(timeout=LIMIT_S)
    assert watcher.returncode == 130
    assert "Traceback" not in log
    assert page.read_text().endswith("</html>")
    assert not list(Path("out").glob(".fdrnn-*"))
