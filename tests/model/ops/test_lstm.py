from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from fdrnn.model import VARIANTS
from fdrnn.model.ops import BernoulliOutput, LstmLayer
from fdrnn.model.toolchain import theano
from oracles import uncompiled
from oracles.directions import assert_gradients, finite_differences
from oracles.numpy_lstm import NumpyLstm, product_moments, random_lstm_parameters, without_variance
from oracles.numpy_network import sigmoid_moments, tanh_moments

T = theano.tensor
STATE = ["h0", "variance0", "c0", "cell_variance0"]
NAMES = [*STATE, "W_in", "W_rec", "b_h", "W_out", "b_y"]
VARIANCES = {"variance0", "cell_variance0"}


def symbolic_layer(dtype, stochastic):
    """(x, n_rows, parameters by NAMES without the output's, rates) and the layer's outputs."""

    def tensor(ndim):
        return T.TensorType(dtype, (False,) * ndim)()

    x, n_rows = tensor(2), T.lvector()
    parameters = [tensor(n) for n in (2, 2, 2, 2, 2, 2, 1)]
    rates = [tensor(0), tensor(0)]
    return x, n_rows, parameters, rates, LstmLayer(stochastic)(x, n_rows, *parameters, *rates)


@cache
def compiled(dtype="float64", stochastic=True):
    """(loss, gradients by NAMES, nll, mean, variance) of x, n_rows, parameters, ..."""

    def tensor(ndim):
        return T.TensorType(dtype, (False,) * ndim)()

    x, n_rows, parameters, rates, layer = symbolic_layer(dtype, stochastic)
    target, weights, W_out, b_y = tensor(2), tensor(1), tensor(2), tensor(1)
    p_out, fast = tensor(0), T.bscalar()
    mean, variance, *_ = layer
    nll, _, _ = BernoulliOutput()(mean, variance, W_out, b_y, target, p_out, fast)
    loss = T.dot(weights, nll)
    parameters = [*parameters, W_out, b_y]
    gradients = theano.grad(loss, parameters)
    inputs = [x, n_rows, *parameters, target, weights, *rates, p_out, fast]
    return uncompiled.function(inputs, [loss, *gradients, nll, mean, variance])


@cache
def compiled_layer(stochastic=True):
    """The layer's own outputs, in double precision."""
    x, n_rows, parameters, rates, layer = symbolic_layer("float64", stochastic)
    return uncompiled.function([x, n_rows, *parameters, *rates], list(layer))


class Case:
    """Random packed rows and parameters."""

    def __init__(self, n_rows, n_features=5, n_hidden=7, n_start=1, rates=(0.9, 0.7, 0.4),
                 fast=True, seed=0, dtype="float64", silent=False):  # fmt: skip
        rng = np.random.default_rng(seed)
        self.n_rows = np.array(n_rows, np.int64)
        total = int(self.n_rows.sum())
        self.x = (rng.random((total, n_features)) < 0.3) * (not silent)
        self.target = rng.random((total, n_features)) < 0.3
        self.weights = rng.random(total)
        self.parameters = random_lstm_parameters(rng, n_features, n_hidden)
        self.parameters["h0"] = rng.normal(0, 0.5, (n_start, n_hidden))
        self.parameters["c0"] = rng.normal(0, 0.8, (n_start, n_hidden))
        self.parameters["variance0"] = rng.random((n_start, n_hidden)) * 0.5
        self.parameters["cell_variance0"] = rng.random((n_start, n_hidden))
        self.rates, self.fast, self.dtype = rates, fast, dtype

    def run(self, function=None, **changed):
        parameters = {**self.parameters, **changed}
        cast = [np.asarray(parameters[name], self.dtype) for name in NAMES]
        function = function or compiled(self.dtype)
        loss, *rest = function(
            self.x.astype(self.dtype),
            self.n_rows,
            *cast,
            self.target.astype(self.dtype),
            self.weights.astype(self.dtype),
            *(np.dtype(self.dtype).type(rate) for rate in self.rates),
            np.int8(self.fast),
        )
        return float(loss), dict(zip(NAMES, rest[:9], strict=True)), rest[9:]

    def layer(self, stochastic=True):
        """The layer's own outputs."""
        return compiled_layer(stochastic)(
            self.x.astype(float),
            self.n_rows,
            *(self.parameters[name] for name in NAMES[:7]),
            *self.rates[:2],
        )

    def oracle(self, **options):
        """The NumPy network of these parameters."""
        p_in, p_hidden, p_out = self.rates
        return NumpyLstm(
            self.parameters,
            p_input=p_in,
            p_hidden=p_hidden,
            p_output=p_out if self.fast else None,
            **options,
        )

    def reference(self, **options):
        """Row by row in NumPy, following the packing rule: nll, mean, variance."""
        network = self.oracle(**options)
        states = list(zip(*(self.parameters[name] for name in STATE), strict=True))
        rows, row = [], 0
        for count in self.n_rows:
            states = [
                network.step(self.x[row + i].astype(float), *states[min(i, len(states) - 1)])
                for i in range(count)
            ]
            rows += states
            row += count
        mean, variance = (np.array([state[part] for state in rows]) for part in (0, 1))
        z = network.logit(mean, variance)
        return (np.logaddexp(0, z) - self.target * z).sum(axis=1), mean, variance


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
@pytest.mark.parametrize("fast", [True, False], ids=["fast output", "ordinary output"])
def test_forward_against_numpy(n_rows, n_start, fast):
    case = Case(n_rows, n_start=n_start, fast=fast)
    _, _, outputs = case.run()
    for got, expected in zip(outputs, case.reference(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("n_rows", "n_start"), LAYOUTS)
def test_plain_forward_against_numpy(n_rows, n_start):
    case = Case(n_rows, n_start=n_start, fast=False)
    _, _, (nll, mean, variance) = case.run(compiled("float64", False))
    expected, expected_mean, _ = case.reference(plain=True)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-10)
    np.testing.assert_allclose(nll, expected, rtol=1e-10)
    assert variance.size == 0


@pytest.mark.parametrize(("n_rows", "n_start"), LAYOUTS)
@pytest.mark.parametrize("stochastic", [True, False], ids=["fast dropout", "plain"])
def test_gradient_against_finite_differences(n_rows, n_start, stochastic):
    function = compiled("float64", stochastic)
    case = Case(n_rows, n_features=4, n_hidden=5, n_start=n_start, fast=stochastic)
    _, gradients, _ = case.run(function)
    for name in NAMES:
        if name in VARIANCES and not stochastic:
            np.testing.assert_array_equal(gradients[name], 0)
            continue
        expected = finite_differences(case, name, function)
        scale = max(np.abs(expected).max(), 1.0)
        np.testing.assert_allclose(gradients[name], expected, atol=1e-6 * scale, err_msg=name)


@pytest.mark.parametrize("stochastic", [True, False], ids=["fast dropout", "plain"])
def test_many_rows_are_computed_in_blocks(stochastic):
    function = compiled("float64", stochastic)
    case = Case([80] * 4, n_hidden=64, fast=stochastic)
    _, gradients, (nll, mean, _) = case.run(function)
    expected, expected_mean, _ = case.reference(plain=not stochastic)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-10)
    np.testing.assert_allclose(nll, expected, rtol=1e-10)
    assert_gradients(case, gradients, lambda **changed: case.run(function, **changed)[0])


rate = st.sampled_from([0.1, 0.37, 0.8, 1.0])


@settings(max_examples=40, deadline=None)
@given(
    n_rows=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    n_start=st.integers(1, 4),
    n_features=st.sampled_from([1, 3, 16, 88]),
    n_hidden=st.sampled_from([1, 7, 16, 33]),
    rates=st.tuples(rate, rate, rate),
    stochastic=st.booleans(),
    silent=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_single_precision_agrees_with_double(
    n_rows, n_start, n_features, n_hidden, rates, stochastic, silent, seed
):
    arguments = {
        "n_rows": n_rows,
        "n_features": n_features,
        "n_hidden": n_hidden,
        "n_start": n_start,
        "rates": rates,
        "fast": stochastic,
        "silent": silent,
        "seed": seed,
    }
    case = Case(**arguments)
    loss64, gradients64, (nll64, _, _) = case.run(compiled("float64", stochastic))
    loss32, gradients32, (nll32, _, _) = Case(**arguments, dtype="float32").run(
        compiled("float32", stochastic)
    )
    np.testing.assert_allclose(nll64, case.reference(plain=not stochastic)[0], rtol=1e-8)
    np.testing.assert_allclose(nll32, nll64, rtol=2e-5)
    assert loss32 == pytest.approx(loss64, rel=2e-5)
    for name in NAMES:
        scale = max(np.abs(gradients64[name]).max(), 1.0)
        np.testing.assert_allclose(
            gradients32[name], gradients64[name], atol=3e-5 * scale, err_msg=name
        )


def test_cell_and_hidden_moments_are_those_of_independent_draws():
    """Gates, cell before and tanh of the cell drawn with the layer's moments; 5 errors."""
    rng = np.random.default_rng(2)
    draws = 200_000
    case = Case([3], n_hidden=4, n_start=3)
    mean, variance, cell_mean, cell_variance, gate_mean, gate_variance, *rest = case.layer()
    tanh_mean, tanh_variance = rest[:2]

    def drawn(m, v):
        return rng.normal(m, np.sqrt(v), (draws, *m.shape))

    gates = drawn(gate_mean, gate_variance).reshape(draws, 3, 4, 4)
    i, f, o, g = np.moveaxis(gates, 2, 0)
    before = drawn(case.parameters["c0"], case.parameters["cell_variance0"])
    cell = f * before + i * g
    hidden = o * drawn(tanh_mean, tanh_variance)
    for sample, m, v in ((cell, cell_mean, cell_variance), (hidden, mean, variance)):
        deviation = sample.std(0)
        assert (np.abs(sample.mean(0) - m) < 5 * deviation / np.sqrt(draws)).all()
        kurtosis = ((sample - sample.mean(0)) ** 4).mean(0) / deviation**4
        assert (np.abs(deviation**2 / v - 1) < 5 * np.sqrt(kurtosis / draws)).all()


def integrated(function):
    """Moments of function(x) of a Gaussian by the trapezoidal rule over +-8 deviations."""
    z = np.linspace(-8, 8, 401)
    weight = np.exp(-(z**2) / 2)
    weight /= weight.sum()

    def moments(m, v):
        y = function(m[:, None] + np.sqrt(v)[:, None] * z)
        mean = y @ weight
        return mean, (y - mean[:, None]) ** 2 @ weight

    return moments


def test_moments_against_dropout_by_masks():
    """An LSTM with 20,000 draws of masks, four steps, beside the propagated moments.

    With the moments of sigmoid and tanh integrated numerically, what is left is the assumption
    of independence. The paper's approximations propagate several times the variance, because
    theirs is not 0 without input variance.
    """
    rng = np.random.default_rng(3)
    draws, steps, n = 20_000, 4, 40
    case = Case([1] * steps, n_features=20, n_hidden=n, rates=(0.9, 0.7, 1.0))
    for name in VARIANCES:
        case.parameters[name] = np.zeros((1, n))
    w = case.parameters
    h, c = (np.repeat(w[name], draws, axis=0) for name in ("h0", "c0"))
    for frame in case.x:
        x = frame * (rng.random((draws, 20)) < 0.9)
        a = x @ w["W_in"] + (h * (rng.random((draws, n)) < 0.7)) @ w["W_rec"] + w["b_h"]
        i, f, o = (expit(a[:, k * n : (k + 1) * n]) for k in range(3))
        c = f * c + i * np.tanh(a[:, 3 * n :])
        h = o * np.tanh(c)
    independent = case.oracle(sigmoid=integrated(expit), tanh=integrated(np.tanh))
    mean, variance = (part[-1] for part in independent.hidden(case.x))
    assert np.abs(mean - h.mean(0)).max() < 0.009
    assert np.abs(variance - h.var(0)).max() < 0.002
    mean, variance = (part[-1] for part in case.layer()[:2])
    assert np.abs(mean - h.mean(0)).max() < 0.013
    assert np.abs(variance - h.var(0)).max() < 0.07
    assert (variance > h.var(0)).all()


def held_at_zero(case):
    return case.reference(
        sigmoid=without_variance(sigmoid_moments), tanh=without_variance(tanh_moments)
    )


def test_all_rates_zero_with_transfer_variance_held_at_zero_is_plain():
    case = Case([1, 2, 4, 3], rates=(1.0, 1.0, 1.0), fast=False)
    for name in VARIANCES:
        case.parameters[name] *= 0
    nll, mean, variance = held_at_zero(case)
    _, _, (plain_nll, plain_mean, _) = case.run(compiled("float64", False))
    np.testing.assert_allclose(mean, plain_mean, rtol=1e-12)
    np.testing.assert_allclose(nll, plain_nll, rtol=1e-12)
    np.testing.assert_array_equal(variance, 0)


def test_first_step_at_all_rates_zero_has_the_plain_gates_and_cell():
    """The native kernels' means without any variance; from the cell on, variance has come in."""
    case = Case([3], n_start=3, rates=(1.0, 1.0, 1.0))
    for name in VARIANCES:
        case.parameters[name] *= 0
    fast, plain = case.layer(), case.layer(stochastic=False)
    np.testing.assert_allclose(fast[4], plain[4], rtol=1e-12)
    np.testing.assert_allclose(fast[2], plain[2], rtol=1e-12)
    assert (fast[9] == 0).all()


def test_all_rates_zero_alone_is_not_plain():
    """The paper's variances of sigmoid and tanh are not 0 without input variance."""
    for sigma2_rec, sigma2_in, largest in ((0.001, 0.01, 0.02), (0.01, 0.01, 0.2), (0.1, 0.1, 1.8)):
        case = Case([1] * 50, n_features=88, n_hidden=200, rates=(1.0, 1.0, 1.0), fast=False)
        case.x = np.random.default_rng(0).random((50, 88)) < 0.045
        variant = VARIANTS["lstm_fast_dropout"]
        values = replace(variant.typical, sigma2_rec_out=sigma2_rec, sigma2_in=sigma2_in)
        new = variant.initial_parameters(values, 88, 88, "variance", 0)
        case.parameters |= {name: new[name] for name in case.parameters.keys() & new.keys()}
        for name in VARIANCES:
            case.parameters[name] *= 0
        fast, plain = case.layer(), case.layer(stochastic=False)
        assert np.abs(fast[0] - plain[0]).max() == pytest.approx(largest, rel=0.2)


def test_product_moments_of_the_oracle_are_those_of_draws():
    rng = np.random.default_rng(4)
    x, y = rng.normal(0.4, 1.1, 10**6), rng.normal(-0.7, 0.6, 10**6)
    m, v = product_moments(0.4, 1.1**2, -0.7, 0.6**2)
    assert (x * y).mean() == pytest.approx(m, abs=5e-3)
    assert (x * y).var() == pytest.approx(v, rel=1e-2)


def test_extreme_activations_stay_finite():
    case = Case([2, 2, 2], dtype="float32")
    case.parameters["W_rec"] *= 1e4
    case.parameters["W_out"] *= 1e4
    loss, gradients, _ = case.run()
    assert np.isfinite(loss)
    assert all(np.isfinite(value).all() for value in gradients.values())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("stochastic", [True, False], ids=["fast dropout", "plain"])
def test_values_that_are_not_finite_show_in_the_loss(bad, stochastic):
    case = Case([2, 2, 2], dtype="float32", fast=stochastic)
    case.parameters["W_rec"][0, 0] = bad
    loss, gradients, _ = case.run(compiled("float32", stochastic))
    norm = sum(float((value**2).sum()) for value in gradients.values())
    assert not np.isfinite(loss + norm)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W_in": np.zeros((4, 28))}, r"W_in must have shape \(5, 28\), got \(4, 28\)"),
        ({"W_rec": np.zeros((7, 27))}, r"W_rec must have shape \(7, 28\), got \(7, 27\)"),
        ({"b_h": np.zeros(7)}, r"b must have shape \(28,\), got \(7,\)"),
        ({"h0": np.zeros((1, 6))}, r"mean0 must have shape \(1, 7\), got \(1, 6\)"),
        ({"variance0": np.zeros((2, 7))}, r"variance0 must have shape \(1, 7\), got \(2, 7\)"),
        ({"c0": np.zeros((2, 7))}, r"cell_mean0 must have shape \(1, 7\), got \(2, 7\)"),
        (
            {"cell_variance0": np.zeros((1, 8))},
            r"cell_variance0 must have shape \(1, 7\), got \(1, 8\)",
        ),
    ],
)
def test_shapes_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        Case([3, 3]).run(**change)


def test_packings_that_do_not_fit():
    case = Case([3, 3])
    case.n_rows = np.array([3, 4], np.int64)
    with pytest.raises(ValueError, match="n_rows must sum to the rows of x, 6, got 7"):
        case.run()


def test_dtypes_are_checked_when_the_graph_is_built():
    x, w64, vector, scalar = T.fmatrix(), T.dmatrix(), T.fvector(), T.fscalar()
    with pytest.raises(TypeError, match="W_rec must be float32"):
        LstmLayer()(x, T.lvector(), x, x, x, x, x, w64, vector, scalar, scalar)
    with pytest.raises(TypeError, match="n_rows must be int64"):
        LstmLayer()(x, T.ivector(), x, x, x, x, x, x, vector, scalar, scalar)


def test_only_meaningful_outputs_have_gradients():
    x, vector, scalar = T.fmatrix(), T.fvector(), T.fscalar()
    outputs = LstmLayer()(x, T.lvector(), x, x, x, x, x, x, vector, scalar, scalar)
    with pytest.raises(TypeError, match="only mean and variance can be differentiated"):
        theano.grad(outputs[2].sum(), vector)
