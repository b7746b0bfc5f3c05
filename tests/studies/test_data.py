"""``fdrnn data list`` and ``fdrnn data from-midi``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fdrnn.datasets import SPLITS, KnownDataset, load
from fdrnn.reports.figures.midi import midi_file


def test_a_plugin_is_listed_with_its_title_and_package(
    fdrnn: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = KnownDataset("laps", "Laps of a race", "plug-in", None, "made up", "my-lap 0.3")
    monkeypatch.setattr("fdrnn.studies.cli.data.describe", lambda data_dir: (known,))
    lines = fdrnn("data", "list").stdout.splitlines()
    assert " ".join(lines[3].split()) == "laps Laps of a race the plug-in package my-lap 0.3"
    assert lines[-1] == "laps: made up"


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Ten pieces of eighth notes, a copy of one, and a text."""
    folder = tmp_path / "music"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(10):
        roll = (rng.random((20, 88)) < 0.1).astype(np.uint8)
        (folder / f"{index}.mid").write_bytes(midi_file(roll, 21, 0.5))
    (folder / "copy.mid").write_bytes((folder / "0.mid").read_bytes())
    (folder / "text.mid").write_text("no music\x1b[2J")
    return folder


def test_a_folder_becomes_a_data_file(fdrnn: Callable, music: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.npz"
    result = fdrnn("data", "from-midi", music, "--step", "1/8", "--split", "8,1,1", "-o", output)
    assert result.exit_code == 0
    data = load(str(output))
    assert [len(data.split(split)) for split in SPLITS] == [8, 1, 1]
    assert (data.lowest_midi_note, data.step_quarters) == (21, 0.5)
    assert f"skipped: {music / 'text.mid'}: not a MIDI file" in result.stdout
    assert "left out: 1 duplicate of other files" in result.stdout
    assert "8 train, 1 valid, 1 test sequences" in result.stdout
    assert "\x1b" not in result.stdout
    before = output.read_bytes()
    assert (
        fdrnn("data", "from-midi", music, "--seed", "1", "--transpose", "-o", output).exit_code == 0
    )
    assert output.read_bytes() != before


def test_the_range_is_that_of_the_columns(fdrnn: Callable, music: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.npz"
    assert fdrnn("data", "from-midi", music, "--range", "40,79", "-o", output).exit_code == 0
    data = load(str(output))
    assert (data.lowest_midi_note, data.n_features) == (40, 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--step", "0"), "a step must last from 1/256 to 256 quarter notes, got '0'"),
        (("--step", "quarter"), "--step must be a fraction such as 1/4, got 'quarter'"),
        (("--step", "1/0"), "--step must be a fraction"),
        (("--step", "1e999999999"), "--step must be a fraction"),
        (("--split", "70,30"), "--split must be 3 whole numbers with commas between, got '70,30'"),
        (("--split", "70,30,-1"), "--split must be 3 whole numbers"),
        (("--split", "70,30,0"), "three numbers from 1 to 2^31 - 1, got (70, 30, 0)"),
        (("--range", "60,40"), "two ascending MIDI notes from 0 to 127, got 60 and 40"),
        (("--seed", "-1"), "--seed must be at least 0"),
        (("-o", "mine.csv"), "--output must name a file that ends in .npz, got 'mine.csv'"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    fdrnn: Callable, music: Path, tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    output = ("-o", str(tmp_path / "mine.npz")) if options[0] != "-o" else ()
    result = fdrnn("data", "from-midi", music, *output, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "mine.npz").exists()


def test_a_folder_without_music_is_one_line(fdrnn: Callable, tmp_path: Path) -> None:
    result = fdrnn("data", "from-midi", tmp_path, "-o", tmp_path / "mine.npz")
    assert result.exit_code == 2
    assert "holds no MIDI file (.mid, .midi)" in " ".join(result.stderr.split())
