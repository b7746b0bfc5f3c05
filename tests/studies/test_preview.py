"""``fdrnn study preview``: a space, its draws, its cost, and halving replayed on a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import Result

from fdrnn.datasets import Dataset
from fdrnn.search import (
    Configuration,
    CostEstimate,
    Halving,
    PortableStudy,
    StudyDefinition,
    replay,
)
from fdrnn.studies.cli import preview

Run = Callable[..., Result]
ErrorLine = Callable[..., str]

GOLDEN = Path(__file__).parents[1] / "reports" / "golden" / "golden-fd.fdrnn.zip"
OWN = """\
data = "{data}"
variant = "plain"
n_trials = 6
seed = 3
repeats = 2

[space]
extends = "table2-plain"
n_hidden = {{ int = [8, 32], log = true, step = 8 }}
step_rate = {{ float = [1e-4, 1e-2], log = true }}
momentum = 0.9

[training]
batch_size = 2
max_epochs = 8

[halving]
first = 2
"""

STUDY_OF_RUNGS = """\
data = "bach"
variant = "fast_dropout"
space = "table2"
n_trials = 4
seed = 1

[training]
max_epochs = {max_epochs}

"""


def test_a_study_is_shown_without_a_store(fdrnn: Run, noise: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN.format(data=noise))
    result = fdrnn("study", "preview", "own.toml")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    rows = [line.split() for line in lines]
    assert ["n_hidden", "8", "to", "32,", "logarithmic,", "step", "8"] in rows
    assert ["momentum", "0.9"] in rows
    assert ["max_incoming", "15,", "25,", "35,", "50,", "none"] in rows
    assert ["momentum", *["0.9"] * 10] in rows
    assert "Halving: 0.5 of the trials continue after epochs 2, 4" in lines
    # 2 epochs of each trial, half of them 2 more, a quarter 4 more; and two repeats.
    assert "; 40 epochs in all" in lines[-1]
    assert sorted(path.name for path in tmp_path.glob("*.sqlite3")) == []


def test_halving_is_replayed_on_an_exported_study(fdrnn: Run) -> None:
    result = fdrnn("study", "preview", "--from", GOLDEN, "--first", 2, "--keep", 0.25)
    assert result.exit_code == 0, result.output
    portable = PortableStudy.read(GOLDEN)
    max_epochs = portable.definition.training.max_epochs
    curves, _ = portable.curves()
    expected = replay(Halving.from_mapping({"first": 2, "keep": 0.25}, max_epochs), curves)
    (row,) = [line.split() for line in result.stdout.splitlines() if "with halving" in line]
    assert str(sum(expected.n_epochs.values())) in row
    assert f"({len(expected.continued)}" in row


def test_rungs_that_the_studys_epochs_do_not_reach_are_left_out(
    fdrnn: Run, error_line: ErrorLine, tmp_path: Path
) -> None:
    max_epochs = PortableStudy.read(GOLDEN).definition.training.max_epochs
    definition = STUDY_OF_RUNGS.format(max_epochs=10 * max_epochs)
    for rungs, first in (([2, 5 * max_epochs], 2), ([5 * max_epochs], None)):
        (tmp_path / "mine.toml").write_text(definition + f"[halving]\nrungs = {rungs}\n")
        arguments = ("study", "preview", tmp_path / "mine.toml", "--from", GOLDEN)
        if first is None:
            assert f"must be below the {max_epochs} epochs of" in error_line(*arguments)
        else:
            assert f"rungs after epochs {first};" in fdrnn(*arguments).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a STUDY, or an exported study by --from"),
        (("--from", GOLDEN, "--keep", 1), r"halving.keep must be in \(0, 1\), got 1.0"),
        (("--from", GOLDEN, "--first", 1000), "halving.first must be at least 1 and below max"),
        (("jsb", "--from", GOLDEN), r"study jsb must have a table \[halving\] to replay"),
        (("--from", "lost.zip"), "lost.zip"),
        (("jbs",), "unknown study 'jbs'; did you mean 'jsb'"),
        (("jsb", "--first", 2), "--first and --keep choose what --from replays: add --from FILE"),
        (("jsb", "--keep", 0.5), "--first and --keep choose what --from replays: add --from FILE"),
        (("jsb-wide-halving", "--from", GOLDEN, "--keep", 0.5), "leave out STUDY, or --first and"),
        (("jsb-wide-halving", "--from", GOLDEN, "--first", 2), "leave out STUDY, or --first and"),
        (("--from", GOLDEN, "--data-dir", "."), "--from reads no data: leave out --data-dir"),
    ],
)
def test_mistakes_are_one_line(
    error_line: ErrorLine, arguments: tuple[object, ...], message: str
) -> None:
    assert re.search(message, error_line("study", "preview", *arguments))


@pytest.mark.parametrize(
    ("n_trials", "expected"), [(1, "1 draw;"), (2, "2 draws;"), (6, "3 draws;")]
)
def test_as_many_draws_are_measured_as_are_named(
    fdrnn: Run,
    noise: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    n_trials: int,
    expected: str,
) -> None:
    measured = []

    def estimate(
        definition: StudyDefinition, dataset: Dataset, draws: Sequence[Configuration]
    ) -> CostEstimate:
        measured.extend(draws)
        return CostEstimate(epoch_s=1.0, most_epochs=8.0)

    monkeypatch.setattr(preview, "estimate_cost", estimate)
    text = OWN.format(data=noise).replace("n_trials = 6", f"n_trials = {n_trials}")
    (tmp_path / "own.toml").write_text(text)
    line = fdrnn("study", "preview", "own.toml").stdout.splitlines()[-1]
    assert f"an epoch trains 1 s on average of {expected}" in line
    assert len(measured) == int(expected[0])
