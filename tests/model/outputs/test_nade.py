"""NADE's probabilities: against a loop over columns, all frames, samples and Monte Carlo."""

import dataclasses
from itertools import product

import numpy as np
import pytest
from scipy.special import expit

from fdrnn.model import OUTPUTS, TrainingSettings
from fdrnn.model.outputs.nade import NadeHyperparameters
from oracles.numpy_nade import frame_nll, frame_probabilities
from oracles.variant_graph import TrainingCase

from .test_losses import ROWS, Case, compiled, of_nade

NADE = OUTPUTS["nade"]
HYPERPARAMETERS = NadeHyperparameters(n_nade=6, sigma2_nade=0.5)


def orders(n):
    return [
        NADE.initial_parameters(
            dataclasses.replace(HYPERPARAMETERS, column_order=order), n, TrainingSettings(), 5
        )["order_nade"]
        for order in ("ascending", "descending", "shuffled")
    ]


def nll(frames, mean, variance, parameters, real="float64"):
    """NLL of frames with the same biases, by the native operation."""
    n = len(frames)
    given = [np.tile(mean, (n, 1)), np.tile(mean if variance is None else variance, (n, 1)), frames]
    given += [parameters[key] for key in NADE.parameter_axes]
    function = compiled("nade", real, variance is None)
    return function(*(np.asarray(array, real) for array in given))[0]


@pytest.fixture(params=["certain", "with variances"])
def biases(request):
    """Means and variances of the biases of 8 columns and 6 units."""
    rng = np.random.default_rng(1)
    mean = rng.standard_normal(14)
    return mean, None if request.param == "certain" else 2 * rng.random(14)


@pytest.mark.parametrize("order", orders(8), ids=["ascending", "descending", "shuffled"])
def test_probabilities_of_all_frames_sum_to_1_and_are_those_of_a_loop(biases, order):
    rng = np.random.default_rng(2)
    V, W = rng.standard_normal((2, 8, 6))
    parameters = {"V_nade": V, "W_nade": W, "order_nade": order}
    frames = np.array(list(product((0, 1), repeat=8)))
    found = nll(frames, *biases, parameters)
    assert np.exp(-found).sum() == pytest.approx(1, rel=1e-12)
    indices, (mean, variance) = order.astype(int), biases
    expected = [frame_nll(frame, mean, V, W, indices, variance) for frame in frames[::9]]
    np.testing.assert_allclose(found[::9], expected, rtol=1e-12)
    np.testing.assert_allclose(nll(frames, *biases, parameters, "float32"), found, rtol=1e-4)
    spread = None if variance is None else variance[None]
    for frame in frames[::37]:
        (conditional,) = NADE.expectation((mean[None], spread), parameters, frame[None])
        expected = frame_probabilities(frame, mean, V, W, indices, variance)
        np.testing.assert_allclose(conditional, expected, rtol=1e-12)


def test_frequencies_of_samples_are_the_probabilities(biases):
    (mean, variance), n = biases, 4000
    rng = np.random.default_rng(3)
    V, W = 2 * rng.standard_normal((2, 3, 11))
    parameters = {"V_nade": V, "W_nade": W, "order_nade": orders(3)[2]}
    drawn = NADE.variates(rng, n, 3)
    frames = np.array([NADE.realize((mean, variance), parameters, row) for row in drawn])
    every = np.array(list(product((0, 1), repeat=3)))
    expected = np.exp(-nll(every, mean, variance, parameters))
    found = (frames[:, None] == every).all(axis=2).mean(axis=0)
    assert (np.abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / n)).all()


@pytest.mark.parametrize(("spread", "largest", "plain"), [(0.5, 0.006, 0.015), (4.0, 0.015, 0.1)])
def test_the_passed_moments_against_drawn_biases(spread, largest, plain):
    """Every P(x_i | x_<i) is near its mean over biases, several times nearer than without v."""
    rng = np.random.default_rng(4)
    mean, variance = rng.standard_normal(40), spread * rng.random(40)
    V, W = rng.normal(0, 0.5, (2, 10, 30))
    frame = (rng.random(10) < 0.3).astype(int)
    drawn = mean + np.sqrt(variance) * rng.standard_normal((20_000, 40))
    before = np.cumsum(frame[:, None] * W, axis=0) - frame[:, None] * W
    hidden = expit(drawn[:, None, 10:] + before)
    expected = expit(drawn[:, :10] + (hidden * V).sum(axis=2)).mean(axis=0)
    errors = [
        np.abs(frame_probabilities(frame, mean, V, W, range(10), v) - expected).max()
        for v in (variance, None)
    ]
    assert errors[0] < largest < plain < errors[1]


def test_shuffled_columns_depend_on_the_seed_alone_and_orders_are_permutations():
    ascending, descending, shuffled = orders(50)
    np.testing.assert_array_equal(ascending, range(50))
    np.testing.assert_array_equal(descending, range(50)[::-1])
    assert sorted(shuffled) == list(range(50)) != list(shuffled)
    np.testing.assert_array_equal(shuffled, orders(50)[2])
    other = NADE.initial_parameters(
        dataclasses.replace(HYPERPARAMETERS, column_order="shuffled"), 50, TrainingSettings(), 6
    )
    assert (other["order_nade"] != shuffled).any()


def test_initial_parameters():
    p = NADE.initial_parameters(
        NadeHyperparameters(n_nade=200, sigma2_nade=0.04), 88, TrainingSettings(output_bias=-3.0), 0
    )
    assert p["V_nade"].shape == p["W_nade"].shape == (88, 200)
    assert p["V_nade"].std() == pytest.approx(0.2, rel=0.02) == p["W_nade"].std()
    assert not np.array_equal(p["V_nade"], p["W_nade"])
    np.testing.assert_array_equal(p["b_y"], np.float32([-3] * 88 + [0] * 200))


def test_rows_without_a_weight_have_no_gradient():
    case = TrainingCase("fast_dropout", [2, 2, 2], output="nade")
    case.weights[:2] = 0
    _, _, gradients = case.run()
    for key in ("V_nade", "W_nade", "W_in"):
        np.testing.assert_allclose(gradients[key], case.finite_differences(key), atol=1e-7)


@pytest.mark.parametrize("width", [0, 10, 16, 33])
def test_variances_without_rows_are_none_at_all(width):
    """An ordinary final layer, of which a graph knows only when it runs."""
    case = Case("nade")
    case.own["V_nade"] = np.random.default_rng(0).standard_normal((4, width + 1))
    case.own["W_nade"] = case.own["V_nade"][::-1].copy()
    case.mean = np.random.default_rng(1).standard_normal((ROWS, 4 + width + 1))
    nll, d_mean, _, *of_own = case.run(variance=np.zeros((0, 4 + width + 1)))
    expected = case.run(certain=True)
    for found, other in zip((nll, d_mean, *of_own), expected, strict=True):
        np.testing.assert_array_equal(found, other)
    np.testing.assert_allclose(nll, of_nade(case, certain=True), rtol=1e-12)
    with pytest.raises(ValueError, match="variance must have shape"):
        case.run(variance=np.zeros((1, 4 + width + 1)))


@pytest.mark.parametrize("index", [-1, 4, np.nan, 1])
def test_an_order_that_is_no_permutation(index):
    case = Case("nade")
    case.own["order_nade"][2] = index
    with pytest.raises(ValueError, match="order must have each index at least 0 and below 4 once"):
        case.run()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_nade": 0}, "n_nade must be at least 1, got 0"),
        ({"sigma2_nade": 0.0}, "sigma2_nade must be positive and finite, .*, got 0.0"),
        ({"column_order": "up"}, "column_order must be ascending or .*, got 'up'"),
    ],
)
def test_a_hyperparameter_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(HYPERPARAMETERS, **change)
