"""Each output's loss by itself: against its definition, its gradient, Monte Carlo and limits."""

from functools import cache

import numpy as np
import pytest
from scipy.special import expit, log_softmax, logsumexp
from scipy.stats import norm

from fdrnn.model import OUTPUTS, TrainingSettings
from fdrnn.model.toolchain import theano
from fdrnn.model.variants.base import Symbols
from oracles import uncompiled
from oracles.numpy_nade import frame_nll
from oracles.variant_graph import differentiable, small_output

T = theano.tensor
ROWS, WIDTH = 6, 4


@cache
def compiled(name, real="float64", certain=False, fixed=False):
    """NLL and, in training, its gradients by E[a], V[a] and own parameters."""
    output = OUTPUTS[name]

    def tensor(dtype, axes):
        return T.TensorType(real if dtype == "float32" else dtype, (False,) * axes)()

    mean, variance, target = (tensor("float32", 2) for _ in range(3))
    own = {key: tensor("float32", axes) for key, axes in output.parameter_axes.items()}
    scalars = {key: tensor(dtype, 0) for key, dtype in output.scalars.items()}
    arrays = output.fixed if fixed else output.noise
    noise = {key: tensor(*spec) for key, spec in arrays.items()}
    symbols = Symbols(own, scalars, target, target, None, None)
    nll = output.nll_of((mean, None if certain else variance), symbols, noise)
    wanted = [nll]
    if not fixed:
        by = [mean, *([] if certain else [variance]), *differentiable(name, own).values()]
        wanted += theano.grad(T.sum(nll), by)
    inputs = [mean, variance, target, *own.values(), *scalars.values(), *noise.values()]
    return uncompiled.function(inputs, wanted, on_unused_input="ignore")


class Case:
    def __init__(self, name, width=WIDTH, seed=0, spread=1.0, scale=1.0, variance=None):
        rng = np.random.default_rng(seed)
        output = OUTPUTS[name]
        self.name = name
        shape = (ROWS, output.n_outputs(small_output(name), width))
        self.mean = scale * rng.standard_normal(shape)
        self.variance = spread * rng.random(shape) if variance is None else np.full(shape, variance)
        self.target = {
            "binary": (rng.random((ROWS, width)) < 0.4).astype(float),
            "real": rng.standard_normal((ROWS, width)),
            "categorical": np.eye(width)[rng.integers(0, width, ROWS)],
        }[output.kind]
        drawn = output.initial_parameters(small_output(name), width, TrainingSettings(), seed)
        drawn = {key: drawn[key] for key in output.parameter_axes}
        moved = {key: rng.standard_normal(value.shape) for key, value in drawn.items()}
        self.own = drawn | differentiable(name, moved)
        self.scalars = output.scalar_values(0.75)
        self.noise = {key: rng.standard_normal((ROWS, width)) for key in output.noise}
        self.fixed = output.fixed_arrays(width)

    def run(self, real="float64", certain=False, fixed=False, **changed):
        values = {"mean": self.mean, "variance": self.variance, **self.own, **changed}
        arrays = self.fixed if fixed else self.noise
        given = [values["mean"], values["variance"], self.target, *(values[k] for k in self.own)]
        return compiled(self.name, real, certain, fixed)(
            *(np.asarray(array, real) for array in given),
            *(np.dtype(real).type(value) for value in self.scalars.values()),
            *(np.asarray(array, real) for array in arrays.values()),
        )

    def expected(self):
        """The predicted probabilities or moments, as the output's NumPy says."""
        return OUTPUTS[self.name].expectation((self.mean, self.variance), self.own, self.target)


def of_nade(case, certain=False):
    """NLL by a loop over columns."""
    V, W, order = (case.own[key] for key in ("V_nade", "W_nade", "order_nade"))
    variances = [None] * ROWS if certain else case.variance
    rows = zip(case.target, case.mean, variances, strict=True)
    return [frame_nll(x, mean, V, W, order.astype(int), v) for x, mean, v in rows]


@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("name", OUTPUTS)
def test_gradients_are_those_of_finite_differences(name, certain):
    case, step = Case(name), 1e-6
    _, *gradients = case.run(certain=certain)
    names = ["mean", *([] if certain else ["variance"]), *differentiable(name, case.own)]
    assert len(names) == len(gradients)
    for key, gradient in zip(names, gradients, strict=True):
        value = getattr(case, key, case.own.get(key))
        expected = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            moved = np.zeros_like(value)
            moved[index] = step
            up, down = (
                case.run(certain=certain, **{key: value + sign * moved})[0].sum()
                for sign in (1, -1)
            )
            expected[index] = (up - down) / (2 * step)
        np.testing.assert_allclose(gradient, expected, atol=2e-8, err_msg=key)


@pytest.mark.parametrize("name", OUTPUTS)
def test_without_variance_all_are_the_ordinary_loss(name):
    """V[a] = 0 is no V[a]; and that is the loss of an ordinary network's output."""
    case = Case(name, variance=0.0)
    zero = case.run()[0]
    np.testing.assert_allclose(zero, case.run(certain=True)[0], rtol=1e-12)
    m, t = case.mean, case.target
    if name == "nade":
        ordinary = of_nade(case, certain=True)
    else:
        ordinary = {
            "binary": lambda: -np.log(np.where(t == 1, expit(m), 1 - expit(m))).sum(1),
            "real": lambda: (
                0.75 - norm.logpdf(t, m, np.exp(0.5 * case.own["log_variance_y"])).sum(1)
            ),
            "categorical": lambda: -(t * log_softmax(m, axis=1)).sum(1),
        }[OUTPUTS[name].kind]()
    np.testing.assert_allclose(zero, ordinary, rtol=1e-12)


def test_the_gaussian_is_that_of_activation_and_rest_together():
    """Density of x under N(a, e^s) with a ~ N(E, V), by Monte Carlo over a."""
    case = Case("gaussian", seed=2)
    rng = np.random.default_rng(3)
    drawn = case.mean + np.sqrt(case.variance) * rng.standard_normal((40_000, ROWS, WIDTH))
    densities = norm.pdf(case.target, drawn, np.exp(0.5 * case.own["log_variance_y"]))
    error = densities.std(axis=0) / np.sqrt(len(densities)) / densities.mean(axis=0)
    expected = 0.75 - np.log(densities.mean(axis=0)).sum(axis=1)
    assert (np.abs(case.run()[0] - expected) < 5 * np.sqrt((error**2).sum(axis=1))).all()


@pytest.mark.parametrize(
    ("name", "fixed"),
    [("softmax_sampled", True), ("softmax_unscented", True), ("softmax_unscented", False)],
)
def test_the_nll_is_that_of_the_predicted_probabilities(name, fixed):
    """The closed form of D terms against sums over the points; the C loop against NumPy."""
    for width in (2, 3, 4, 9):
        case = Case(name, width, spread=3.0, scale=2.0)
        probabilities = case.expected()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        expected = -np.log((probabilities * case.target).sum(axis=1))
        np.testing.assert_allclose(case.run(fixed=fixed)[0], expected, rtol=1e-10)


def drawn_probabilities(case, n):
    rng = np.random.default_rng(1)
    s = rng.standard_normal((n, *case.mean.shape))
    return np.exp(log_softmax(case.mean + np.sqrt(case.variance) * s, axis=-1))


def test_fixed_draws_against_many():
    case = Case("softmax_sampled", 7, spread=2.0)
    many = drawn_probabilities(case, 20_000)
    error = many.std(axis=0) / np.sqrt(100)
    assert (np.abs(case.expected() - many.mean(axis=0)) < 5 * error).all()


def test_the_training_loss_is_on_average_the_expected_nll():
    case = Case("softmax_sampled", spread=2.0)
    losses = []
    for seed in range(400):
        case.noise = {"activation": np.random.default_rng(seed).standard_normal((ROWS, WIDTH))}
        losses.append(case.run()[0])
    many = -np.log((drawn_probabilities(case, 20_000) * case.target).sum(axis=-1))
    error = np.std(losses, axis=0) / np.sqrt(len(losses))
    assert (np.abs(np.mean(losses, axis=0) - many.mean(axis=0)) < 5 * error).all()


def quadrature(case, n=12):
    """Mean of the softmax by Gauss and Hermite's rule in every dimension."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    width = case.mean.shape[1]
    s = np.stack(np.meshgrid(*[nodes] * width), axis=-1).reshape(-1, 1, width)
    w = np.prod(np.meshgrid(*[weights / weights.sum()] * width), axis=0).ravel()
    p = np.exp(log_softmax(case.mean + np.sqrt(case.variance) * s, axis=-1))
    return np.tensordot(w, p, axes=1)


@pytest.mark.parametrize("width", [2, 3, 4])
def test_sigma_points_are_correct_to_second_order(width):
    """The error falls with the square of the variance, softmax(m)'s with the variance alone."""
    errors = []
    for variance in (0.04, 0.01):
        case = Case("softmax_unscented", width, variance=variance)
        certain = np.exp(log_softmax(case.mean, axis=-1))
        errors.append([np.abs(p - quadrature(case)).max() for p in (case.expected(), certain)])
    (wide, wide_certain), (narrow, narrow_certain) = errors
    assert wide / narrow == pytest.approx(16, rel=0.15)
    assert wide_certain / narrow_certain == pytest.approx(4, rel=0.15)
    assert wide < 0.1 * wide_certain


@pytest.mark.parametrize("name", OUTPUTS)
def test_single_precision_at_extreme_values(name):
    for scale, spread in ((1.0, 1.0), (80.0, 1e-12), (80.0, 400.0), (1e4, 1.0)):
        case = Case(name, 9, scale=scale, spread=spread, seed=4)
        # The rounding of a logit of 10^4 is none of the loss's doing.
        case.mean = case.mean.astype(np.float32).astype(np.float64)
        double, *gradients = case.run()
        single, *of_single = case.run("float32")
        np.testing.assert_allclose(single, double, rtol=2e-5, atol=2e-5 * max(scale, 1))
        assert np.isfinite(single).all()
        for one, other in zip(of_single, gradients, strict=True):
            assert np.isfinite(one).all()
            np.testing.assert_allclose(one, other, atol=1e-3 * max(np.abs(other).max(), 1))


def test_a_row_without_a_class_costs_nothing():
    case = Case("softmax_unscented")
    case.target[0] = 0
    nll, by_mean, by_variance = case.run()
    assert nll[0] == 0 == np.abs(by_mean[0]).max() + np.abs(by_variance[0]).max()


def test_losses_of_a_draw_survive_logits_that_no_exponential_does():
    mean = np.array([[3e4, 0.0, -3e4]])
    assert logsumexp(mean) == 3e4
    case = Case("softmax_sampled", 3)
    case.mean = np.repeat(mean, ROWS, axis=0)
    assert np.isfinite(case.run("float32", fixed=True)[0]).all()


@pytest.mark.parametrize("kind", ["odd", None])
def test_an_output_must_have_a_kind_of_data(kind):
    odd = type("Odd", (type(OUTPUTS["gaussian"]),), {"kind": kind})
    with pytest.raises(ValueError, match=f"kind of output 'odd' must be one of .*, got {kind!r}"):
        odd(name="odd", title="odd")
