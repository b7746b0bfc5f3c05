"""``fdrnn study``: status as text, JSON and --watch; export and import."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from fdrnn.datasets import DataDescription
from fdrnn.model import EpochRecord, TrainingSettings, TrialResult
from fdrnn.search import (
    SPACES,
    Store,
    StoreError,
    StudyDefinition,
    StudyProgress,
    TimeLeft,
    create_study,
    open_store,
)
from fdrnn.search.store.database import Database
from fdrnn.search.store.tables import studies
from fdrnn.search.work.claiming import WorkerIdentity, claim, expire
from fdrnn.search.work.lease import Lease
from fdrnn.studies.cli.status_view import StudyStatus, time_left_line
from fdrnn.studies.cli.watch import follow

Run = Callable[..., Result]
ErrorLine = Callable[..., str]
Start = Callable[..., subprocess.Popen[str]]

EPOCH = EpochRecord(
    epoch=1,
    train_nll=8.0,
    valid_nll_counted=8.25,
    valid_nll_masked=8.25,
    spectral_radius=1.0,
    spectral_radius_squared=1.0,
    gradient_norm=1.0,
    seconds=60.0,
)
RESULT = TrialResult(
    diverged=False,
    n_epochs=2,
    best_epoch=2,
    valid_nll=8.125,
    valid_nll_counted=8.125,
    valid_nll_masked=8.0,
    test_nll_sums=np.array([8.0]),
    test_steps=np.array([1]),
    parameters={},
)
DATA = DataDescription(
    title="Noise", note="", n_features=3, lowest_midi_note=None, fingerprint="0" * 64
)


def strict(text: str) -> Any:
    """Parse JSON; the constants of Python's own dialect are refused."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def make(store: Store, name: str = "noise", n_trials: int = 5) -> list[Lease]:
    definition = StudyDefinition(
        name=name,
        data="noise",
        variant="fast_dropout",
        space=SPACES["table2"],
        n_trials=n_trials,
        seed=7,
        training=TrainingSettings(max_epochs=20),
    )
    study_id = create_study(store, definition, DATA).study_id
    worker = WorkerIdentity("ada-4711", "ada.example", 4711)
    leases = [claim(store.database, study_id, worker, 600.0) for _ in range(n_trials)]
    return [lease for lease in leases if lease]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store of the working directory."""
    return open_store(str(tmp_path / "fdrnn.sqlite3"), create=True)


def test_everything_worth_a_look_in_80_columns(fdrnn: Run, store: Store) -> None:
    finished, failed, troubled, running, _ = make(store)
    finished.write([EPOCH, replace(EPOCH, epoch=2)])
    finished.finish(RESULT, "some CPU")
    failed.fail("Traceback (most recent call last):\n  deep inside\nZeroDivisionError: made up")
    troubled.release("MemoryError: no room")
    running.write([EPOCH])
    result = fdrnn("study", "status", "noise")
    assert result.exit_code == 1
    summary, about, best, left, *rest = result.stdout.splitlines()
    assert summary == "study noise: 1 of 5 trials finished, 2 running, 1 waiting, 1 failed"
    assert about.startswith("data noise, variant fast_dropout, space table2, seed 7, at most 20 ")
    assert best == "lowest validation NLL: 8.125, trial 0, epoch 2"
    # Of trial 3, a minute of 1 epoch more; of 4 and then 2, two minutes each.
    assert left == ("expected time left: 3 min with 2 workers, based on 1 finished trial")
    header, _, *table = (line for line in rest if line.startswith((" ", "─")) and line.strip())
    assert " ".join(header.split()) == "trial worker host attempt epoch best NLL lease age"
    assert table[0].split()[:6] == ["3", "ada-4711", "ada.example", "1", "1/20", "8.250"]
    assert table[1].split()[:6] == ["4", "ada-4711", "ada.example", "1", "0/20", "-"]
    assert max(map(len, table)) <= 80
    assert (
        "trial 2 (waiting) lost an attempt, 1 in a row without progress: MemoryError: no room"
        in rest
    )
    assert rest[-4:] == [
        "trial 1 failed:",
        "Traceback (most recent call last):",
        "  deep inside",
        "ZeroDivisionError: made up",
    ]


def test_a_failed_repeat_ends_with_exit_code_1(fdrnn: Run, store: Store) -> None:
    for lease in make(store, n_trials=1):
        lease.write([EPOCH, replace(EPOCH, epoch=2)])
        lease.finish(RESULT, "some CPU")
    study = store.study("noise")
    create_study(store, replace(study.definition, repeats=1), DATA)
    repeat = claim(store.database, study.study_id, WorkerIdentity("ada-1", "ada", 1), 600.0)
    assert repeat is not None
    repeat.fail("Traceback (most recent call last):\nZeroDivisionError: made up")
    status = fdrnn("study", "status", "noise")
    assert status.exit_code == 1
    lines = status.stdout.splitlines()
    assert lines[0] == "study noise: 1 of 1 trials finished, 1 of 1 repeats ended (1 failed)"
    assert "trial 0, repeat 1 failed:" in lines
    assert "1 of 1 trials and 1 repeats failed" in fdrnn("worker", "noise").stderr


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (None, "expected time left: unknown until a trial has trained an epoch"),
        (
            TimeLeft(seconds=7300.0, worker_seconds=9000.0, n_workers=2, n_finished=0),
            "time left: at most 2 h 02 min with 2 workers, if every trial runs to 300 epochs "
            "(none has finished)",
        ),
        (
            TimeLeft(seconds=40.0, worker_seconds=40.0, n_workers=1, n_finished=9),
            "expected time left: 40 s with 1 worker, based on 9 finished trials",
        ),
        (
            TimeLeft(seconds=None, worker_seconds=600.0, n_workers=0, n_finished=1),
            "no worker is running; one would need about 10 min, based on 1 finished trial",
        ),
    ],
)
def test_the_time_left_says_on_what_it_rests(left: TimeLeft | None, expected: str) -> None:
    progress = StudyProgress(
        study="noise",
        n_trials=1,
        waiting=1,
        running=0,
        finished=0,
        failed=0,
        diverged=0,
        running_trials=(),
        failed_trials=(),
        troubled_trials=(),
        time_left=left,
    )
    assert time_left_line(progress, 300) == expected


def test_json_is_strict_and_complete(fdrnn: Run, store: Store) -> None:
    finished, failed, running = make(store, n_trials=3)
    finished.finish(replace(RESULT, diverged=True), "some CPU")
    failed.fail("Traceback\nbroken")
    running.write([replace(EPOCH, valid_nll_counted=np.inf, valid_nll_masked=np.nan)])
    result = fdrnn("study", "status", "noise", "--json")
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    answer = strict(line)
    assert set(answer) == {"store", "time", "studies"}
    assert abs((datetime.now(UTC) - datetime.fromisoformat(answer["time"])).total_seconds()) < 60
    (study,) = answer["studies"]
    counts = ("n_trials", "waiting", "running", "finished", "failed", "diverged")
    assert [study[key] for key in counts] == [3, 0, 1, 1, 1, 1]
    assert study["name"] == "noise"
    assert study["complete"] is False
    assert study["best"] == {"config_index": 0, "best_epoch": 2, "valid_nll": 8.125}
    (trial,) = study["failed_trials"]
    assert (trial["config_index"], trial["error"]) == (1, "Traceback\nbroken")
    (trial,) = study["running_trials"]
    assert (trial["epoch"], trial["best_valid_nll"]) == (1, "inf")
    assert 0 <= trial["lease_age_s"] < 60
    assert study["definition"]["training"]["max_epochs"] == 20
    assert study["time_left"]["n_workers"] == 1


def test_without_a_study_all_of_the_store(fdrnn: Run, store: Store) -> None:
    assert fdrnn("study", "status").stdout.endswith("holds no study\n")
    assert strict(fdrnn("study", "status", "--json").stdout)["studies"] == []
    make(store, "one", n_trials=1)[0].finish(RESULT, "some CPU")
    make(store, "two", n_trials=2)
    make(store, "three", n_trials=2)[0].fail("made up")
    make(store, "four", n_trials=1)[0].release("OSError: No space left on device")
    first, *lines = fdrnn("study", "status").stdout.splitlines()
    assert first == (
        "4 studies, 1 complete: 1 of 6 trials finished, 3 running, 1 waiting, 1 failed"
    )
    # Nothing more is printed for a study in which nothing happens.
    assert lines[:3] == [
        "",
        "study one: 1 of 1 trials finished; lowest validation NLL 8.125",
        "",
    ]
    assert [line for line in lines[3:] if line.startswith("study ")] == [
        "study two: 0 of 2 trials finished, 2 running",
        "study three: 0 of 2 trials finished, 1 running, 1 failed",
        "study four: 0 of 1 trials finished, 1 waiting",
    ]
    assert sum(line.startswith("data noise") for line in lines) == 3
    assert "No space left on device" in lines[-1]
    answer = strict(fdrnn("study", "status", "--json").stdout)
    assert [study["name"] for study in answer["studies"]] == ["one", "two", "three", "four"]


def test_bad_options(error_line: ErrorLine, store: Store) -> None:
    for every in ("0", "nan", "inf", "1e10"):
        assert "--every must be at" in error_line("study", "status", "--watch", "--every", every)
    assert "unknown study 'x'" in error_line("study", "status", "x", "--watch")


def test_a_complete_study_is_watched_once(fdrnn: Run, store: Store) -> None:
    (lease,) = make(store, n_trials=1)
    lease.finish(RESULT, "some CPU")
    result = fdrnn("study", "status", "noise", "--watch")
    assert result.exit_code == 0
    assert result.stdout.count("study noise: 1 of 1 trials finished") == 1


class _Notes:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def show(self, statuses: Any) -> None:
        self.notes.append(f"{statuses[0].progress.finished} finished")

    def unavailable(self, error: StoreError) -> None:
        self.notes.append(str(error))


def test_watching_outlives_a_store_that_is_away_and_ends_with_the_study(store: Store) -> None:
    one, two = make(store, n_trials=2)

    def status() -> list[StudyStatus]:
        return [StudyStatus.read(store.study("noise"))]

    def steps() -> Any:
        one.finish(RESULT, "some CPU")
        yield status()
        yield StoreError("gone")
        yield StoreError("still gone")
        two.finish(RESULT, "some CPU")
        yield status()

    looks = steps()

    def read() -> Any:
        look = next(looks)
        if isinstance(look, StoreError):
            raise look
        return look

    notes = _Notes()
    last = follow(status(), read, notes, every_s=0.001)
    assert notes.notes == ["1 finished", "gone", "still gone", "2 finished"]
    assert last[0].progress.complete


def test_status_writes_nothing(
    fdrnn: Run, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(store, n_trials=1)
    expire(store.database, "ada-4711")
    store.close()
    before = (tmp_path / "fdrnn.sqlite3").read_bytes()
    statements: list[str] = []
    monkeypatch.setattr(Database, "write", lambda self: statements.append("write"))
    result = fdrnn("study", "status", "noise")
    assert "0 of 1 trials finished, 1 running" in result.stdout
    assert "expired" in result.stdout
    assert (tmp_path / "fdrnn.sqlite3").read_bytes() == before
    assert not statements


def test_watching_on_a_pipe_is_a_line_of_json_each_time(
    store: Store, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (lease,) = make(store, n_trials=1)
    process = start("study", "status", "noise", "--watch", "--every", "0.05", "--json")
    assert process.stdout is not None
    assert strict(process.stdout.readline())["studies"][0]["running"] == 1
    hidden = tmp_path / "hidden"
    (tmp_path / "fdrnn.sqlite3").rename(hidden)
    answer: dict[str, Any] = {}
    while "error" not in answer:
        answer = strict(process.stdout.readline())
    assert set(answer) == {"store", "time", "error"}
    hidden.rename(tmp_path / "fdrnn.sqlite3")
    lease.finish(RESULT, "some CPU")
    *_, last = process.stdout
    assert strict(last)["studies"][0]["complete"] is True
    assert process.wait(20) == 0


@pytest.mark.usefixtures("_sigint_ignored")
@pytest.mark.parametrize("end_signal", [signal.SIGINT, signal.SIGTERM])
def test_watching_on_a_terminal_refreshes_in_place_until_a_signal(
    store: Store, end_signal: signal.Signals
) -> None:
    make(store, n_trials=1)
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fdrnn.studies.cli", "study", "status", "--watch", "--every", "0.1"],
        stdin=end,
        stdout=end,
        stderr=subprocess.PIPE,
        env=os.environ | {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(end)
    seen = b""
    deadline = time.monotonic() + 60
    while seen.count(b"Ctrl-C ends the display alone") < 3 and time.monotonic() < deadline:
        seen += os.read(terminal, 65536)
    process.send_signal(end_signal)
    while True:
        try:
            seen += os.read(terminal, 65536)
        except OSError:
            # The other end is closed.
            break
    assert process.wait(20) == 130
    assert process.stderr is not None
    assert process.stderr.read() == b""
    # The cursor goes up over the block before it is printed again, and is shown at the end.
    assert b"\x1b[1A" in seen
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")


def test_export_and_import(fdrnn: Run, study_file: Path, noise: Path, tmp_path: Path) -> None:
    fdrnn("study", "create", study_file)
    told = fdrnn("study", "export", "mine")
    assert told.exit_code == 0
    assert told.stdout.startswith("mine.fdrnn.zip, ")
    assert told.stdout.endswith(" kB: study mine, 3 trials, 3 waiting, without weights\n")
    url = f"sqlite:///{tmp_path}/elsewhere.sqlite3"
    for expected in (
        "elsewhere.sqlite3: study mine, 3 trials",
        "holds it, equal in everything",
    ):
        told = fdrnn("study", "import", "mine.fdrnn.zip", "--storage", url)
        assert told.exit_code == 0
        assert expected in told.stdout
    told = fdrnn("study", "import", "mine.fdrnn.zip", "--storage", url, "--name", "yours")
    assert "study yours, 3 trials" in told.stdout
    assert open_store(url).study_names() == ["mine", "yours"]
    # A report needs no data, whose path is one of the machine where the study was created.
    noise.unlink()
    assert fdrnn("report", "yours", "--storage", url).exit_code == 0
    here = open_store("fdrnn.sqlite3")
    assert open_store(url).study("yours").trials().equals(here.study("mine").trials())


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
    assert "has a study 'mine' that differs from the file's" in line
    assert "--name" in line


def test_bad_files_and_places(
    fdrnn: Run, error_line: ErrorLine, study_file: Path, tmp_path: Path
) -> None:
    fdrnn("study", "create", study_file)
    assert "did you mean 'mine'?" in error_line("study", "export", "mien")
    assert "cannot be written" in error_line(
        "study", "export", "--output", tmp_path / "fdrnn.sqlite3"
    )
    (tmp_path / "mine.fdrnn.zip").write_text("mine")
    assert "is no exported study" in error_line("study", "export", "mine")
    (tmp_path / "mine.fdrnn.zip").unlink()
    fdrnn("study", "export", "mine")
    (tmp_path / "mine.fdrnn.zip").rename(tmp_path / "good.zip")
    (tmp_path / "bad.zip").write_bytes((tmp_path / "good.zip").read_bytes()[:-100])
    url = f"sqlite:///{tmp_path}/elsewhere.sqlite3"
    line = error_line("study", "import", "good.zip", "bad.zip", "--storage", url)
    assert "bad.zip is no exported study, or truncated" in line
    assert "there is no" in error_line("study", "import", "none.zip", "--storage", url)
    line = error_line("study", "import", "good.zip", "good.zip", "--name", "x", "--storage", url)
    assert "--name names one study, got 2 files" in line
    line = error_line("study", "import", "good.zip", "--name", "a b", "--storage", url)
    assert "name must be 1 to 100 letters" in line
    fdrnn("study", "create", study_file, "--trials", "4")
    fdrnn("study", "export", "mine", "--output", "later")
    line = error_line("study", "import", "good.zip", "later", "--storage", url)
    assert "later/mine.fdrnn.zip both hold a study 'mine'" in line
    # Nothing was imported, and no store made.
    assert not (tmp_path / "elsewhere.sqlite3").exists()


def test_trials_are_verified(start: Start, error_line: ErrorLine, study_file: Path) -> None:
    def verify(*options: object) -> tuple[int, list[str]]:
        process = start("study", "verify", *options)
        output, errors = process.communicate(timeout=60)
        assert errors == ""
        return process.returncode, output.splitlines()

    assert start("run", study_file, "--workers", 1).wait(60) == 0
    selected = open_store("fdrnn.sqlite3").study("mine").selected
    same = "4 epochs and the result are the same to the last bit, spectral radii to 0.0001"
    assert verify("mine") == (0, [f"trial {selected}: {same}"])
    with sqlite3.connect("fdrnn.sqlite3") as connection:
        connection.execute(
            "UPDATE fdrnn_epochs SET train_nll = 7 WHERE epoch = 2 AND trial_id IN "
            "(SELECT trial_id FROM fdrnn_trials WHERE config_index = 1)"
        )
    code, lines = verify("mine", "--all")
    assert code == 1
    assert [lines[0], lines[2]] == [f"trial 0: {same}", f"trial 2: {same}"]
    assert lines[1].startswith("trial 1: epoch 2 differs in train_nll: stored 7.0, here ")
    alone = "trial 1: 1 epoch is the same to the last bit, spectral radii to 0.0001"
    assert verify("mine", "--trials", 1, "--epochs", 1) == (0, [alone])
    assert verify("mine", "--trials", "1,1", "--epochs", 1) == (0, [alone])
    line = error_line("study", "verify", "mine", "--trials", "1,7")
    assert "study 'mine' has trials 0 to 2" in line
    Path("results").mkdir()
    line = error_line("study", "verify", "./results")
    assert "./results is a folder; name one of its files *.fdrnn.zip" in line
    line = error_line("study", "verify", "mine", "--trials", "1;2")
    assert "--trials must be indices separated by commas, such as 0,3; got '1;2'" in line
    line = error_line("study", "verify", "mine", "--trials", "1", "--all")
    assert "--all and --trials exclude each other" in line


def test_indices_of_no_trial_are_refused(error_line: ErrorLine, store: Store) -> None:
    make(store)
    line = error_line("study", "verify", "noise", "--trials", f"1,{10**20}")
    assert f"--trials must be at most 1000000000, got {10**20}" in line
    line = error_line("study", "verify", "noise", "--trials=-1")
    assert "--trials must be at least 0, got -1" in line


def test_a_store_is_not_named_where_none_is_read(fdrnn: Run, error_line: ErrorLine) -> None:
    line = error_line("study", "verify", "x.fdrnn.zip", "--storage", "x.sqlite3")
    assert "an exported study is verified without a store: leave out --storage" in line
    line = error_line("study", "list", "--variants", "--storage", "x.sqlite3")
    assert "--variants lists nothing of the store: leave out --storage" in line
    environment = {"FDRNN_STORAGE": "x.sqlite3"}
    assert fdrnn("study", "list", "--variants", env=environment).exit_code == 0
    assert "x.fdrnn.zip" in fdrnn("study", "verify", "x.fdrnn.zip", env=environment).stderr


def test_a_retry_requeues_expired_trials_and_status_does_not(fdrnn: Run, store: Store) -> None:
    failed, *_ = make(store, n_trials=2)
    failed.fail("ValueError: no")
    expire(store.database, "ada-4711")
    assert fdrnn("study", "status", "noise").exit_code == 1
    assert store.study("noise").trials()["state"].tolist() == ["failed", "running"]
    told = "study noise: 1 failed trial requeued; `fdrnn worker noise` trains what waits\n"
    assert fdrnn("study", "retry", "noise").stdout == told
    assert store.study("noise").trials()["state"].tolist() == ["waiting", "waiting"]
    assert fdrnn("study", "retry", "noise").stdout == "study noise: 0 failed trials requeued\n"


def test_a_study_is_renamed(fdrnn: Run, error_line: ErrorLine, store: Store) -> None:
    make(store, n_trials=1)[0].release()
    result = fdrnn("study", "rename", "noise", "first-try")
    assert result.exit_code == 0, result.output
    assert store.study_names() == ["first-try"]
    assert "unknown study 'noise'" in error_line("study", "rename", "noise", "again")
    assert "name must be 1 to 100 letters" in error_line("study", "rename", "first-try", "a/b")


def test_a_comparison_is_renamed_with_its_studies(fdrnn: Run, store: Store) -> None:
    for name in ("pair.fast_dropout", "pair2.fast_dropout"):
        make(store, name, n_trials=1)[0].release()
    assert fdrnn("study", "rename", "pair", "couple").exit_code == 0
    assert store.study_names() == ["couple.fast_dropout", "pair2.fast_dropout"]


def test_deleting_asks_and_says_what(fdrnn: Run, error_line: ErrorLine, store: Store) -> None:
    (lease,) = make(store, n_trials=1)
    make(store, "other", n_trials=1)[0].release()
    refused = fdrnn("study", "delete", "noise", "--yes")
    assert refused.exit_code == 2
    assert "is being trained by ada-4711; stop these workers" in refused.stderr
    lease.finish(RESULT, "some CPU")
    asked = fdrnn("study", "delete", "noise")
    assert asked.exit_code == 2
    assert "the command asks on a terminal; elsewhere add --yes" in asked.stderr
    assert store.study_names() == ["noise", "other"]
    result = fdrnn("study", "delete", "noise", "--yes")
    assert result.exit_code == 0, result.output
    assert "noise: 1 of 1 trials finished" in result.stdout
    assert store.study_names() == ["other"]
    assert "unknown study 'noise'" in error_line("study", "delete", "noise", "--yes")


def test_a_study_without_its_plug_in_is_renamed_and_deleted(fdrnn: Run, store: Store) -> None:
    make(store, n_trials=1)[0].release()
    gone = {"variant": "gone", "plugins": {"variant": "lost 3.0"}}
    definition = store.study("noise").definition.to_mapping() | gone
    with store.database.write() as connection:
        connection.execute(studies.update().values(definition=definition))
    assert fdrnn("study", "rename", "noise", "first-try").exit_code == 0
    deleted = fdrnn("study", "delete", "first-try", "--yes")
    assert deleted.exit_code == 0, deleted.output
    assert "'first-try' in store" in deleted.stdout
    assert "package lost 3.0, which is not installed here" in deleted.stdout
    assert store.study_names() == []


@pytest.mark.parametrize(("answer", "left"), [("y\n", []), ("n\n", ["noise"]), ("\x03", ["noise"])])
def test_deleting_obeys_the_answer(store: Store, answer: str, left: list[str]) -> None:
    make(store, n_trials=1)[0].release()
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fdrnn.studies.cli", "study", "delete", "noise"],
        stdin=end,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(end, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - takes no lock
    )
    os.close(end)
    assert process.stdout is not None
    asked = ""
    while not asked.endswith("?"):
        asked += process.stdout.read(1)
    assert "Delete 1 study from store" in asked
    os.write(terminal, answer.encode())
    _, log = process.communicate(timeout=60)
    assert process.returncode == (130 if answer == "\x03" else 0), log
    assert "Traceback" not in log
    assert store.study_names() == left
    os.close(terminal)
