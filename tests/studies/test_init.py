"""``fdrnn init``: the definition that it writes fits the data, and can be created at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from fdrnn.datasets import Dataset, write_npz
from fdrnn.studies import catalogue

Run = Callable[..., Result]
ErrorLine = Callable[..., str]


def write(path: Path, kind: str, n_sequences: int = 4, length: int = 250) -> None:
    random = np.random.default_rng(0)

    def sequence() -> np.ndarray:
        if kind == "real":
            return random.normal(size=(length, 3))
        if kind == "categorical":
            return np.eye(3, dtype=np.uint8)[random.integers(0, 3, length)]
        return random.integers(0, 2, (length, 3), dtype=np.uint8)

    splits = {
        split: tuple(sequence() for _ in range(n_sequences)) for split in ("train", "valid", "test")
    }
    write_npz(path, Dataset(name="x", title="x", kind=kind, **splits))


@pytest.mark.parametrize(
    ("kind", "output"),
    [("binary", "bernoulli"), ("real", "gaussian"), ("categorical", "softmax_sampled")],
)
def test_a_definition_of_own_data(fdrnn: Run, tmp_path: Path, kind: str, output: str) -> None:
    write(tmp_path / "mine.npz", kind)
    done = fdrnn("init", "study.toml", "--data", "mine.npz")
    assert done.exit_code == 0, done.output
    assert "`fdrnn run study.toml` trains it" in done.stdout
    definition = catalogue.find("study.toml")
    assert (definition.name, definition.output) == ("study", output)
    assert definition.data == str(tmp_path / "mine.npz")
    assert definition.training.padding == "masked"
    # 4 sequences of 3 chunks are one minibatch.
    assert (definition.training.max_epochs, definition.training.patience) == (1000, 100)
    assert 'data = "mine.npz"' in (tmp_path / "study.toml").read_text()
    assert fdrnn("study", "create", "study.toml").exit_code == 0


def test_every_comment_of_a_setting_is_a_setting(fdrnn: Run, tmp_path: Path) -> None:
    write(tmp_path / "mine.npz", "binary")
    fdrnn("init", "study.toml", "--data", "mine.npz")
    text = (tmp_path / "study.toml").read_text()
    for comment in ("repeats", "chunk_length", "clip_norm", "init_scale", "[halving]", "first"):
        assert f"\n# {comment}" in text
    uncommented = text
    for key in ("repeats", "chunk_length", "clip_norm", "init_scale", "step_rate_decay", "record"):
        uncommented = uncommented.replace(f"\n# {key} =", f"\n{key} =")
    for line in ("[halving]", "first =", "keep ="):
        uncommented = uncommented.replace(f"\n# {line}", f"\n{line}")
    (tmp_path / "whole.toml").write_text(uncommented)
    definition = catalogue.find("whole.toml")
    assert definition.repeats == 3
    assert definition.halving is not None


def test_epochs_follow_from_the_number_of_minibatches(fdrnn: Run, tmp_path: Path) -> None:
    write(tmp_path / "many.npz", "binary", n_sequences=270, length=100)
    fdrnn("init", "study.toml", "--data", "many.npz")
    assert catalogue.find("study.toml").training.max_epochs == 500


def test_data_elsewhere_have_their_whole_path(fdrnn: Run, tmp_path: Path) -> None:
    write(tmp_path / 'a "quoted" näme.npz', "binary")
    (tmp_path / "studies").mkdir()
    done = fdrnn("init", "studies/mine.toml", "--data", 'a "quoted" näme.npz')
    assert done.exit_code == 0, done.output
    assert catalogue.find("studies/mine.toml").data == str(tmp_path / 'a "quoted" näme.npz')


def test_suggested_commands_can_be_pasted(fdrnn: Run, tmp_path: Path) -> None:
    write(tmp_path / "mine.npz", "binary")
    done = fdrnn("init", "my study.toml", "--data", "mine.npz")
    assert "`fdrnn run 'my study.toml'` trains it" in done.stdout
    assert "fdrnn run 'my study.toml'\n" in (tmp_path / "my study.toml").read_text()


def test_known_data_count_padding_as_in_the_paper(fdrnn: Run) -> None:
    fdrnn("init", "own-waves.toml", "--data", "waves")
    definition = catalogue.find("own-waves.toml")
    assert (definition.data, definition.training.padding) == ("waves", "counted")


def test_bad_input(error_line: ErrorLine, noise: Path, tmp_path: Path) -> None:
    assert "FILE must end in .toml" in error_line("init", "mine", "--data", noise)
    assert "there is no data file" in error_line("init", "mine.toml", "--data", "nope.npz")
    assert "unknown data set 'jbs'" in error_line("init", "mine.toml", "--data", "jbs")
    assert not (tmp_path / "mine.toml").exists()
    (tmp_path / "mine.toml").write_text("precious")
    assert "exists already" in error_line("init", "mine.toml", "--data", noise)
    assert (tmp_path / "mine.toml").read_text() == "precious"
    shutil.copy(noise, os.fsdecode(b"caf\xe9.npz"))
    refused = error_line("init", "other.toml", "--data", os.fsdecode(b"caf\xe9.npz"))
    assert r"--data must be a path in UTF-8, got 'caf\udce9.npz'; rename" in refused
