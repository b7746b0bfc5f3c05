"""Fast dropout by sampling."""

import numpy as np
import pytest
from scipy.special import expit

from fdrnn.model.ops import BernoulliOutput, RecurrentLayer
from fdrnn.model.toolchain import theano
from oracles import uncompiled
from oracles.numpy_network import NumpyNetwork, tanh_moments
from oracles.numpy_noisy import sampled_nll
from oracles.variant_graph import TrainingCase

T = theano.tensor
ORDINARY = {"fast_dropout_final_layer": False, "dropout_hidden_to_output": None}


@pytest.mark.parametrize("output", [{}, ORDINARY], ids=["fast output", "ordinary output"])
def test_training_nll_against_numpy(output):
    case = TrainingCase(
        "fast_dropout_sampled", [4] * 6, n_features=6, n_hidden=19, dropout_input=0.3, **output
    )
    _, nll, _ = case.run()
    for index in range(4):
        frames, rows = case.sequence(index)
        expected = sampled_nll(
            case.parameters, frames, 0.7, 0.5, None if output else 0.8,
            case.noise["hidden"][rows], case.noise["output"][rows],
        )  # fmt: skip
        np.testing.assert_allclose(nll[rows], expected, rtol=1e-9)


def test_without_rates_it_is_the_plain_network():
    none = {"dropout_input": 0.0, "dropout_hidden_to_hidden": 0.0, "dropout_hidden_to_output": 0.0}
    sampled = TrainingCase("fast_dropout_sampled", [3] * 5, **none)
    plain = TrainingCase("plain", [3] * 5)
    loss, nll, gradients = sampled.run()
    expected_loss, expected, expected_gradients = plain.run()
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(nll, expected, rtol=1e-12)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected_gradients[key], rtol=1e-9, atol=1e-12)


def hidden_draws(p_input, p_hidden, n_draws, seed=0):
    """tanh of many draws of one step from one state, and the step's Gaussian approximation."""
    rng = np.random.default_rng(seed)
    n_features, n_hidden = 6, 20
    x, h0 = (rng.random(n_features) < 0.5).astype(float), rng.normal(0, 0.5, (1, n_hidden))
    w = {
        "W_in": rng.normal(0, 0.7, (n_features, n_hidden)),
        "W_rec": rng.normal(0, 0.5, (n_hidden, n_hidden)),
        "b_h": rng.normal(0, 0.3, n_hidden),
        "h0": h0,
    }
    arguments = [T.dmatrix(), T.lvector(), *(T.dmatrix() for _ in range(4)), T.dvector(),
                 *(T.dscalar() for _ in range(3)), T.dmatrix()]  # fmt: skip
    layer = uncompiled.function(
        arguments, RecurrentLayer("sampled")(*arguments)[0], on_unused_input="ignore"
    )
    drawn = layer(
        np.tile(x, (n_draws, 1)), np.array([n_draws]), h0, np.zeros_like(h0), w["W_in"],
        w["W_rec"], w["b_h"], p_input, p_hidden, p_hidden, rng.normal(size=(n_draws, n_hidden)),
    )  # fmt: skip
    network = NumpyNetwork(w, p_input=p_input, p_hidden=p_hidden, transfer=tanh_moments)
    mean, variance = network.hidden(x[None])
    return drawn, mean[0], variance[0]


@pytest.mark.parametrize(("p_input", "p_hidden"), [(0.9, 0.5), (0.6, 0.3)])
def test_the_average_of_draws_is_the_gaussian_approximation_within_its_error(p_input, p_hidden):
    """The errors are those of the moments of tanh, plus 5 standard errors of the average."""
    n_draws = 40_000
    drawn, mean, variance = hidden_draws(p_input, p_hidden, n_draws)
    sampling = 5 * drawn.std(axis=0) / np.sqrt(n_draws)
    assert np.median(drawn.std(axis=0)) > 0.3
    assert (np.abs(drawn.mean(axis=0) - mean) < 0.035 + sampling).all()
    assert (np.abs(drawn.var(axis=0) - variance) < 0.109 + 3 * sampling).all()


def test_the_average_gradient_is_that_of_the_average_loss():
    """Pathwise gradients are unbiased: against differences of the loss over the same draws."""
    case = TrainingCase("fast_dropout_sampled", [200, 200], n_features=3, n_hidden=4)
    _, _, gradients = case.run()
    expected = case.finite_differences("W_rec")
    np.testing.assert_allclose(gradients["W_rec"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weight", [-1.7, 0.3])
def test_the_part_of_a_single_weight_s_gradient_through_the_variance_is_equation_4(weight):
    """delta s sqrt(c) sgn(w), c = p (1 - p) h^2: its scale does not depend on the weight."""
    p_keep, h, noise, target = 0.6, 0.8, np.array([[1.3], [-0.4], [0.7]]), np.array([[1.0]] * 3)
    W, mean = T.dmatrix(), T.dmatrix()
    nll, _, _ = BernoulliOutput(sampled=True)(
        mean, T.zeros_like(mean), W, np.zeros(1), target, np.array(p_keep), np.int8(1), noise
    )
    rows = [theano.grad(nll[i], W) for i in range(3)]
    found = uncompiled.function([mean, W], rows)(np.full((3, 1), h), np.array([[weight]]))
    root = np.sqrt(p_keep * (1 - p_keep)) * h
    drawn = p_keep * h * weight + noise[:, 0] * root * abs(weight)
    delta = expit(drawn) - 1.0
    expected = delta * p_keep * h + delta * noise[:, 0] * root * np.sign(weight)
    np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-10)


def test_a_new_draw_for_every_chunk_step_and_minibatch():
    case = TrainingCase("fast_dropout_sampled", [3] * 5)
    hidden = case.noise["hidden"]
    assert len(np.unique(hidden)) == hidden.size
    rng = np.random.default_rng(1)
    first, second = (case.variant.draw(rng, case.batch, 5, case.hyperparameters) for _ in range(2))
    assert (first["hidden"] != second["hidden"]).all()


def test_a_sampled_layer_needs_noise():
    x, vector, scalar = T.fmatrix(), T.fvector(), T.fscalar()
    with pytest.raises(TypeError, match="RecurrentLayer: noise must be given"):
        RecurrentLayer("sampled")(x, T.lvector(), x, x, x, x, vector, scalar, scalar, scalar)
    with pytest.raises(TypeError, match="BernoulliOutput: noise must be given"):
        BernoulliOutput(sampled=True)(x, x, x, vector, x, scalar, T.bscalar())
