from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdrnn.model import VARIANTS
from fdrnn.model.ops import GaussianWeightsLayer, GaussianWeightsProduct, RecurrentLayer
from fdrnn.model.toolchain import theano
from oracles import numpy_weight_noise as oracle
from oracles import uncompiled
from oracles.directions import assert_gradients
from oracles.numpy_network import tanh_moments

T = theano.tensor
NAMES = ["mean0", "variance0", "M_in", "S_in", "M_rec", "S_rec", "b_h"]


@cache
def compiled(dtype="float64"):
    """(loss, gradients by NAMES, mean, variance) of x, n_rows, parameters and two weights."""

    def tensor(ndim):
        return T.TensorType(dtype, (False,) * ndim)()

    x, n_rows = tensor(2), T.lvector()
    parameters = [tensor(n) for n in (2, 2, 2, 2, 2, 2, 1)]
    weights = [tensor(2), tensor(2)]
    mean, variance, *_ = GaussianWeightsLayer()(x, n_rows, *parameters)
    loss = (weights[0] * mean).sum() + (weights[1] * variance).sum()
    gradients = theano.grad(loss, parameters)
    inputs = [x, n_rows, *parameters, *weights]
    return uncompiled.function(inputs, [loss, *gradients, mean, variance])


class Case:
    """Random packed rows and Gaussian weights."""

    def __init__(self, n_rows, n_features=5, n_hidden=7, n_start=1, seed=0, dtype="float64",
                 variance=0.3, silent=False):  # fmt: skip
        rng = np.random.default_rng(seed)
        self.n_rows = np.array(n_rows, np.int64)
        total = int(self.n_rows.sum())
        self.x = rng.normal(size=(total, n_features)) * (not silent)
        self.weights = rng.normal(size=(2, total, n_hidden))
        self.means, self.variances, self.rest = oracle.random_gaussian_weights(
            rng, n_features, n_hidden, variance
        )
        self.dtype = dtype
        self.parameters = {
            "mean0": rng.normal(0, 0.5, (n_start, n_hidden)),
            "variance0": rng.random((n_start, n_hidden)) * 0.5,
            "M_in": self.means["W_in"],
            "S_in": self.variances["W_in"],
            "M_rec": self.means["W_rec"],
            "S_rec": self.variances["W_rec"],
            "b_h": self.rest["b_h"],
        }

    def run(self, **changed):
        parameters = {**self.parameters, **changed}
        cast = [np.asarray(parameters[name], self.dtype) for name in NAMES]
        loss, *rest = compiled(self.dtype)(
            self.x.astype(self.dtype), self.n_rows, *cast, *self.weights.astype(self.dtype)
        )
        return float(loss), dict(zip(NAMES, rest[:7], strict=True)), rest[7:]

    def reference(self, transfer=tanh_moments):
        """Row by row in NumPy, following the packing rule: mean, variance."""
        states = list(zip(self.parameters["mean0"], self.parameters["variance0"], strict=True))
        rows, row = [], 0
        for count in self.n_rows:
            states = [
                oracle.fast_step(
                    self.x[row + i], *states[min(i, len(states) - 1)],
                    self.means, self.variances, self.rest, transfer,
                )
                for i in range(count)
            ]  # fmt: skip
            rows += states
            row += count
        return tuple(np.array(part) for part in zip(*rows, strict=True))


LAYOUTS = [
    pytest.param([3, 3, 3, 3], 1, id="constant"),
    pytest.param([3, 3, 3], 3, id="own initial states"),
    pytest.param([1, 1, 3, 4, 5, 5], 1, id="joining"),
    pytest.param([5, 4, 4, 2, 1], 5, id="ending"),
    pytest.param([2, 3, 1, 4], 1, id="both"),
    pytest.param([2, 2], 4, id="initial states that nothing continues"),
    pytest.param([1], 1, id="one step of one row"),
]


@pytest.mark.parametrize(("n_rows", "n_start"), LAYOUTS)
def test_forward_against_numpy(n_rows, n_start):
    case = Case(n_rows, n_start=n_start)
    _, _, outputs = case.run()
    for got, expected in zip(outputs, case.reference(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("n_rows", "n_start"), LAYOUTS)
def test_gradient_against_finite_differences(n_rows, n_start):
    case = Case(n_rows, n_features=4, n_hidden=5, n_start=n_start)
    _, gradients, _ = case.run()
    for name in NAMES:
        value = case.parameters[name]
        expected = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            step = np.zeros_like(value)
            step[index] = 1e-6
            up, down = (case.run(**{name: value + sign * step})[0] for sign in (1, -1))
            expected[index] = (up - down) / 2e-6
        scale = max(np.abs(expected).max(), 1.0)
        np.testing.assert_allclose(gradients[name], expected, atol=1e-6 * scale, err_msg=name)


def test_many_rows_are_computed_in_blocks():
    case = Case([150] * 4, n_hidden=128)
    _, gradients, outputs = case.run()
    for got, expected in zip(outputs, case.reference(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    assert_gradients(case, gradients, lambda **changed: case.run(**changed)[0])


@settings(max_examples=40, deadline=None)
@given(
    n_rows=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    n_start=st.integers(1, 4),
    n_features=st.sampled_from([1, 3, 16, 88]),
    n_hidden=st.sampled_from([1, 7, 16, 33]),
    variance=st.sampled_from([0.0, 1e-6, 0.3, 3.0]),
    silent=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_single_precision_agrees_with_double(
    n_rows, n_start, n_features, n_hidden, variance, silent, seed
):
    arguments = {
        "n_rows": n_rows,
        "n_features": n_features,
        "n_hidden": n_hidden,
        "n_start": n_start,
        "variance": variance,
        "silent": silent,
        "seed": seed,
    }
    case = Case(**arguments)
    _, gradients64, outputs64 = case.run()
    _, gradients32, outputs32 = Case(**arguments, dtype="float32").run()
    for got, exact, expected in zip(outputs32, outputs64, case.reference(), strict=True):
        np.testing.assert_allclose(exact, expected, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(got, exact, atol=2e-5)
    for name in NAMES:
        scale = max(np.abs(gradients64[name]).max(), 1.0)
        np.testing.assert_allclose(
            gradients32[name], gradients64[name], atol=5e-5 * scale, err_msg=name
        )


def test_presynaptic_moments_are_those_of_drawn_weights():
    """Equations 5 and 6 against 20,000 draws of weights and input, all independent; 5 errors."""
    rng = np.random.default_rng(1)
    draws = 20_000
    means, variances, rest = oracle.random_gaussian_weights(rng, 3, 6, 0.5)
    m, s, x = rng.normal(size=6), rng.random(6), rng.normal(size=3)
    parameters = [T.dmatrix() for _ in range(7)]
    _, _, a, v, _ = GaussianWeightsLayer()(parameters[0], n_rows := T.lvector(), *parameters[1:],
                                           b := T.dvector())  # fmt: skip
    moments = uncompiled.function([parameters[0], n_rows, *parameters[1:], b], [a, v])
    got_mean, got_variance = moments(
        x[None], np.array([1]), m[None], s[None], means["W_in"], variances["W_in"],
        means["W_rec"], variances["W_rec"], rest["b_h"],
    )  # fmt: skip

    def drawn(name):
        return rng.normal(means[name], np.sqrt(variances[name]), (draws, *means[name].shape))

    h = rng.normal(m, np.sqrt(s), (draws, 6))
    sample = x @ drawn("W_in") + np.einsum("ki,kij->kj", h, drawn("W_rec"))
    deviation = sample.std(0)
    assert (np.abs(sample.mean(0) - got_mean[0]) < 5 * deviation / np.sqrt(draws)).all()
    np.testing.assert_allclose(deviation**2, got_variance[0], rtol=5 * np.sqrt(3 / draws))


def test_without_weight_variance_and_transfer_variance_it_is_plain():
    case = Case([1, 2, 4, 3], variance=0.0)
    case.parameters["variance0"] *= 0
    mean, variance = case.reference(lambda m, v: (tanh_moments(m, v)[0], np.zeros_like(v)))
    plain = plain_layer(case)
    np.testing.assert_allclose(mean, plain, rtol=1e-12)
    np.testing.assert_array_equal(variance, 0)


def test_first_step_without_weight_variance_has_the_plain_means():
    """The native kernels themselves, before the transfer function has brought variance in."""
    case = Case([3], n_start=3, variance=0.0)
    case.parameters["variance0"] *= 0
    _, _, (mean, _) = case.run()
    np.testing.assert_allclose(mean, plain_layer(case), rtol=1e-12)


@pytest.mark.parametrize(
    ("sigma2_in", "radius", "largest"), [(0.1, 1.0, 0.18), (0.1, 1.2, 0.35), (0.01, 1.2, 0.74)]
)
def test_how_far_a_network_without_weight_variance_is_from_the_plain_one(
    sigma2_in, radius, largest
):
    """The paper's variance of tanh is not 0 without variance of its input."""
    variant = VARIANTS["plain"]
    values = replace(variant.typical, n_hidden=200, sigma2_in=sigma2_in, spectral_radius=radius)
    new = variant.initial_parameters(values, 88, 88, "variance", 0)
    case = Case([1] * 50, n_features=88, n_hidden=200, variance=0.0)
    case.x = (np.random.default_rng(0).random((50, 88)) < 0.045).astype(float)
    case.parameters |= {"M_in": new["W_in"], "M_rec": new["W_rec"], "b_h": new["b_h"]}
    case.parameters |= {"mean0": new["h0"], "variance0": np.zeros((1, 200))}
    _, _, (mean, _) = case.run()
    assert np.abs(mean - plain_layer(case)).max() == pytest.approx(largest, rel=0.05)


def plain_layer(case):
    """Hidden states of the ordinary native layer with the means for weights."""
    x, n_rows, b, one = T.dmatrix(), T.lvector(), T.dvector(), np.float64(1)
    state = [T.dmatrix() for _ in range(4)]
    mean, *_ = RecurrentLayer("plain")(x, n_rows, *state, b, one, one, one)
    names = ("mean0", "variance0", "M_in", "M_rec", "b_h")
    function = uncompiled.function([x, n_rows, *state, b], mean)
    return function(case.x, case.n_rows, *(case.parameters[name] for name in names))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_show(bad):
    case = Case([2, 2, 2], dtype="float32")
    case.parameters["S_rec"][0, 0] = bad
    loss, gradients, _ = case.run()
    assert not np.isfinite(loss + sum(float((g**2).sum()) for g in gradients.values()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"M_in": np.zeros((4, 7))}, r"W_in_mean must have shape \(5, 7\), got \(4, 7\)"),
        ({"S_in": np.zeros((5, 6))}, r"W_in_variance must have shape \(5, 7\), got \(5, 6\)"),
        ({"S_rec": np.zeros((6, 7))}, r"W_rec_variance must have shape \(7, 7\), got \(6, 7\)"),
        ({"variance0": np.zeros((2, 7))}, r"variance0 must have shape \(1, 7\), got \(2, 7\)"),
    ],
)
def test_shapes_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        Case([3, 3]).run(**change)


def test_only_meaningful_outputs_have_gradients():
    x, vector = T.fmatrix(), T.fvector()
    outputs = GaussianWeightsLayer()(x, T.lvector(), x, x, x, x, x, x, vector)
    with pytest.raises(TypeError, match="only mean and variance can be differentiated, not u"):
        theano.grad(outputs[4].sum(), vector)


PRODUCT_NAMES = ["mean", "variance", "M", "S", "b"]


@cache
def compiled_product(dtype="float64"):
    """(loss, gradients by PRODUCT_NAMES, outputs) of those and two weights of the loss."""
    inputs = [T.TensorType(dtype, (False,) * n)() for n in (2, 2, 2, 2, 1)]
    weights = [T.TensorType(dtype, (False,) * 2)() for _ in range(2)]
    outputs = GaussianWeightsProduct()(*inputs)
    loss = sum((w * output).sum() for w, output in zip(weights, outputs, strict=True))
    return uncompiled.function([*inputs, *weights], [loss, *theano.grad(loss, inputs), *outputs])


def product_arguments(n_rows, n_hidden, n_features):
    rng = np.random.default_rng(0)
    shape, weights = (n_rows, n_hidden), (n_hidden, n_features)
    return {
        "mean": rng.normal(size=shape),
        "variance": rng.random(shape),
        "M": rng.normal(size=weights),
        "S": rng.random(weights),
        "b": rng.normal(size=n_features),
    }, rng.normal(size=(2, n_rows, n_features))


# 300 rows are more than a block of the kernel.
@pytest.mark.parametrize("size", [(4, 3, 5), (1, 1, 1), (300, 2, 3), (7, 17, 9)], ids=str)
def test_product_against_numpy_and_finite_differences(size):
    arguments, weights = product_arguments(*size)
    double, *rest = compiled_product()(*arguments.values(), *weights)
    expected = oracle.gaussian_product(*(arguments[name] for name in PRODUCT_NAMES[:4]))
    np.testing.assert_allclose(rest[5], expected[0] + arguments["b"], rtol=1e-10)
    np.testing.assert_allclose(rest[6], expected[1], rtol=1e-10)
    single, *rest32 = compiled_product("float32")(
        *(a.astype(np.float32) for a in [*arguments.values(), *weights])
    )
    assert single == pytest.approx(float(double), rel=1e-4, abs=1e-3)
    rng = np.random.default_rng(1)
    for name, gradient, gradient32 in zip(PRODUCT_NAMES, rest[:5], rest32[:5], strict=True):
        np.testing.assert_allclose(gradient32, gradient, atol=2e-4, rtol=1e-4, err_msg=name)
        # Along random directions: there are many elements.
        for _ in range(5):
            direction = rng.normal(size=gradient.shape)
            up, down = (
                float(compiled_product()(*(arguments | {name: arguments[name] + s * direction}
                                           ).values(), *weights)[0])
                for s in (1e-6, -1e-6)
            )  # fmt: skip
            expected_slope = (up - down) / 2e-6
            assert (gradient * direction).sum() == pytest.approx(
                expected_slope, rel=1e-6, abs=1e-5
            ), name


def test_product_shapes_that_do_not_fit():
    arguments, weights = product_arguments(4, 3, 5)
    with pytest.raises(ValueError, match=r"W_variance must have shape \(3, 5\), got \(2, 5\)"):
        compiled_product()(*(arguments | {"S": np.zeros((2, 5))}).values(), *weights)


def test_a_product_of_no_rows():
    arguments, weights = product_arguments(0, 3, 5)
    with pytest.raises(ValueError, match="the number of rows must be at least 1, got 0"):
        compiled_product()(*arguments.values(), *weights)
