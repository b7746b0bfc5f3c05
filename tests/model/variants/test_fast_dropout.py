"""Fast dropout's relatives without draws: another mean, variance or transfer function."""

import dataclasses

import numpy as np
import pytest

from fdrnn.datasets import chunk
from fdrnn.model import VARIANTS
from fdrnn.model.evaluation import pack_for_validation, sequence_nll, validation_nll
from fdrnn.model.network import network
from fdrnn.model.ops import RecurrentLayer
from fdrnn.model.toolchain import theano
from oracles import uncompiled
from oracles.numpy_network import NumpyNetwork, rectifier_moments
from oracles.variant_graph import TrainingCase

T = theano.tensor
NO_RATES = {"dropout_input": 0.0, "dropout_hidden_to_hidden": 0.0, "dropout_hidden_to_output": 0.0}
ORACLES = {
    "authors_mean": {"mean_factor": 0.3},
    "separate_factors": {"mean_factor": 0.2},
    "fast_dropout_wang_manning": {"incoming_variance": False},
    "rectifier": {"transfer": rectifier_moments},
}


@pytest.mark.parametrize("output", [0.3, None], ids=["fast output", "ordinary output"])
@pytest.mark.parametrize("name", ORACLES)
def test_scores_against_numpy(name, output):
    variant = VARIANTS[name]
    hyperparameters = dataclasses.replace(
        variant.typical,
        n_hidden=21,
        sigma2_in=0.1,
        sigma2_rec_out=0.1,
        dropout_input=0.2,
        dropout_hidden_to_hidden=0.3,
        fast_dropout_final_layer=output is not None,
        dropout_hidden_to_output=output,
    )
    parameters = variant.initial_parameters(hyperparameters, 9, 9, "variance", seed=3)
    parameters["h0"] += np.float32(0.25)
    compiled = network(name, "bernoulli")
    compiled.configure(hyperparameters, 0.01, 225.0)
    compiled.set_parameters(parameters)
    p_output = None if output is None else 1 - output
    oracle = NumpyNetwork(parameters, p_input=0.8, p_hidden=0.7, p_output=p_output, **ORACLES[name])
    rng = np.random.default_rng(0)
    sequences = [(rng.random((n, 9)) < 0.3).astype(np.uint8) for n in (30, 90, 2, 1)]
    sums, _ = sequence_nll(compiled, sequences)
    expected = [oracle.step_nll(sequence).sum() for sequence in sequences]
    np.testing.assert_allclose(sums, expected, rtol=2e-5)
    chunks = chunk(sequences[:2], 20)
    counted, _ = validation_nll(compiled, pack_for_validation(chunks))
    steps = [oracle.step_nll(frames) for frames in chunks.frames]
    assert counted == pytest.approx(np.mean(steps), rel=2e-5)


def test_wang_and_manning_without_rates_is_the_plain_network():
    case = TrainingCase("fast_dropout_wang_manning", [1, 2, 3, 3], **NO_RATES)
    loss, nll, gradients = case.run()
    expected_loss, expected, expected_gradients = TrainingCase("plain", [1, 2, 3, 3]).run()
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(nll, expected, rtol=1e-12)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected_gradients[key], rtol=1e-9, atol=1e-12)


def test_separate_factors_at_the_keep_rate_are_fast_dropout():
    values = {"dropout_hidden_to_hidden": 0.3, "n_rows": [1, 2, 3, 3]}
    loss, nll, gradients = TrainingCase("separate_factors", mean_factor=0.7, **values).run()
    expected_loss, expected, expected_gradients = TrainingCase("fast_dropout", **values).run()
    assert loss == expected_loss
    np.testing.assert_array_equal(nll, expected)
    for key, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, expected_gradients[key])


def test_the_learned_state_without_deviation_is_the_authors_cell():
    case = TrainingCase("authors_cell_learned_state", [1, 2, 3, 3])
    loss, nll, _ = case.run(s0=np.zeros((1, 7)))
    expected_case = TrainingCase("authors_cell", [1, 2, 3, 3])
    expected = {name: case.parameters[name] for name in expected_case.parameters}
    expected_loss, expected_nll, _ = expected_case.run(**expected)
    np.testing.assert_allclose([loss, *nll], [expected_loss, *expected_nll], rtol=1e-12)
    _, moved, _ = case.run()
    np.testing.assert_array_less(1e-6, np.abs(moved - nll))


def test_incoming_variance_makes_a_difference():
    _, dropped, _ = TrainingCase("fast_dropout_wang_manning", [3, 3, 3]).run()
    _, kept, _ = TrainingCase("fast_dropout", [3, 3, 3]).run()
    np.testing.assert_array_less(1e-4, np.abs(dropped - kept))


def test_rectifiers_without_rates_are_an_ordinary_rectifier_network():
    case = TrainingCase("rectifier", [2] * 5, n_features=6, n_hidden=19, **NO_RATES)
    _, nll, _ = case.run()
    w = case.parameters
    for index in range(2):
        frames, rows = case.sequence(index)
        h = w["h0"][0]
        for row, x, target in zip(rows, frames[:-1], frames[1:], strict=True):
            h = np.maximum(x @ w["W_in"] + h @ w["W_rec"] + w["b_h"], 0)
            logit = h @ w["W_out"] + w["b_y"]
            expected = (np.logaddexp(0, logit) - target * logit).sum()
            assert nll[row] == pytest.approx(expected, rel=1e-5)


def one_rectifier(dtype, means, variances):
    """Moments of rectified units at these pre-synaptic moments, by the native layer."""
    matrix, vector, scalar = T.TensorType(dtype, (False,) * 2), T.TensorType(dtype, (False,)), \
        T.TensorType(dtype, ())  # fmt: skip
    arguments = [matrix(), T.lvector(), *(matrix() for _ in range(4)), vector(), scalar(),
                 scalar(), scalar()]  # fmt: skip
    layer = uncompiled.function(arguments, list(RecurrentLayer("rectifier")(*arguments)[:2]))
    n = len(means)
    one = np.ones((), dtype)
    # Unit j of the state before has the variance, and a weight of 1 to unit j alone.
    mean, variance = layer(
        np.zeros((1, 1), dtype), np.array([1]), np.zeros((1, n), dtype),
        np.asarray(variances, dtype)[None], np.zeros((1, n), dtype), np.eye(n, dtype=dtype),
        np.asarray(means, dtype), one, one, one,
    )  # fmt: skip
    return mean[0], variance[0]


DEVIATIONS = np.sqrt([1e-4, 0.03, 1.0, 7.0, 200.0])
Z, DEVIATIONS = (grid.ravel() for grid in np.meshgrid([-2.5, -1.0, -0.1, 0.0, 0.7, 2.0, 9.0],
                                                      DEVIATIONS))  # fmt: skip
MEANS, VARIANCES = Z * DEVIATIONS, DEVIATIONS**2


def test_rectifier_moments_against_monte_carlo():
    """100,000 draws each; bounds are 5 standard errors."""
    mean, variance = one_rectifier("float64", MEANS, VARIANCES)
    rng = np.random.default_rng(0)
    drawn = np.maximum(rng.normal(MEANS, DEVIATIONS, (100_000, len(MEANS))), 0)
    error = drawn.std(axis=0) / np.sqrt(100_000)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - mean), 5 * error)
    squares = (drawn - drawn.mean(axis=0)) ** 2
    error = squares.std(axis=0) / np.sqrt(100_000)
    np.testing.assert_array_less(np.abs(squares.mean(axis=0) - variance), 5 * error)


def test_rectifier_moments_in_single_precision():
    """Also far out, where a difference of squares would have nothing left of the variance."""
    z = np.concatenate([Z, np.full(3, -6.0), np.full(3, 500.0)])
    d = np.concatenate([DEVIATIONS, [1e-3, 1.0, 30.0, 1e-3, 1.0, 30.0]])
    mean, variance = one_rectifier("float64", z * d, d**2)
    mean32, variance32 = one_rectifier("float32", z * d, d**2)
    np.testing.assert_array_less(np.abs(mean32 - mean), 2e-6 * d * (1 + np.abs(z)))
    np.testing.assert_array_less(np.abs(variance32 - variance), 1e-5 * d**2)


def test_rectifier_at_no_variance_is_the_rectifier():
    means = np.array([-2.0, -1e-3, 0.0, 1e-3, 3.0])
    mean, variance = one_rectifier("float64", means, np.zeros(5))
    np.testing.assert_allclose(mean, np.maximum(means, 0), atol=1e-6)
    np.testing.assert_array_equal(variance, 0)


def test_rectifier_of_means_whose_squares_overflow():
    means = np.array([-1e30, -2e13, 2e13, 1e30])
    for variance, expected in ((0.0, [0, 0, 0, 0]), (4.0, [0, 0, 4, 4])):
        mean32, variance32 = one_rectifier("float32", means, np.full(4, variance))
        np.testing.assert_allclose(mean32, np.maximum(means, 0), rtol=1e-6, atol=1e-30)
        np.testing.assert_allclose(variance32, expected, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("value", [0.0, 1e-46, 1.5])
def test_a_factor_out_of_range(value):
    with pytest.raises(ValueError, match=r"^mean_factor must be positive .* at most 1, got"):
        TrainingCase("separate_factors", [1], mean_factor=value)
