"""The benchmark runs and its numbers hang together; how fast anything is, no test asks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fdrnn.datasets import Dataset, write_npz
from fdrnn.model import VARIANTS
from fdrnn.model.errors import BenchmarkError
from fdrnn.model.timing import processes
from fdrnn.studies.cli import bench
from fdrnn.studies.cli.app import app


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    rolls = tuple((random.random((n, 88)) < 0.05).astype(np.uint8) for n in (120, 30, 7))
    path = tmp_path / "noise.npz"
    with path.open("wb") as file:
        write_npz(file, Dataset("noise", "Noise", rolls, rolls, rolls))
    return path


def test_quick_benchmark_as_json(noise: Path) -> None:
    done = CliRunner().invoke(
        app, ["bench", "--quick", "--rounds", "2", "--json", "--data", str(noise)]
    )
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    (step,) = result["steps"]
    assert (step["batch_size"], step["n_hidden"]) == (9, 200)
    for timing in (step["products"], step["kernel"], step["step"]):
        assert 0 < timing["least_s"] <= timing["median_s"] <= timing["most_s"]
    assert step["peak_share"] > 0
    (epoch,) = result["epochs"]
    assert epoch["sharing_ratio"] > 0
    assert "openblas" in result["machine"]
    assert result["compilation"] is None


def test_quick_benchmark_as_tables(noise: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "--quick", "--rounds", "1", "--data", str(noise)])
    assert done.exit_code == 0, done.output
    for text in (
        "OpenBLAS alone",
        "share of peak",
        "eager/step",
        "test/training",
        "store beside the epochs",
    ):
        assert text in done.stdout


def test_data_of_another_kind_are_refused_before_anything_is_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "_measure", lambda *_: pytest.fail("it measures"))
    done = CliRunner().invoke(app, ["bench", "--quick", "--data", "waves"])
    assert done.exit_code == 2
    assert "'bernoulli' predicts binary data, and 'waves' is real" in done.stderr


def test_a_process_that_fails_is_one_line_and_ends_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "_TRIAL", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(BenchmarkError, match="a trial of the benchmark was killed by signal 9"):
        processes.run_trials(2, "bach", None, 8, 1)
    monkeypatch.setattr(processes, "_COMPILE", "raise SystemExit(3)")
    with pytest.raises(BenchmarkError, match="compilation of the benchmark ended with exit code 3"):
        processes.time_compilation()


def test_every_variant_is_timed() -> None:
    done = CliRunner().invoke(app, ["bench", "--variants", "--quick", "--rounds", "2", "--json"])
    assert done.exit_code == 0, done.output
    times = json.loads(done.stdout)["variants"]
    assert [one["variant"] for one in times] == list(VARIANTS)
    by_name = {one["variant"]: one for one in times}
    assert by_name["fast_dropout"]["to_reference"] == 1.0
    for one in times:
        assert 0 < one["step"]["least_s"] <= one["step"]["median_s"] <= one["step"]["most_s"]
    table = CliRunner().invoke(app, ["bench", "--variants", "--quick", "--rounds", "1"])
    assert "weight_decay" in table.stdout


@pytest.mark.parametrize("variants", [[], ["--variants"]])
def test_no_rounds(variants: list[str]) -> None:
    done = CliRunner().invoke(app, ["bench", "--rounds", "0", *variants])
    assert done.exit_code == 2
    assert "--rounds must be at least 1, got 0" in done.output


@pytest.mark.parametrize("option", [("--data", "bach"), ("--data-dir", ".")])
def test_the_variants_have_no_data(option: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["bench", "--variants", *option])
    assert done.exit_code == 2
    assert "--variants times steps on made-up data: leave out --data and --data-dir" in done.stderr
