"""The note of a study in optuna-dashboard: who writes it, and how a browser shows it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna_dashboard import get_note
from typer.testing import Result

from chromium import chromium
from fdrnn.search import open_store, selected_trial
from fdrnn.studies.cli.notes import refresh_notes
from fdrnn.studies.cli.training import present
from waiting import wait_until

Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., Result]

LIMIT_S = 60


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/fdrnn.sqlite3"


def note(url: str, study: str = "mine") -> str:
    return get_note(optuna.load_study(study_name=study, storage=url))


def test_whoever_creates_and_finishes_a_study_writes_its_note(
    start: Start, fdrnn: Run, study_file: Path, url: str
) -> None:
    assert fdrnn("study", "create", study_file).exit_code == 0
    assert "**Not complete**: 0 of 3 trials have finished." in note(url)
    worker = start("worker", "mine", "--workers", "2")
    _, log = worker.communicate(timeout=LIMIT_S)
    assert worker.returncode == 0, log
    table = open_store(url).study("mine").trials()
    best = selected_trial(table)
    pooled = table["test_nll_pooled"][table["config_index"] == best].iloc[0]
    complete = note(url)
    assert f"| **this study, pooled** | **{pooled:.2f}** |" in complete

    # More trials take the test NLL away until they have finished.
    assert fdrnn("study", "create", study_file, "--trials", "4").exit_code == 0
    extended = note(url)
    assert "**Not complete**: 3 of 4 trials have finished" in extended
    assert "pooled" not in extended


def test_of_several_studies_each_has_its_note_when_it_is_complete(
    start: Start, fdrnn: Run, study_file: Path, tmp_path: Path, url: str
) -> None:
    endless = tmp_path / "endless.toml"
    endless.write_text(study_file.read_text().replace("max_epochs = 4", "max_epochs = 20000"))
    assert fdrnn("study", "create", study_file, endless).exit_code == 0
    run = start("run", study_file, endless, "--workers", "1", FAKE_EPOCH_S="0.02")
    wait_until(lambda: "| **this study, pooled** |" in note(url), run)
    assert run.poll() is None
    assert "Not complete" in note(url, "endless")
    os.killpg(run.pid, signal.SIGINT)
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 130, log


def test_a_store_that_is_away_when_a_study_is_complete_fails_no_command(
    fdrnn: Run, study_file: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert fdrnn("study", "create", study_file).exit_code == 0
    capfd.readouterr()
    store = open_store(url)
    Path(url.removeprefix("sqlite:///")).write_bytes(b"no database")
    assert not refresh_notes(present(store, ["mine"]))
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("fdrnn: the note in optuna-dashboard was not updated: ")


def test_a_report_brings_the_note_up_to_date(
    start: Start, fdrnn: Run, study_file: Path, url: str
) -> None:
    run = start("run", study_file, "--workers", "1")
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, log
    complete = note(url)
    study = optuna.load_study(study_name="mine", storage=url)
    storage = study._storage
    storage.set_study_system_attr(study._study_id, "dashboard:note_str:0", "something else\n")
    assert fdrnn("report").exit_code == 0
    assert note(url).startswith(complete)
    assert "something else" in note(url)


def test_a_note_that_cannot_be_written_fails_no_report(
    fdrnn: Run, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fdrnn.search import StoreUnavailableError  # noqa: PLC0415
    from fdrnn.studies.cli import notes  # noqa: PLC0415

    fdrnn("study", "create", study_file)

    def refuse(*arguments: object) -> None:
        raise StoreUnavailableError("store x: permission denied")

    monkeypatch.setattr(notes, "update_note", refuse)
    result = fdrnn("report")
    assert result.exit_code == 0
    line = "fdrnn: the note in optuna-dashboard was not updated: store x: permission denied"
    assert line in result.stderr.splitlines()


@pytest.fixture
def dashboard(start: Start, study_file: Path) -> Iterator[str]:
    """The address of a dashboard on a store whose study trains meanwhile."""
    run = start("run", study_file, "--workers", "1", "--epochs", "20000", FAKE_EPOCH_S="0.02")
    assert run.stderr is not None
    while "starts" not in run.stderr.readline():
        assert run.poll() is None
    process = start("dashboard", "--port", "0")
    assert process.stderr is not None
    address = re.search(r"http://127\.0\.0\.1:\d+/", process.stderr.readline())
    assert address is not None
    yield address[0]
    assert run.poll() is None
    for command in (process, run):
        os.killpg(command.pid, signal.SIGINT)
        command.communicate(timeout=LIMIT_S)


def test_a_browser_shows_note_and_plots_of_a_study_that_runs(
    dashboard: str, tmp_path: Path
) -> None:
    with urllib.request.urlopen(f"{dashboard}api/studies", timeout=20) as answer:
        (study,) = json.load(answer)["study_summaries"]
    page = f"{dashboard}dashboard/studies/{study['study_id']}"
    with chromium(tmp_path / "profile") as browser:
        note, overview = browser.page(), browser.page()
        note.open(f"{page}/note")
        note.wait_for("Not complete")
        note.wait_for("0 of 3 trials have finished")
        assert "written by fdrnn" not in note.evaluate("document.body.innerText")
        overview.open(page)
        overview.wait_for("Intermediate values")
        assert note.errors == overview.errors == []
