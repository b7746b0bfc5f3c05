import dataclasses

import numpy as np
import pytest

from fdrnn.model import OUTPUTS, Hyperparameters, TrainingSettings
from fdrnn.model.initialization import initial_parameters, with_sparse_in_out
from fdrnn.model.settings import INIT_SCALES

HYPERPARAMETERS = Hyperparameters(
    n_hidden=150,
    step_rate=0.01,
    momentum=0.9,
    decay=0.8,
    sigma2_rec_out=0.01,
    sigma2_in=0.0004,
    spectral_radius=1.1,
    max_incoming=25,
)


def test_shapes_and_biases():
    p = initial_parameters(HYPERPARAMETERS, 88, 88, "variance", 0)
    shapes = {name: value.shape for name, value in p.items()}
    assert shapes == {
        "W_in": (88, 150),
        "W_rec": (150, 150),
        "b_h": (150,),
        "h0": (1, 150),
        "W_out": (150, 88),
        "b_y": (88,),
    }
    assert all(value.dtype == np.float32 for value in p.values())
    assert not p["b_h"].any()
    assert not p["h0"].any()
    np.testing.assert_array_equal(p["b_y"], np.float32(-0.8))


@pytest.mark.parametrize(
    ("init_scale", "w_in", "w_out"), [("variance", 0.02, 0.1), ("std", 0.0004, 0.01)]
)
def test_sigma2_is_a_variance_or_a_deviation(init_scale, w_in, w_out):
    p = initial_parameters(HYPERPARAMETERS, 88, 88, init_scale, 0)
    assert p["W_in"].std() == pytest.approx(w_in, rel=0.03)
    assert p["W_out"].std() == pytest.approx(w_out, rel=0.03)


@pytest.mark.parametrize("max_incoming", [1, 15, 25, 150, 600, None])
def test_incoming_connections_and_spectral_radius(max_incoming):
    hyperparameters = dataclasses.replace(HYPERPARAMETERS, max_incoming=max_incoming)
    W = initial_parameters(hyperparameters, 88, 88, "variance", 0)["W_rec"]
    incoming = (W != 0).sum(axis=0)
    np.testing.assert_array_equal(incoming, min(max_incoming or 150, 150))
    assert np.abs(np.linalg.eigvals(W.astype(np.float64))).max() == pytest.approx(1.1, rel=6e-5)


@pytest.mark.parametrize("init_scale", INIT_SCALES)
@pytest.mark.parametrize("extreme", [1e-30, 1e30])
@pytest.mark.parametrize("key", ["sigma2_rec_out", "sigma2_in", "spectral_radius"])
def test_extreme_hyperparameters_give_finite_weights(key, extreme, init_scale):
    hyperparameters = dataclasses.replace(HYPERPARAMETERS, **{key: extreme})
    for name, value in initial_parameters(hyperparameters, 88, 88, init_scale, 0).items():
        assert np.isfinite(value).all()
        assert value.any() == (name not in ("b_h", "h0"))


def test_connections_are_spread_over_the_units():
    W = initial_parameters(HYPERPARAMETERS, 88, 88, "variance", 0)["W_rec"]
    outgoing = (W != 0).sum(axis=1)
    assert outgoing.min() > 8
    assert outgoing.max() < 50


def test_seed_decides():
    first, same, other = (
        initial_parameters(HYPERPARAMETERS, 88, 88, "variance", seed) for seed in (5, 5, 6)
    )
    for name in ("W_in", "W_rec", "W_out"):
        np.testing.assert_array_equal(first[name], same[name])
        assert (first[name] != other[name]).any()


def test_all_connections_are_kept_unless_a_study_says_otherwise():
    drawn = initial_parameters(HYPERPARAMETERS, 88, 88, "variance", 0)
    changed = with_sparse_in_out(drawn, TrainingSettings().max_incoming_in_out, 0)
    assert list(changed) == list(drawn)
    for name, value in drawn.items():
        np.testing.assert_array_equal(changed[name], value)


@pytest.mark.parametrize("limit", [1, 15, 88, 100])
def test_connections_of_input_and_output_matrices(limit):
    drawn = initial_parameters(HYPERPARAMETERS, 88, 88, "variance", 0)
    changed = with_sparse_in_out(drawn, limit, 0)
    for name in ("W_in", "W_out"):
        kept = changed[name] != 0
        np.testing.assert_array_equal(kept.sum(axis=0), min(limit, len(kept)))
        np.testing.assert_array_equal(changed[name][kept], drawn[name][kept])
    np.testing.assert_array_equal(changed["W_rec"], drawn["W_rec"])
    again = with_sparse_in_out(drawn, limit, 1)
    assert (again["W_in"] != changed["W_in"]).any() == (limit < 88)


@pytest.mark.parametrize("limit", [0, 1])
def test_a_variant_may_name_its_matrices_otherwise(limit):
    drawn = {"U": np.ones((3, 4), np.float32), "W_out": np.ones((4, 3), np.float32)}
    changed = with_sparse_in_out(drawn, limit, 0)
    np.testing.assert_array_equal(changed["U"], drawn["U"])
    assert changed["W_out"].sum() == (3 if limit else 12)


@pytest.mark.parametrize("bias", [TrainingSettings().output_bias, -8.0])
def test_the_output_bias_is_that_of_the_settings(bias):
    output, settings = OUTPUTS["bernoulli"], TrainingSettings(output_bias=bias)
    drawn = output.initial_parameters(output.typical, 88, settings, 0)
    np.testing.assert_array_equal(drawn["b_y"], np.full(88, bias, np.float32))
