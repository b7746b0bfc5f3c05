"""``fdrnn sample`` on a study that was really trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from music21 import midi as music21_midi
from typer.testing import Result

# Loaded before these tests move the cache directory, so that compiled operations are shared.
import fdrnn.model.network  # noqa: F401
from fdrnn.datasets import Dataset, write_npz
from fdrnn.model import TrainingSettings
from fdrnn.search import SPACES, StudyDefinition, create_study, open_store, run_worker
from fdrnn.search.store import tables

Run = Callable[..., Result]
ErrorLine = Callable[..., str]

N_NOTES = 12


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and the data of its studies, to be copied.

    Study ``notes`` has columns that are notes, ``columns`` has others; each two finished trials.
    """
    folder = tmp_path_factory.mktemp("studied")
    random = np.random.default_rng(0)
    train, valid, test = (
        tuple((random.random((length, N_NOTES)) < 0.3).astype(np.uint8) for length in (20, 12))
        for _ in range(3)
    )
    url = f"sqlite:///{folder}/fdrnn.sqlite3"
    store = open_store(url, create=True)
    for name, lowest in (("notes", 60), ("columns", None)):
        path = folder / f"{name}.npz"
        data = Dataset(
            name=str(path), title=path.name, train=train, valid=valid, test=test,
            lowest_midi_note=lowest,
        )  # fmt: skip
        write_npz(path, data)
        definition = StudyDefinition(
            name=name, data=str(path), variant="fast_dropout", space=SPACES["table2"],
            n_trials=2, seed=1,
            training=TrainingSettings(batch_size=2, chunk_length=10, max_epochs=1),
        )  # fmt: skip
        create_study(store, definition, data.description)
        run_worker(url, name)
    store.close()
    return folder


@pytest.fixture
def url(studied: Path, tmp_path: Path) -> str:
    shutil.copy(studied / "fdrnn.sqlite3", tmp_path)
    return f"sqlite:///{tmp_path}/fdrnn.sqlite3"


def notes_of(path: Path) -> int:
    file = music21_midi.MidiFile()
    file.readstr(path.read_bytes())
    return sum(event.isNoteOn() for track in file.tracks for event in track.events)


def test_the_selected_trial_is_sampled_kept_and_written(
    fdrnn: Run, url: str, tmp_path: Path
) -> None:
    result = fdrnn("sample", "notes", "--sequence", "1", "--steps", "30", "--output", "music")
    assert result.exit_code == 0, result.output
    store = open_store(url)
    best = store.study("notes").selected
    assert best is not None
    kept = store.study("notes").samples(best)
    assert kept is not None
    assert (len(kept.excerpt), len(kept.sample), kept.origin.sequence) == (12, 30, 1)

    files = [Path(line) for line in result.stdout.splitlines()]
    stem = f"notes-trial-{best}"
    names = [f"{stem}-music.png", f"{stem}-excerpt.mid", f"{stem}-sample.mid"]
    assert files == [Path("music") / name for name in names]
    assert files[0].read_bytes().startswith(b"\x89PNG")
    for file, frames in zip(files[1:], (kept.excerpt, kept.sample), strict=True):
        begins = np.diff(frames.astype(int), axis=0, prepend=0) == 1
        assert notes_of(file) == begins.sum()
    assert f"trial {best}: excerpt and predictions of test sequence 1" in result.stderr
    assert "does not say how long a step is: its MIDI files take 0.5" in result.stderr

    before = {file: file.read_bytes() for file in files}
    again = fdrnn("sample", "notes", "--sequence", "1", "--steps", "30", "--output", "music")
    assert again.exit_code == 0
    assert {file: file.read_bytes() for file in files} == before
    other = fdrnn("sample", "notes", "--trial", 1 - best, "--seed", 3, "--given", "2")
    assert other.exit_code == 0
    assert (tmp_path / "fdrnn-report" / f"notes-trial-{1 - best}-sample.mid").is_file()
    assert store.study("notes").samples(1 - best).origin.seed == 3  # type: ignore[union-attr]


def test_a_model_is_evaluated_on_a_file(
    fdrnn: Run, error_line: ErrorLine, studied: Path, url: str, tmp_path: Path
) -> None:
    trials = open_store(url).study("notes").trials()
    result = fdrnn("evaluate", "notes", "--data", studied / "notes.npz", "--trial", "1")
    assert result.exit_code == 0, result.output
    about, pooled, mean = result.stdout.splitlines()
    assert about.startswith("study notes, trial 1, on the test split of notes.npz (2 sequences, 30")
    for line, name in ((pooled, "test_nll_pooled"), (mean, "test_nll_sequence_mean")):
        assert float(line.split()[-1]) == pytest.approx(trials[name][1], abs=1e-4)
    # The columns of the other file have no notes.
    assert fdrnn("evaluate", "notes", "--data", studied / "columns.npz").exit_code == 0
    line = error_line("evaluate", "notes", "--data", "waves")
    assert "kind must be that of the data of study 'notes', binary, got real" in line
    line = error_line("evaluate", "notes", "--data", "waves", "--split", "all")
    assert "--split must be one of train, valid, test, got 'all'" in line


def test_columns_that_are_no_notes_have_no_midi(fdrnn: Run, url: str) -> None:
    result = fdrnn("sample", "columns", "--trial", "0")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["fdrnn-report/columns-trial-0-music.png"]
    assert "no MIDI files: the columns of columns.npz are not MIDI notes" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--trial", "2"), "unknown trial '2'; study 'notes' has trials 0 to 1"),
        (("--sequence", "2"), "--sequence must be at most 1 for the test split, got 2"),
        (("--sequence", "-1"), "got -1"),
        (("--steps", "0"), "--steps must be at least 1, got 0"),
        (("--given", "0"), "--given must be at least 1, got 0"),
        (("--given", "64"), "--given must be less than --steps (64), got 64"),
        (("--steps", "4"), "--given must be less than --steps (4), got 8"),
        (
            ("--given", "13", "--sequence", "1"),
            "--given must be at most 12, the steps of test sequence 1, got 13",
        ),
        (("--seed", "-1"), "--seed must be at least 0, got -1"),
    ],
)
def test_what_is_not_there(
    error_line: ErrorLine, url: str, arguments: tuple[str, ...], expected: str
) -> None:
    assert expected in error_line("sample", "notes", *arguments)


def test_trials_without_a_model(
    fdrnn: Run, error_line: ErrorLine, url: str, study_file: Path
) -> None:
    assert "there is no store" in error_line(
        "sample", "notes", "--storage", "sqlite:///none.sqlite3"
    )
    assert "unknown study 'note'; did you mean 'notes'?" in error_line("sample", "note")
    fdrnn("study", "create", study_file)
    assert "no trial of study 'mine' has finished" in error_line("sample", "mine")
    assert "trial 0 of study 'mine' is waiting" in error_line("sample", "mine", "--trial", "0")
    with open_store(url).database.write() as connection:
        connection.execute(sa.delete(tables.parameters))
    assert "imported without weights" in error_line("sample", "notes")


def test_data_that_are_not_the_studys(
    error_line: ErrorLine, studied: Path, url: str, tmp_path: Path
) -> None:
    store = open_store(url)
    definition = store.study("notes").definition.to_mapping() | {"data": str(tmp_path / "x.npz")}
    with store.database.write() as connection:
        connection.execute(tables.studies.update().values(definition=definition))
    assert "there is no data file" in error_line("sample", "notes")
    random = np.random.default_rng(1)
    rolls = tuple(random.integers(0, 2, (9, N_NOTES), dtype=np.uint8) for _ in range(2))
    other = Dataset(name="x", title="x", train=rolls, valid=rolls, test=rolls)
    write_npz(tmp_path / "x.npz", other)
    assert "is not the one that study 'notes' was created for" in error_line("sample", "notes")


def test_a_folder_that_cannot_be_written(fdrnn: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = fdrnn("sample", "notes", "--output", tmp_path / "file" / "folder")
    assert result.exit_code == 2
    assert "music.png cannot be written" in result.stderr.splitlines()[-1]
    assert "kept in store" not in result.stderr
