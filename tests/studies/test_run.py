"""Whole runs of the command in processes of their own, with trainers that make up numbers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import Result

from fdrnn.datasets import FdrnnError
from fdrnn.search import open_store, selected_trial
from fdrnn.search.store.tables import studies
from fdrnn.studies.cli.notes import refresh_notes
from waiting import wait_until

Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., Result]
ErrorLine = Callable[..., str]

LIMIT_S = 60


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/fdrnn.sqlite3"


def test_run_ends_with_its_table_and_again_only_reports(
    start: Start, study_file: Path, tmp_path: Path, url: str
) -> None:
    first = start("run", study_file, "--workers", "2")
    out, log = first.communicate(timeout=LIMIT_S)
    assert first.returncode == 0, log
    table = open_store(url).study("mine").trials()
    assert table["state"].tolist() == ["finished"] * 3
    best = selected_trial(table)
    test_nll = table["test_nll_pooled"][table["config_index"] == best].iloc[0]
    assert re.search(rf"\| +(\*\*)?{test_nll:.2f} /", out)
    assert "3 of 3" in out
    assert (tmp_path / "fdrnn-report" / "tables" / "table1.md").read_text() in out
    assert "`fdrnn report` adds the figures" in log
    for index in range(3):
        assert f"trial {index} starts" in log
    assert "Traceback" not in log
    assert "study mine: 3 of 3 trials finished" in log

    again = start("run", study_file)
    out_again, log = again.communicate(timeout=LIMIT_S)
    assert again.returncode == 0
    assert out_again == out
    assert "starts" not in log


def test_a_complete_study_is_reported_without_a_compiler(
    start: Start,
    fdrnn: Run,
    error_line: ErrorLine,
    study_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = start("run", study_file)
    out, log = first.communicate(timeout=LIMIT_S)
    assert first.returncode == 0, log
    monkeypatch.setenv("CXX", "no-such-compiler")
    again = fdrnn("run", study_file)
    assert (again.exit_code, again.stdout) == (0, out), again.output
    assert "no C++ compiler" in error_line("run", study_file, "--trials", "4")
    assert len(open_store("fdrnn.sqlite3").study("mine").trials()) == 3


def test_an_extension_says_what_it_changes_and_which_results_it_takes(
    start: Start, fdrnn: Run, study_file: Path
) -> None:
    run = start("run", study_file, "--trials", "3", "--epochs", "1")
    assert run.wait(timeout=LIMIT_S) == 0
    extended = fdrnn("study", "create", study_file, "--trials", "4", "--epochs", "2")
    # Diverged ones are not trained further.
    assert re.search(
        "study mine is extended: n_trials 4 instead of 3, max_epochs 2 instead of 1; no "
        "result of [123] trials? until trained further",
        extended.stderr,
    )
    again = fdrnn("study", "create", study_file, "--trials", "4", "--epochs", "2")
    assert "extended" not in again.stderr


@pytest.mark.parametrize(
    "command", [["run", "mine.toml", "yours.toml"], ["worker", "mine", "yours"]]
)
def test_the_next_study_begins_where_no_trial_of_the_first_one_waits(
    start: Start, fdrnn: Run, study_file: Path, tmp_path: Path, command: list[str]
) -> None:
    text = study_file.read_text().replace("n_trials = 3", "n_trials = 1")
    for path in (study_file, tmp_path / "yours.toml"):
        path.write_text(text.replace("max_epochs = 4", "max_epochs = 20000"))
    assert fdrnn("study", "create", "mine.toml", "yours.toml").exit_code == 0
    run = start(*command, "--workers", "2", FAKE_EPOCH_S="0.02")
    assert run.stderr is not None
    waited_for = {"mine trial 0 starts", "yours trial 0 starts"}
    while waited_for:
        line = run.stderr.readline()
        assert line
        waited_for -= {text for text in waited_for if text in line}
    os.killpg(run.pid, signal.SIGINT)
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 130, log


def test_several_studies_are_trained_and_reported(
    start: Start, error_line: Callable[..., str], study_file: Path, tmp_path: Path, url: str
) -> None:
    other = tmp_path / "yours.toml"
    other.write_text(study_file.read_text())
    run = start("run", study_file, other, "--trials", "2", "--workers", "1")
    out, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, log
    store = open_store(url)
    assert [store.study(name).trials()["state"].tolist() for name in store.study_names()] == [
        ["finished"] * 2
    ] * 2
    assert log.index("study yours: 2 trials in store") < log.index("study mine: 2 of 2 trials")
    assert all(f"| {name}" in out for name in ("mine", "yours"))
    line = error_line("run", study_file, other, "--name", "both")
    assert "--name names one study, got 2" in line


def test_a_mistake_in_one_study_changes_none(
    fdrnn: Run, error_line: Callable[..., str], study_file: Path, tmp_path: Path, url: str
) -> None:
    other = tmp_path / "yours.toml"
    other.write_text(study_file.read_text())
    assert fdrnn("study", "create", study_file, other).exit_code == 0
    other.write_text(study_file.read_text().replace("seed = ", "seed = 1"))
    line = error_line("run", study_file, other, "--trials", "5")
    assert "study 'yours' in store" in line
    assert len(open_store(url).study("mine").trials()) == 3
    twice = tmp_path / "elsewhere" / "mine.toml"
    twice.parent.mkdir()
    twice.write_text(other.read_text())
    new = f"sqlite:///{tmp_path}/new.sqlite3"
    line = error_line("study", "create", study_file, twice, "--storage", new)
    assert "two different definitions of study 'mine'" in line
    assert not (tmp_path / "new.sqlite3").exists()


def test_a_study_renamed_while_it_waits_is_left_out_even_by_workers_that_replace_others(
    start: Start, fdrnn: Run, study_file: Path, tmp_path: Path, url: str
) -> None:
    other = tmp_path / "yours.toml"
    other.write_text(study_file.read_text())
    run = start("run", study_file, other, "--workers", "1", FAKE_EPOCH_S="0.5")
    wait_until(lambda: _has_trained(url), run)
    assert fdrnn("study", "rename", "yours", "theirs").exit_code == 0
    progress = open_store(url).study("mine").progress()
    (trial,) = progress.running_trials
    assert trial.pid is not None
    os.kill(trial.pid, signal.SIGKILL)
    out, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, log
    assert "deleted or renamed meanwhile, and not reported: yours" in log
    assert "| mine" in out
    store = open_store(url)
    assert store.study("mine").trials()["state"].tolist() == ["finished"] * 3
    assert store.study("theirs").trials()["state"].tolist() == ["waiting"] * 3


def test_the_data_of_a_complete_study_are_not_needed(
    start: Start, fdrnn: Run, study_file: Path, tmp_path: Path, noise: Path
) -> None:
    complete = tmp_path / "complete.toml"
    kept = noise.with_name("kept.npz")
    kept.write_bytes(noise.read_bytes())
    complete.write_text(study_file.read_text().replace(noise.name, kept.name))
    assert fdrnn("study", "create", complete, study_file).exit_code == 0
    assert start("worker", "complete").wait(LIMIT_S) == 0
    kept.unlink()
    worker = start("worker", "complete", "mine")
    _, log = worker.communicate(timeout=LIMIT_S)
    assert worker.returncode == 0, log
    assert "study mine: 3 of 3 trials finished" in log


def test_a_study_given_twice_is_one(start: Start, fdrnn: Run, study_file: Path) -> None:
    run = start("run", study_file, study_file, FAKE_FAIL="1")
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 1, log
    assert log.count("trials failed; `fdrnn study status mine` prints the errors") == 1
    assert "mine trial" not in log


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_trained(
    error_line: Callable[..., str], study_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    line = error_line("run", study_file, "--output", tmp_path / "file")
    assert "cannot write into" in line
    assert not (tmp_path / "fdrnn.sqlite3").exists()


def test_a_study_of_another_fdrnn_in_the_store_is_told_and_does_not_hide_the_others(
    start: Start, fdrnn: Run, error_line: Callable[..., str], study_file: Path, url: str
) -> None:
    assert fdrnn("study", "create", study_file, "--name", "later").exit_code == 0
    with open_store(url).database.write() as connection:
        connection.execute(sa.update(studies).values(definition={"variant": "quantum"}))
    run = start("run", study_file)
    out, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, log
    assert "| mine" in out
    listed = fdrnn("study", "list")
    assert "study mine: 3 of 3 trials finished" in listed.stdout
    assert "left out: study 'later'" in listed.stderr
    for command in (["report", "--no-figures"], ["study", "status"], ["study", "export"]):
        done = fdrnn(*command)
        assert (done.exit_code, "mine" in done.output) == (0, True), done.output
    assert "name the studies to use" in error_line("report", "later")


def test_a_comparison_is_run_followed_and_reported_by_its_name(
    start: Start, fdrnn: Run, study_file: Path, tmp_path: Path, url: str
) -> None:
    text = study_file.read_text().replace('variant = "fast_dropout"\nspace = "table2"', "")
    study_file.write_text('variants = ["plain", "fast_dropout"]\n' + text)
    assert fdrnn("study", "create", study_file, "--trials", "1").exit_code == 0
    first = start("run", study_file, "--workers", "2")
    out, log = first.communicate(timeout=LIMIT_S)
    assert first.returncode == 0, log
    store = open_store(url)
    assert store.study_names() == ["mine.fast_dropout", "mine.plain"]
    for name in store.study_names():
        assert store.study(name).trials()["state"].tolist() == ["finished"] * 3
        assert f"{name} trial 2 starts" in log
    assert "comparison mine: 2 studies of 3 trials in store" in log
    assert "study mine: 6 of 6 trials finished" in log
    assert "## Comparison mine: variants on" in out
    assert (tmp_path / "fdrnn-report" / "tables" / "mine-claims.md").read_text() in out

    status = fdrnn("study", "status", "mine")
    assert status.exit_code == 0
    for name in store.study_names():
        assert f"study {name}: 3 of 3 trials finished" in status.stdout
    exported = fdrnn("study", "export", "mine", "--output", tmp_path / "exports")
    assert exported.exit_code == 0, exported.output
    assert sorted(file.name for file in (tmp_path / "exports").iterdir()) == [
        "mine.fast_dropout.fdrnn.zip",
        "mine.plain.fdrnn.zip",
    ]
    refresh_notes(store.studies(["mine"]))
    unknown = fdrnn("report", "--from", tmp_path / "exports", "mine", "mina")
    assert "unknown study 'mina'" in unknown.stderr


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    start: Start, study_file: Path, url: str
) -> None:
    command = ("run", study_file, "--workers", "1", "--epochs", "40")
    first = start(*command, FAKE_EPOCH_S="0.05")
    wait_until(lambda: _has_trained(url), first)
    os.killpg(first.pid, signal.SIGINT)
    _, log = first.communicate(timeout=LIMIT_S)
    assert first.returncode == 130
    assert "interrupted; the same command resumes" in log
    assert "released" in log
    assert "Traceback" not in log
    store = open_store(url)
    kept = len(store.study("mine").curves())
    assert set(store.study("mine").trials()["state"]) <= {"waiting", "finished"}

    second = start(*command)
    _, log = second.communicate(timeout=LIMIT_S)
    assert second.returncode == 0
    assert "resumes after epoch" in log
    after = store.study("mine").curves()
    assert len(after) == 3 * 40 > kept
    assert not after.duplicated(["config_index", "epoch"]).any()


def test_max_hours_stop_cleanly_and_say_what_is_left(
    start: Start, study_file: Path, url: str
) -> None:
    command = ("run", study_file, "--workers", "1", "--epochs", "200", "--max-hours", "0.001")
    run = start(*command, FAKE_EPOCH_S="0.1")
    _, log = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 130, log
    assert re.search(r"--max-hours are over: study mine: 0 of 3 trials finished, 3 waiting", log)
    assert log.splitlines()[-1] == "fdrnn: interrupted; the same command resumes"
    assert set(open_store(url).study("mine").trials()["state"]) == {"waiting"}


def test_max_hours_end_alike_while_the_store_is_unavailable(
    fdrnn: Run, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_workers(*arguments: object, **options: object) -> bool:
        Path("fdrnn.sqlite3").rename("elsewhere.sqlite3")
        return True

    monkeypatch.setattr("fdrnn.studies.cli.training.run_workers", run_workers)
    monkeypatch.setattr("fdrnn.studies.cli.run._require_toolchain", lambda: None)
    monkeypatch.setattr("fdrnn.studies.cli.run._deadline", lambda max_hours: 0.0)
    ended = fdrnn("run", study_file)
    assert re.search("--max-hours are over: store .*: its file cannot be accessed", ended.stderr)
    assert ended.exit_code == 130


def test_no_more_hours_than_a_timer_can_wait(error_line: ErrorLine) -> None:
    most = int(threading.TIMEOUT_MAX / 3600)
    line = error_line("run", "bach", "--max-hours", most + 1)
    assert f"--max-hours must be at most {most}, got {float(most + 1)}" in line


def _has_trained(url: str) -> bool:
    try:
        return not open_store(url).study("mine").curves().empty
    except FdrnnError:
        # The store or the study in it is not there yet.
        return False


def test_failed_trials_end_with_code_1_and_status_shows_them(
    start: Start, fdrnn: Run, study_file: Path
) -> None:
    process = start("run", study_file, "--workers", "1", FAKE_FAIL="1")
    out, log = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert "3 of 3 trials failed; `fdrnn study status mine` prints the errors" in log
    assert "3 failed with a program error" in out
    assert "Traceback" not in log
    status = fdrnn("study", "status", "mine")
    assert status.exit_code == 1
    assert "trial 2 failed:\nTraceback" in status.stdout
    assert "ZeroDivisionError: made up" in status.stdout
    # To an engine a worker that has trained all has ended well; its command counts failed trials.
    of_engine = start("worker", "mine", "--engine", os.getpid())
    assert of_engine.wait(timeout=LIMIT_S) == 0


def test_create_worker_report(start: Start, fdrnn: Run, study_file: Path) -> None:
    assert fdrnn("study", "create", study_file, "--name", "apart").exit_code == 0
    worker = start("worker", "apart")
    _, log = worker.communicate(timeout=LIMIT_S)
    assert worker.returncode == 0, log
    assert "3 of 3" in fdrnn("report").stdout
    status = fdrnn("study", "status", "apart").stdout
    assert "lowest validation NLL: " in status


def test_a_worker_that_comes_when_all_is_done_needs_no_data(
    start: Start, study_file: Path, noise: Path
) -> None:
    run = start("run", study_file, "--workers", "1")
    assert run.wait(LIMIT_S) == 0
    noise.unlink()
    late = start("worker", "mine")
    _, log = late.communicate(timeout=LIMIT_S)
    assert (late.returncode, log) == (0, "")


def test_the_dashboard_serves_the_store(start: Start, fdrnn: Run, study_file: Path) -> None:
    fdrnn("study", "create", study_file)
    process = start("dashboard", "--port", "0")
    assert process.stderr is not None
    told = process.stderr.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+/", told)
    assert address is not None, told
    with urllib.request.urlopen(f"{address[0]}api/studies", timeout=20) as answer:
        studies = json.load(answer)["study_summaries"]
    assert [study["study_name"] for study in studies] == ["mine"]
    os.killpg(process.pid, signal.SIGINT)
    _, log = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert "Traceback" not in log
