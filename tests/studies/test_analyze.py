from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest
from typer.testing import Result

from fdrnn.model.gradients.parts import LayerDecomposition
from fdrnn.search import Analysis
from fdrnn.studies.cli import analyze


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Analysis:
    """What the command finds, instead of a trained model."""
    rng = np.random.default_rng(0)
    W, delta, full = rng.normal(size=(3, 2)), rng.normal(size=(5, 2)), rng.normal(size=(3, 2))
    delta[0] = 0.0
    layer = LayerDecomposition("W_rec", W, delta, np.abs(W), 0.75 * full, 0.25 * full, full)
    result = Analysis(4, 17, (layer,))
    monkeypatch.setattr(analyze, "open_store", lambda url: MagicMock())
    monkeypatch.setattr(analyze, "analyze_model", lambda *_: result)
    return result


def test_table_and_file(found: Analysis, fdrnn: Callable[..., Result], tmp_path: Path) -> None:
    result = fdrnn("analyze", "mine", "--trial", "4", "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "study mine, trial 4, after epoch 17" in result.stdout
    assert "0.333" in result.stdout
    assert "20.0%" in result.stdout
    table = pd.read_csv(tmp_path / "out" / "mine-trial-4-decomposition.csv")
    (layer,) = found.layers
    assert list(table["unit"]) == [0, 1]
    np.testing.assert_allclose(table["delta_sum"], layer.delta.sum(0))
    np.testing.assert_allclose(table["delta_zero"], [0.2, 0.2])
    np.testing.assert_allclose(table["eta_sum"], layer.eta.sum(0))
    np.testing.assert_allclose(table["regularizer_gradient_norm"] * 3, table["loss_gradient_norm"])


def test_an_unknown_study_is_one_line(error_line: Callable[..., str], study_file: Path) -> None:
    assert "store" in error_line("analyze", "mine")
