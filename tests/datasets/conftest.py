"""Every test has its own cache; Bach's chorales are read once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fdrnn.datasets import Dataset, load


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache directory, which does not exist yet; no data folder is named."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("FDRNN_CACHE_DIR", str(directory))
    monkeypatch.delenv("FDRNN_DATA_DIR", raising=False)
    return directory


@pytest.fixture(scope="session")
def bach_cache(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    """A cache directory that holds Bach's chorales, and the data set as first made."""
    directory = tmp_path_factory.mktemp("bach-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FDRNN_CACHE_DIR", str(directory))
        return directory, load("bach")


@pytest.fixture
def small() -> Dataset:
    """A piano-roll data set with an empty frame and sequences of several lengths."""
    random = np.random.default_rng(5)

    def rolls(*lengths: int) -> tuple[np.ndarray, ...]:
        return tuple((random.random((n, 88)) < 0.05).astype(np.uint8) for n in lengths)

    train = rolls(7, 1, 12)
    train[0][3] = 0
    return Dataset(
        name="small",
        title="Small",
        train=train,
        valid=rolls(4, 4),
        test=rolls(9),
        lowest_midi_note=21,
        step_quarters=0.5,
    )
