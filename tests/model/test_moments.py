import numpy as np
import pytest
from scipy.special import expit

from fdrnn.model import moments
from fdrnn.model.toolchain import theano

T = theano.tensor

QUICK = "FAST_COMPILE"  # Python implementations: nothing to compile

MEANS, VARIANCES = np.meshgrid(
    np.linspace(-10, 10, 41), np.concatenate([[0.0, 1e-3, 0.05], np.linspace(0.1, 25, 40)])
)


def by_integration(function):
    """Moments of function(x), x ~ N(m, v), by the trapezoidal rule over +-10 deviations."""
    z = np.linspace(-10, 10, 4001)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    y = function(MEANS[..., None] + np.sqrt(VARIANCES)[..., None] * z)
    mean = (y * weight).sum(-1)
    return mean, ((y - mean[..., None]) ** 2 * weight).sum(-1)


def evaluate(step):
    m, v = T.dmatrix(), T.dmatrix()
    return theano.function([m, v], list(step(m, v)), mode=QUICK)(MEANS, VARIANCES)


# The bounds are those that the docstring of moments.py states.
@pytest.mark.parametrize(
    ("step", "function", "mean_error", "variance_error"),
    [
        (moments.sigmoid, expit, 0.016, 0.0271),
        (moments.tanh, np.tanh, 0.035, 0.109),
        (moments.rectifier, lambda x: np.maximum(x, 0), 1e-4, 1e-3),
    ],
    ids=["sigmoid", "tanh", "rectifier"],
)
def test_against_integration(step, function, mean_error, variance_error):
    mean, variance = evaluate(step)
    true_mean, true_variance = by_integration(function)
    assert np.abs(mean - true_mean).max() < mean_error
    assert np.abs(variance - true_variance).max() < variance_error
    assert (variance >= 0).all()


def test_approximations_are_near_their_stated_errors():
    """The stated bounds are tight, so that a better or worse formula shows."""
    mean, variance = evaluate(moments.tanh)
    true_mean, true_variance = by_integration(np.tanh)
    assert np.abs(mean - true_mean).max() > 0.03
    assert np.abs(variance - true_variance).max() > 0.1


def test_variance_without_input_variance_is_the_papers():
    m = np.linspace(-10, 10, 20001)[None]
    mean, variance = T.dmatrix(), T.dmatrix()
    sigmoid = theano.function([mean, variance], moments.sigmoid(mean, variance)[1], mode=QUICK)
    tanh = theano.function([mean, variance], moments.tanh(mean, variance)[1], mode=QUICK)
    assert sigmoid(m, 0 * m).max() == pytest.approx(0.02706, abs=1e-5)
    assert tanh(m, 0 * m).max() == pytest.approx(0.10825, abs=1e-5)


def test_rectifier_without_variance_is_the_rectifier():
    m = np.array([[-2.0, -1e-3, 0.0, 1e-3, 3.0]])
    mean, variance = T.dmatrix(), T.dmatrix()
    step = theano.function([mean, variance], list(moments.rectifier(mean, variance)), mode=QUICK)
    y, v = step(m, 0 * m)
    np.testing.assert_allclose(y, np.maximum(m, 0), atol=1e-6)
    np.testing.assert_allclose(v, 0, atol=1e-6)


@pytest.mark.parametrize("p_keep", [0.3, 0.9, 1.0])
def test_affine_against_monte_carlo_dropout(p_keep):
    """100,000 draws of Gaussian inputs and Bernoulli masks; bounds are 5 standard errors."""
    rng = np.random.default_rng(1)
    n, m, draws = 6, 4, 100_000
    mean, variance = rng.normal(size=n), rng.random(n)
    W, b = rng.normal(size=(n, m)), rng.normal(size=m)
    x = rng.normal(mean, np.sqrt(variance), (draws, n))
    a = (x * (rng.random((draws, n)) < p_keep)) @ W + b
    args = [T.dvector(), T.dvector(), T.dmatrix(), T.dvector(), T.dscalar()]
    step = theano.function(args, list(moments.affine(*args)), mode=QUICK)
    got_mean, got_variance = step(mean, variance, W, b, p_keep)
    assert (np.abs(a.mean(0) - got_mean) < 5 * a.std(0) / np.sqrt(draws)).all()
    np.testing.assert_allclose(a.var(0), got_variance, rtol=5 * np.sqrt(3 / draws))


@pytest.mark.parametrize("step", [moments.sigmoid, moments.tanh, moments.rectifier])
def test_dtype_is_kept(step):
    m, v = T.fvector(), T.fvector()
    assert [output.dtype for output in step(m, v)] == ["float32", "float32"]
