"""Mutated files through every reader, in the short form; ``python -m fuzz`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.mutations import write_mutated
from fuzz.readers import READERS
from fuzz.reading import read_all


@pytest.mark.parametrize("name", READERS)
def test_examples_are_read(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    for path in reader.examples(tmp_path):
        reader.read(path)
        path.write_bytes(reader.pack(reader.unpack(path.read_bytes())))
        reader.read(path)


@pytest.mark.parametrize("name", READERS)
def test_only_errors_of_the_project_within_bounds(name: str, tmp_path: Path) -> None:
    outcomes = read_all(name, write_mutated(READERS[name], tmp_path, n_inputs=60, seed=1))
    assert not [outcome for outcome in outcomes if outcome.fault]
    n_refused = sum(outcome.error is not None for outcome in outcomes)
    assert n_refused > 0
