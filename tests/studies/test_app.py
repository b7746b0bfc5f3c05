"""The command line, in this process: help, bad input, and what needs no training."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import Result

from fdrnn.search import open_store
from fdrnn.search.store import tables
from fdrnn.studies.cli.app import COMMANDS, app

Run = Callable[..., Result]
ErrorLine = Callable[..., str]

SUBCOMMANDS = (
    ("study", "create"),
    ("study", "status"),
    ("study", "retry"),
    ("study", "rename"),
    ("study", "delete"),
    ("study", "list"),
    ("study", "export"),
    ("study", "import"),
    ("store", "migrate"),
    ("data", "list"),
    ("data", "fetch"),
    ("data", "show"),
    ("cache", "show"),
    ("cache", "clear"),
)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), *SUBCOMMANDS])
def test_every_command_has_help(fdrnn: Run, command: tuple[str, ...]) -> None:
    result = fdrnn(*command, "--help")
    assert "('" not in result.stdout  # no default is printed as Python's tuple
    assert result.exit_code == 0
    assert "Usage" in result.stdout
    assert "..." not in result.stdout.partition("\nCommands:\n")[2]  # no sentence is cut


def test_the_help_of_extending_and_waiting_is_true(fdrnn: Run) -> None:
    words = " ".join(fdrnn("study", "create", "--help").stdout.split())
    assert "and so do more patience and halving that prunes fewer trials" in words
    words = " ".join(fdrnn("worker", "--help").stdout.split())
    assert "A worker without a trial waits for those of others" in words


def test_the_help_teaches_by_examples_and_names_the_environment(fdrnn: Run) -> None:
    text = fdrnn("--help").stdout
    for expected in (
        "fdrnn run bach",
        "FDRNN_STORAGE",
        "FDRNN_DATA_DIR",
        "FDRNN_CACHE_DIR",
        "Exit codes",
    ):
        assert expected in text


def test_version(fdrnn: Run) -> None:
    assert fdrnn("--version").stdout.startswith("fdrnn ")


def test_the_summaries_in_the_help_are_those_of_the_commands() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    context = Context(group)
    for name, (_, summary) in COMMANDS.items():
        command = group.get_command(context, name)
        assert command.help is not None
        assert " ".join(command.help.split("\n\n")[0].split()) == summary


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_no_library_of_a_command(option: str) -> None:
    code = (
        "import sys\nfrom fdrnn.studies.cli.app import app\n"
        f"app(['{option}'], standalone_mode=False)\n"
        "print(*{'numpy', 'sqlalchemy', 'rich'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"


def test_status_loads_neither_pandas_nor_what_trains_and_reports() -> None:
    heavy = "{'pandas', 'optuna', 'scipy.stats', 'theano', 'matplotlib', 'music21'}"
    code = f"import sys, fdrnn.studies.cli.study\nprint(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fdrnn", "st"], {"study", "store"}),
        (["fdrnn", "study", "re"], {"retry", "rename"}),
        (["fdrnn", "cache", "clear", "--h"], {"--help"}),
    ],
)
def test_the_shell_completes_commands_and_options(words: list[str], expected: set[str]) -> None:
    environment = {
        "_FDRNN_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    code = "import sys\nfrom fdrnn.studies.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            ("studdy",),
            "No such command 'studdy'. Did you mean 'study'? (see `fdrnn --help`)",
        ),
        (
            ("study", "creat"),
            "No such command 'creat'. Did you mean 'create', 'retry'? (see `fdrnn study --help`)",
        ),
        (
            ("run", "bach", "--wrokers", "2"),
            "No such option: --wrokers (Possible options: --workers) (see `fdrnn run --help`)",
        ),
        (("run",), "Missing argument 'STUDY' (see `fdrnn run --help`)"),
        (("data", "fetch"), "Missing argument 'NAME' (see `fdrnn data fetch --help`)"),
        (("init", "x.toml"), "Missing option '--data' (see `fdrnn init --help`)"),
        (("run", "bach", "--trials"), "Option '--trials' requires an argument"),
        (("--no-such-option",), "No such option: --no-such-option"),
        (("study", "preview", "a", "b\x1b"), r"unexpected extra argument(s) (b\x1b)"),
        (("run", "bach", "--trials", "abc"), "--trials must be an integer, got 'abc'"),
        (("run", "bach", "--trials", "1.5"), "--trials must be an integer, got '1.5'"),
        (("run", "bach", "--trials", "a\nb"), r"--trials must be an integer, got 'a\nb'"),
        (("run", "bach", "--lease", "1..2"), "--lease must be a number, got '1..2'"),
        (("run", "bach", "--trials", "9" * 5000), "--trials must be an integer, got '999"),
    ],
)
def test_misuse_is_one_line(error_line: ErrorLine, command: tuple[str, ...], expected: str) -> None:
    assert expected in error_line(*command)


@pytest.mark.parametrize("command", [(), ("study",)])
def test_a_group_without_a_command_prints_its_help(fdrnn: Run, command: tuple[str, ...]) -> None:
    result = fdrnn(*command)
    assert result.exit_code == 2
    assert "fdrnn: error" not in result.stderr
    assert "Commands:\n" in result.stderr


@pytest.mark.parametrize("command", ["--version", "--help", "study --help", "data list"])
def test_output_that_cannot_be_written_is_one_line(command: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m fdrnn.studies.cli {command} > /dev/full"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("fdrnn: error: OSError: ")
    assert "No space left on device" in line


@pytest.mark.parametrize("command", [("run",), ("study", "create")])
def test_an_unknown_study_gets_the_nearest(error_line: ErrorLine, command: tuple[str, ...]) -> None:
    assert "unknown study 'bahc'; did you mean 'bach'?" in error_line(*command, "bahc")


@pytest.mark.parametrize("command", [("run",), ("study", "create")])
def test_a_study_file_without_its_ending_gets_the_file_suggested(
    fdrnn: Run, error_line: ErrorLine, study_file: Path, command: tuple[str, ...]
) -> None:
    hint = "unknown study 'mine'; to use the file 'mine.toml' of this folder, give its name with"
    assert hint in error_line(*command, "mine")
    fdrnn("study", "create", study_file)
    line = error_line(*command, "mine")
    assert hint in line
    assert len(line) < 300


@pytest.mark.parametrize("command", [("run",), ("study", "create")])
def test_an_unknown_study_does_not_list_all_names(
    error_line: ErrorLine, command: tuple[str, ...]
) -> None:
    line = error_line(*command, "qqq")
    assert "unknown study 'qqq'; `fdrnn study list` prints all names; or give the path" in line
    assert len(line) < 200


def test_a_study_of_the_store_alone_is_for_a_worker(
    fdrnn: Run, error_line: ErrorLine, study_file: Path
) -> None:
    fdrnn("study", "create", study_file, "--name", "own")
    assert "; `fdrnn worker own` trains the study of this name in" in error_line("run", "own")


@pytest.mark.parametrize(
    "command",
    [
        ("worker",),
        ("report",),
        ("analyze",),
        ("sample",),
        ("evaluate", "--data", "waves"),
        ("study", "status"),
        ("study", "retry"),
        ("study", "rename", "--", "mine.toml", "new"),
        ("study", "delete", "--yes"),
        ("study", "export"),
        ("study", "verify"),
        ("store", "prune"),
    ],
)
def test_a_file_where_the_store_has_its_study_gets_the_name_suggested(
    fdrnn: Run, error_line: ErrorLine, study_file: Path, command: tuple[str, ...]
) -> None:
    fdrnn("study", "create", study_file)
    arguments = command if "mine.toml" in command else (*command, "mine.toml")
    line = error_line(*arguments)
    assert "unknown study 'mine.toml'; this command takes the study's name in store" in line
    assert line.endswith(": mine")


def test_a_file_whose_study_is_not_in_the_store_is_to_be_created(
    fdrnn: Run, error_line: ErrorLine, study_file: Path
) -> None:
    fdrnn("study", "create", study_file, "--name", "other")
    line = error_line("worker", "mine.toml")
    assert "does not have its study 'mine'; `fdrnn study create mine.toml` creates it" in line
    study_file.write_text(f'name = "own"\n{study_file.read_text()}')
    fdrnn("study", "create", study_file)
    assert error_line("worker", study_file).endswith(": own")
    assert "unknown study 'gone.toml'" in error_line("worker", "gone.toml")


def test_an_unknown_data_set_gets_the_nearest(error_line: ErrorLine, study_file: Path) -> None:
    assert "unknown data set 'jbs'; did you mean 'jsb'?" in error_line("data", "show", "jbs")
    assert "unknown data set 'jbs'; did you mean 'jsb'?" in error_line("data", "fetch", "jbs")
    text = study_file.read_text().replace(str(study_file.with_name("noise.npz")), "jbs")
    study_file.write_text(text)
    line = error_line("study", "create", study_file)
    assert "unknown data set in the key data 'jbs'; did you mean 'jsb'?" in line
    assert str(study_file) in line


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("max_epochs", "max_epoch", "max_epoch"),
        ("max_epochs = 4", "max_epochs = 0", "max_epochs must be at least 1, got 0"),
        ("seed = 7", "seed = -7", "seed must be in 0 .."),
        ("seed = 7", "seed = ", "not valid TOML"),
        ("seed = 7", 'seed = 7\noutput = "gausian"', "did you mean 'gaussian'"),
        ("seed = 7", 'seed = 7\noutput = "softmax_sampled"', "padding must be 'masked' for output"),
    ],
)
def test_a_broken_study_file(
    error_line: ErrorLine, study_file: Path, old: str, new: str, expected: str
) -> None:
    study_file.write_text(study_file.read_text().replace(old, new))
    line = error_line("run", study_file)
    assert expected in line
    assert str(study_file) in line


@pytest.mark.parametrize("option", ["--trials", "--epochs", "--workers", "--threads"])
@pytest.mark.parametrize("value", ["0", "-3"])
def test_numbers_below_1(error_line: ErrorLine, option: str, value: str) -> None:
    line = error_line("run", "bach", option, value)
    assert f"{option} must be at least 1, got {value}" in line


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--lease", "0.5", "--lease must be at least 1 s, got 0.5"),
        ("--lease", "nan", "--lease must be at least 1 s, got nan"),
        ("--checkpoint-every", "-1", "--checkpoint-every must be at least 0 s, got -1"),
    ],
)
@pytest.mark.parametrize("command", [("run", "bach"), ("worker", "bach")])
def test_times_out_of_range(
    error_line: ErrorLine, command: tuple[str, ...], option: str, value: str, rule: str
) -> None:
    assert rule in error_line(*command, option, value)


def test_workers_below_1_of_a_worker(error_line: ErrorLine) -> None:
    assert "--workers must be at least 1, got 0" in error_line("worker", "bach", "--workers", "0")


@pytest.mark.parametrize(
    "command", [("report",), ("study", "status", "x"), ("worker", "x", "--patience", "0")]
)
@pytest.mark.parametrize(
    "storage", ["postgresql://ada@127.0.0.1:1/fdrnn", "sqlite:////dev/null/x", "mysql://h/d"]
)
def test_an_unreachable_store(
    error_line: ErrorLine, command: tuple[str, ...], storage: str
) -> None:
    line = error_line(*command, "--storage", storage)
    assert "store" in line
    assert "--storage" in line


@pytest.mark.parametrize("command", ["run", "worker"])
def test_a_server_that_stays_away_is_waited_for(
    fdrnn: Run, study_file: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FDRNN_STORAGE", "postgresql://ada:secret@127.0.0.1:1/fdrnn")
    result = fdrnn(command, study_file, "--patience", "0.6")
    assert result.exit_code == 75
    waiting, end = result.stderr.splitlines()
    assert waiting.startswith("fdrnn: store postgresql+psycopg://ada:***@127.0.0.1:1/fdrnn: ")
    assert waiting.endswith("; waiting for up to 0.6 s (--patience)")
    assert end.startswith("fdrnn: error: store ")
    assert end.endswith("; it was waited for 0.6 s (--patience)")


def test_a_study_on_an_unreachable_store(
    error_line: ErrorLine, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FDRNN_STORAGE", "postgresql://ada:secret@127.0.0.1:1/fdrnn")
    line = error_line("study", "create", study_file)
    assert "127.0.0.1" in line
    assert "secret" not in line


def test_the_store_of_the_environment(
    fdrnn: Run, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FDRNN_STORAGE", f"sqlite:///{tmp_path}/other.sqlite3")
    assert fdrnn("study", "create", study_file).exit_code == 0
    assert open_store(f"sqlite:///{tmp_path}/other.sqlite3").study_names() == ["mine"]
    assert not (tmp_path / "fdrnn.sqlite3").exists()


def test_create_extend_and_conflict(
    fdrnn: Run, error_line: ErrorLine, study_file: Path, tmp_path: Path
) -> None:
    assert fdrnn("study", "create", study_file).exit_code == 0
    store = open_store(f"sqlite:///{tmp_path}/fdrnn.sqlite3")
    before = store.study("mine").trials()
    assert len(before) == 3

    line = error_line("study", "create", study_file, "--epochs", "3")
    assert "training.max_epochs: here 3, in the store 4" in line
    assert line.endswith("or use the study as it is in the store, with --epochs 4")
    assert "--name" in line
    assert "--storage" in line

    assert fdrnn("study", "create", study_file, "--trials", "5").exit_code == 0
    after = store.study("mine").trials()
    assert len(after) == 5
    assert after["seed"][:3].tolist() == before["seed"].tolist()

    line = error_line("study", "create", study_file)
    assert "n_trials: here 3, in the store 5" in line
    assert line.endswith("or use the study as it is in the store, with --trials 5")
    assert len(store.study("mine").trials()) == 5

    given = ("study", "create", study_file, "--trials", "5", "--repeats", "2")
    assert fdrnn(*given).exit_code == 0
    assert store.study("mine").definition.repeats == 2

    line = error_line("study", "create", study_file, "--trials", "5", "--seed", "8")
    assert "seed: here 8, in the store 7; keep both by another name (--name)" in line
    assert "--seed must be at least 0" in error_line("study", "create", study_file, "--seed", "-1")
    line = error_line("run", study_file, "--seed", 2**63)
    assert f"seed must be in 0 .. {2**63 - 1}, got {2**63}" in line

    both = fdrnn("study", "create", study_file, "--epochs", "5", "--name", "short")
    assert both.exit_code == 0
    assert store.study_names() == ["mine", "short"]
    assert store.study("short").definition.training.max_epochs == 5


def test_other_data_under_the_same_name_are_a_conflict(
    fdrnn: Run, error_line: ErrorLine, study_file: Path, noise: Path
) -> None:
    import numpy as np  # noqa: PLC0415

    fdrnn("study", "create", study_file)
    with np.load(noise) as arrays:
        changed = {name: arrays[name].copy() for name in arrays.files}
    changed["train"][0] ^= 1
    np.savez(noise, **changed)
    assert "contents of data set" in error_line("study", "create", study_file)


def test_status_and_list(fdrnn: Run, error_line: ErrorLine, study_file: Path) -> None:
    fresh = fdrnn("study", "list")
    assert fresh.exit_code == 0
    assert "nottingham-plain" in fresh.stdout
    assert "There is no store" in fresh.stdout

    fdrnn("study", "create", study_file)
    status = fdrnn("study", "status", "mine")
    assert status.exit_code == 0
    assert status.stdout.startswith("study mine: 0 of 3 trials finished, 3 waiting\n")
    assert "seed 7" in status.stdout
    assert "mine: 0 of 3 trials finished" in fdrnn("study", "list").stdout
    assert "did you mean 'mine'?" in error_line("study", "status", "mien")
    assert "did you mean 'mine'?" in error_line("worker", "mien")


def test_a_store_is_migrated(
    fdrnn: Run, error_line: ErrorLine, study_file: Path, tmp_path: Path
) -> None:
    assert "so there is nothing to migrate" in error_line("store", "migrate")
    assert not (tmp_path / "fdrnn.sqlite3").exists()
    fdrnn("study", "create", study_file)
    assert "needs no migration" in fdrnn("store", "migrate").stdout
    store = open_store("fdrnn.sqlite3")
    with store.database.write() as connection:
        # As version 3 had them; the tests of the migration begin with a store of an earlier one.
        for statement in (
            "UPDATE fdrnn_schema SET version = 3",
            "ALTER TABLE fdrnn_parameters DROP COLUMN digest",
            "ALTER TABLE fdrnn_samples DROP COLUMN digest",
        ):
            connection.exec_driver_sql(statement)
    assert "`fdrnn store migrate` upgrades it" in error_line("study", "status", "mine")
    told = fdrnn("store", "migrate")
    assert told.exit_code == 0
    assert "schema version 3 -> 4\n  parameters and samples: column digest" in told.stdout
    assert fdrnn("study", "status", "mine").exit_code == 0


def test_a_store_is_checked(fdrnn: Run, error_line: ErrorLine, study_file: Path) -> None:
    assert "there is no store" in error_line("store", "check")
    fdrnn("study", "create", study_file)
    sound = fdrnn("store", "check")
    assert sound.exit_code == 0
    assert sound.stdout.endswith("fdrnn.sqlite3: no damage found\n")
    store = open_store("fdrnn.sqlite3")
    with store.database.write() as connection:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.exec_driver_sql("UPDATE fdrnn_trials SET state = 'gone' WHERE config_index = 1")
    damaged = fdrnn("store", "check")
    assert damaged.exit_code == 1
    assert damaged.stdout.startswith("trial 1 of study 'mine': state IN ('waiting', ")
    assert "must hold, got state 'gone'; restore the store from a copy" in damaged.stdout


def test_a_study_without_its_plug_in_is_named_as_not_checked(fdrnn: Run, study_file: Path) -> None:
    fdrnn("study", "create", study_file)
    store = open_store("fdrnn.sqlite3")
    gone = {"variant": "gone", "plugins": {"variant": "lost 3.0"}}
    definition = store.study("mine").definition.to_mapping() | gone
    with store.database.write() as connection:
        connection.execute(tables.studies.update().values(definition=definition))
    result = fdrnn("store", "check")
    assert result.exit_code == 0
    assert result.stderr.startswith("fdrnn: not checked: study 'mine' in store ")
    assert result.stdout.endswith("fdrnn.sqlite3: no damage found in the rest\n")


def test_a_report_on_an_empty_store(error_line: ErrorLine, tmp_path: Path) -> None:
    assert "there is no store" in error_line("report")
    open_store(f"sqlite:///{tmp_path}/fdrnn.sqlite3", create=True).close()
    assert "holds no study" in error_line("report")
    assert not (tmp_path / "fdrnn-report").exists()


def test_a_report_of_an_untrained_study(
    fdrnn: Run, error_line: ErrorLine, study_file: Path, tmp_path: Path
) -> None:
    fdrnn("study", "create", study_file)
    result = fdrnn("report", "mine", "--output", tmp_path / "out")
    assert result.exit_code == 0
    assert "no trial has finished yet" in result.stdout
    table = (tmp_path / "out" / "tables" / "table1.md").read_text()
    assert table in result.stdout
    assert (tmp_path / "out" / "tables" / "table1.csv").is_file()
    assert "mine is not finished" in (tmp_path / "out" / "report.html").read_text()
    assert "did you mean 'mine'?" in error_line("report", "mien")


def test_a_report_that_cannot_be_written(fdrnn: Run, study_file: Path, tmp_path: Path) -> None:
    fdrnn("study", "create", study_file)
    (tmp_path / "out").write_text("in the way")
    result = fdrnn("report", "--output", tmp_path / "out")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "cannot be written" in line
    assert "--output" in line


def test_a_damaged_data_file(error_line: ErrorLine, study_file: Path, noise: Path) -> None:
    noise.write_bytes(noise.read_bytes()[:-60])
    assert str(noise) in error_line("data", "show", noise)
    assert str(noise) in error_line("study", "create", study_file)


def test_an_output_that_does_not_fit_the_data(error_line: ErrorLine, study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("seed", 'output = "gaussian"\nseed'))
    line = error_line("run", study_file)
    assert "output must fit the data: 'gaussian' predicts real data" in line
    assert "is binary; output 'bernoulli' or 'nade' fits it" in line


def test_data_of_real_values_are_shown_and_drawn(fdrnn: Run, tmp_path: Path) -> None:
    shown = fdrnn("data", "show", "waves", "--png", tmp_path / "waves.png").stdout
    assert "2 real values per frame" in shown
    assert "ones per frame" not in shown
    assert (tmp_path / "waves.png").read_bytes().startswith(b"\x89PNG")
    assert "nothing to fetch" in fdrnn("data", "fetch", "waves").stdout


def test_a_benchmark_with_a_wrong_checksum_or_missing(
    error_line: ErrorLine, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    assert str(folder) in error_line("data", "show", "jsb", "--data-dir", folder)
    (folder / "JSB_Chorales.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    assert "SHA-256" in error_line("data", "fetch", "jsb", "--data-dir", folder)
    line = error_line("study", "create", "jsb", "--data-dir", folder)
    assert "JSB_Chorales.mat" in line
    assert "SHA-256" in line


def test_the_path_of_a_file_is_not_fetched(error_line: ErrorLine, noise: Path) -> None:
    for options in ((), ("--data-dir", noise.parent)):
        line = error_line("data", "fetch", noise.name, *options)
        assert "unknown data set 'noise.npz' (known: " in line


def test_no_network(error_line: ErrorLine, monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert "--data-dir" in error_line("data", "fetch", "jsb")


def test_no_compiler(
    error_line: ErrorLine, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no C++ compiler: 'no-such-compiler'" in error_line("run", study_file)
    assert not (tmp_path / "fdrnn.sqlite3").exists()


def test_a_mistake_in_the_data_makes_no_store(
    error_line: ErrorLine, study_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(study_file.read_text().replace("noise.npz", "nope.npz"))
    for command in (("study", "create", other), ("run", study_file, other)):
        assert "there is no data file" in error_line(*command)
        assert not (tmp_path / "fdrnn.sqlite3").exists()


def test_data_list_and_show(fdrnn: Run, noise: Path, tmp_path: Path) -> None:
    listed = fdrnn("data", "list", "--data-dir", tmp_path)
    assert listed.exit_code == 0
    assert "the data folder lacks it" in listed.stdout
    assert "bach: not the JSB Chorales benchmark" in listed.stdout

    png = tmp_path / "roll.png"
    result = fdrnn("data", "show", noise, "--split", "test", "--sequence", "1", "--png", png)
    assert result.exit_code == 0
    assert "3 features" in result.stdout
    assert png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--split", "all", "--split must be one of train, valid, test, got 'all'"),
        ("--sequence", "2", "--sequence must be at most 1 for the train split, got 2"),
        ("--sequence", "-1", "got -1"),
    ],
)
def test_data_show_of_what_is_not_there(
    error_line: ErrorLine, noise: Path, option: str, value: str, expected: str
) -> None:
    line = error_line("data", "show", noise, option, value, "--png", "roll.png")
    assert expected in line


def test_options_that_would_have_no_effect_are_refused(error_line: ErrorLine, noise: Path) -> None:
    for option, value in (("--split", "test"), ("--sequence", "0")):
        assert "choose what --png draws" in error_line("data", "show", noise, option, value)
    assert "ends in .png, got x.jpg" in error_line("data", "show", noise, "--png", "x.jpg")
    for command in (("report",), ("study", "status")):
        assert "the interval of --watch" in error_line(*command, "--every", "5")


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (MemoryError(), "(MemoryError)"),
        (MemoryError("\nno 29.8 GiB\nApply node: a page"), "(MemoryError: no 29.8 GiB)"),
    ],
)
def test_too_little_memory_is_one_line(
    error_line: ErrorLine, error: MemoryError, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def need(data_dir: Path | None) -> None:
        raise error

    monkeypatch.setattr("fdrnn.studies.cli.data.describe", need)
    assert f"out of memory {detail}; use smaller numbers" in error_line("data", "list")


@pytest.mark.parametrize(
    "command", ["study list | true", "study list | head -1 > /dev/null", "data list | true"]
)
def test_output_that_nobody_reads_ends_the_command_without_a_word(command: str) -> None:
    command = f"{sys.executable} -m fdrnn.studies.cli {command}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_a_character_that_the_encoding_of_the_output_lacks_is_escaped(
    fdrnn: Run, study_file: Path
) -> None:
    assert fdrnn("study", "create", study_file, "--storage", "日本.sqlite3").exit_code == 0
    done = subprocess.run(
        [sys.executable, "-m", "fdrnn.studies.cli", "store", "check", "--storage", "日本.sqlite3"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u65e5\u672c.sqlite3" in done.stdout


def test_a_drawing_that_cannot_be_written(fdrnn: Run, noise: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = fdrnn("data", "show", noise, "--png", tmp_path / "file" / "roll.png")
    assert result.exit_code == 2
    assert "--png: " in result.stderr
    assert "cannot be written" in result.stderr


def test_a_dashboard_with_nothing_to_show_or_no_port(
    fdrnn: Run, error_line: ErrorLine, study_file: Path, tmp_path: Path
) -> None:
    assert "there is no store" in error_line("dashboard")
    open_store(f"sqlite:///{tmp_path}/fdrnn.sqlite3", create=True).close()
    assert "holds no study" in error_line("dashboard")
    fdrnn("study", "create", study_file)
    assert "--port must be at most 65535" in error_line("dashboard", "--port", "70000")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}" in error_line("dashboard", "--port", port)
        beyond = fdrnn("dashboard", "--host", "0.0.0.0", "--port", port)
    assert beyond.exit_code == 2
    assert "has no authentication" in beyond.stderr
