"""The how-to's output and data set: found by their names, and right."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from fdrnn.datasets import load, plugins
from fdrnn.datasets.standardisation import log_scale, standardised
from fdrnn.model import OUTPUTS, VARIANTS
from fdrnn.model.network import Network
from fdrnn.model.packing import pack_sequences
from fdrnn.search import StudyDefinition

EXAMPLE = Path(__file__).parents[2] / "docs" / "how-to" / "laplace"


@pytest.fixture(autouse=True)
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example as pip would install it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    about = tmp_path / "fdrnn_laplace-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fdrnn-laplace\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items())
            for group, entries in project["entry-points"].items()
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLE)
    cached = (plugins._entry_points, plugins._load)
    for one in cached:
        one.cache_clear()
    yield
    for one in cached:
        one.cache_clear()
    sys.modules.pop("fdrnn_laplace", None)


def configured(variant: str, data: Any) -> Network:
    output = OUTPUTS["laplace"]
    network = Network(VARIANTS[variant], output)
    typical = VARIANTS[variant].typical
    rng = np.random.default_rng(3)
    settings = StudyDefinition.from_mapping(
        tomllib.loads((EXAMPLE / "laplace.toml").read_text()), "laplace"
    ).training
    parameters = network.initial_parameters(typical, output.typical, data.n_features, settings, 5)
    parameters = {
        name: value + rng.normal(0, 0.05, value.shape).astype(np.float32)
        for name, value in parameters.items()
    }
    network.set_parameters(parameters)
    network.configure(typical, 0.0, 1.0, log_scale=log_scale(data))
    return network


@pytest.mark.parametrize("variant", ["plain", "fast_dropout"])
def test_the_nll_is_that_of_scipy_s_distribution(variant: str) -> None:
    data = load("steps")
    network = configured(variant, data)
    (block,) = pack_sequences(standardised(data).test[:2], steps_per_block=1000)
    moments = network.row_function(
        lambda activations, symbols, _: network.output.presynaptic(activations, symbols)
    )
    (mean, *variance), _ = moments(block, network.initial_state())
    of_rows = (mean.astype(float), variance[0].astype(float) if variance else None)
    deviation = network.output.deviation(of_rows, network.parameters())
    nll = -scipy.stats.laplace.logpdf(block.target, mean, deviation / np.sqrt(2)).sum(axis=1)
    ours, _ = network.score(block, network.initial_state())
    np.testing.assert_allclose(ours, nll + log_scale(data), rtol=1e-4, atol=1e-4)


def test_drawn_frames_have_the_predicted_moments() -> None:
    output = OUTPUTS["laplace"]
    rng = np.random.default_rng(0)
    moments = np.array([[1.0, -2.0]]), np.array([[0.5, 0.0]])
    parameters = {"log_scale_y": np.array([0.0, 1.0], np.float32)}
    variates = output.variates(rng, 100_000, 2)
    frames = output.realize(moments, parameters, variates)
    np.testing.assert_allclose(frames.mean(axis=0), moments[0][0], atol=0.05)
    deviation = output.deviation(moments, parameters)
    np.testing.assert_allclose(frames.std(axis=0), deviation[0], rtol=0.02)


def test_the_study_is_valid() -> None:
    mapping = tomllib.loads((EXAMPLE / "laplace.toml").read_text())
    definition = StudyDefinition.from_mapping(mapping, "laplace")
    definition.require_data(load("steps").description)
    assert definition.to_mapping()["plugins"] == {
        "output": "fdrnn-laplace 0.1",
        "data": "fdrnn-laplace 0.1",
    }
