"""The gradient of every variant's training loss: finite differences in float64, and float32."""

import dataclasses

import numpy as np
import pytest

from fdrnn.model import VARIANTS
from oracles.variant_graph import TrainingCase

# A variant with noise has a row for every chunk in every step: it gets no joining rows. Sampled
# rows may end and join all the same.
LAYOUTS = {
    "constant": {"n_rows": [3, 3, 3, 3]},
    "one chunk, one step": {"n_rows": [1]},
    "one unit, one column": {"n_rows": [2, 2, 2], "n_features": 1, "n_hidden": 1},
    "17 units": {"n_rows": [2, 2, 2], "n_features": 3, "n_hidden": 17},
}
RATES = {"typical": None, "none": 0.0, "high": 0.83}


def rates(name, value):
    """Every dropout rate of the variant set to a value."""
    if value is None:
        return {}
    typical = VARIANTS[name].typical
    return {
        field.name: value
        for field in dataclasses.fields(typical)
        if field.name.startswith("dropout_")
    }


def assert_gradient(case):
    _, _, gradients = case.run()
    for key, gradient in gradients.items():
        expected = case.finite_differences(key)
        scale = max(np.abs(expected).max(), 1.0)
        np.testing.assert_allclose(gradient, expected, atol=1e-6 * scale, err_msg=key)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", VARIANTS)
def test_layouts(name, layout):
    assert_gradient(TrainingCase(name, **LAYOUTS[layout]))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", VARIANTS)
def test_rates(name, rate):
    assert_gradient(TrainingCase(name, [2, 2, 2], n_hidden=5, **rates(name, RATES[rate])))


@pytest.mark.parametrize(
    "name", [name for name, v in VARIANTS.items() if hasattr(v.typical, "fast_dropout_final_layer")]
)
def test_ordinary_final_layer(name):
    ordinary = {"fast_dropout_final_layer": False, "dropout_hidden_to_output": None}
    assert_gradient(TrainingCase(name, [2, 2, 2], n_hidden=5, **ordinary))


@pytest.mark.parametrize("name", [name for name, v in VARIANTS.items() if not v.noise])
def test_joining_and_ending_rows(name):
    """The shared padding of training, and whole sequences of different lengths."""
    assert_gradient(TrainingCase(name, [1, 1, 3, 4, 2, 1], n_hidden=5))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n_features", "n_hidden"), [(1, 1), (3, 33), (88, 16), (17, 64)])
@pytest.mark.parametrize("name", VARIANTS)
def test_single_precision_agrees_with_double(name, n_features, n_hidden, seed):
    case = TrainingCase(name, [3] * 4, n_features=n_features, n_hidden=n_hidden, seed=seed)
    _, nll64, gradients64 = case.run()
    _, nll32, gradients32 = case.run("float32")
    np.testing.assert_allclose(nll32, nll64, rtol=5e-5)
    for key, gradient in gradients64.items():
        scale = max(np.abs(gradient).max(), 1.0)
        np.testing.assert_allclose(gradients32[key], gradient, atol=1e-4 * scale, err_msg=key)
