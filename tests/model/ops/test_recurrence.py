from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdrnn.model.ops import BernoulliOutput, RecurrentLayer
from fdrnn.model.toolchain import theano
from oracles import uncompiled
from oracles.directions import assert_gradients, finite_differences
from oracles.numpy_network import NumpyNetwork, authors_tanh_moments, random_parameters

T = theano.tensor
NAMES = ["h0", "variance0", "W_in", "W_rec", "b_h", "W_out", "b_y"]
FLOAT64_TOLERANCE = 1e-6


@cache
def compiled(dtype="float64", cell="moments", input_scale=2.0):
    """(loss, gradients by NAMES, nll, mean, variance) of x, n_rows, parameters, ..."""

    def tensor(ndim):
        return T.TensorType(dtype, (False,) * ndim)()

    x, target, weights = tensor(2), tensor(2), tensor(1)
    parameters = [tensor(n) for n in (2, 2, 2, 2, 1, 2, 1)]
    rates = [tensor(0) for _ in range(4)]
    n_rows, fast = T.lvector(), T.bscalar()
    h0, variance0, W_in, W_rec, b_h, W_out, b_y = parameters
    p_in, p_hidden, factor, p_out = rates
    layer = RecurrentLayer(cell, input_scale)
    mean, variance, *_ = layer(x, n_rows, h0, variance0, W_in, W_rec, b_h, p_in, p_hidden, factor)
    nll, _, _ = BernoulliOutput()(mean, variance, W_out, b_y, target, p_out, fast)
    loss = T.dot(weights, nll)
    gradients = theano.grad(loss, parameters)
    inputs = [x, n_rows, *parameters, target, weights, *rates, fast]
    return uncompiled.function(inputs, [loss, *gradients, nll, mean, variance])


class Case:
    """Random packed rows and parameters."""

    def __init__(self, n_rows, n_features=5, n_hidden=7, n_start=1, rates=(0.9, 0.7, 0.7, 0.4),
                 fast=True, seed=0, dtype="float64", silent=False):  # fmt: skip
        rng = np.random.default_rng(seed)
        self.n_rows = np.array(n_rows, np.int64)
        total = int(self.n_rows.sum())
        self.x = (rng.random((total, n_features)) < 0.3) * (not silent)
        self.target = rng.random((total, n_features)) < 0.3
        self.weights = rng.random(total)
        self.parameters = random_parameters(rng, n_features, n_hidden)
        self.parameters["h0"] = rng.normal(0, 0.5, (n_start, n_hidden))
        self.parameters["variance0"] = rng.random((n_start, n_hidden)) * 0.5
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
        return float(loss), dict(zip(NAMES, rest[:7], strict=True)), rest[7:]

    def reference_nll(self, **options):
        """Row by row in NumPy, following each row's predecessors by the packing rule."""
        p_in, p_hidden, factor, p_out = self.rates
        network = NumpyNetwork(
            {k: v for k, v in self.parameters.items() if k != "variance0"},
            p_input=p_in,
            p_hidden=p_hidden,
            mean_factor=factor,
            p_output=p_out if self.fast else None,
            **options,
        )
        means = self.parameters["h0"]
        variances = self.parameters["variance0"]
        nll, row = [], 0
        for count in self.n_rows:
            parents = np.minimum(np.arange(count), len(means) - 1)
            new = [
                network.hidden(self.x[row + i][None], means[parent], variances[parent])
                for i, parent in enumerate(parents)
            ]
            means = np.array([m[0] for m, _ in new])
            variances = np.array([v[0] for _, v in new])
            nll += [
                self._output_nll(network, means[i], variances[i], row + i) for i in range(count)
            ]
            row += count
        return np.array(nll)

    def _output_nll(self, network, mean, variance, row):
        w = network.w
        m = mean @ w["W_out"] + w["b_y"]
        if self.fast:
            p = network.p_output
            m = p * mean @ w["W_out"] + w["b_y"]
            v = (p * (1 - p) * mean**2 + p * variance) @ w["W_out"] ** 2
            m = m / np.sqrt(1 + np.pi * v / 8)
        return float((np.logaddexp(0, m) - self.target[row] * m).sum())


LAYOUTS = [
    pytest.param([3, 3, 3, 3], 1, id="constant"),
    pytest.param([3, 3, 3], 3, id="own initial states"),
    pytest.param([1, 1, 3, 4, 5, 5], 1, id="joining"),
    pytest.param([5, 4, 4, 2, 1], 5, id="ending"),
    pytest.param([2, 3, 1, 4], 1, id="both"),
    pytest.param([1, 1], 1, id="B = 1, T = 2"),
]


@pytest.mark.parametrize(("n_rows", "n_start"), LAYOUTS)
@pytest.mark.parametrize("fast", [True, False], ids=["fast output", "ordinary output"])
def test_forward_against_numpy(n_rows, n_start, fast):
    case = Case(n_rows, n_start=n_start, fast=fast)
    loss, _, (nll, _, _) = case.run()
    np.testing.assert_allclose(nll, case.reference_nll(), rtol=1e-10)
    assert loss == pytest.approx(np.dot(case.weights, case.reference_nll()))


@pytest.mark.parametrize(("n_rows", "n_start"), LAYOUTS)
@pytest.mark.parametrize("fast", [True, False], ids=["fast output", "ordinary output"])
def test_gradient_against_finite_differences(n_rows, n_start, fast):
    case = Case(n_rows, n_start=n_start, fast=fast)
    _, gradients, _ = case.run()
    for name in NAMES:
        expected = finite_differences(case, name, None)
        scale = max(np.abs(expected).max(), 1.0)
        np.testing.assert_allclose(
            gradients[name], expected, atol=FLOAT64_TOLERANCE * scale, err_msg=name
        )


# More rows than one block of the input's product and of the output layer holds.
MANY_ROWS = [150] * 4


@pytest.mark.parametrize("fast", [True, False], ids=["fast output", "ordinary output"])
def test_many_rows_are_computed_in_blocks(fast):
    case = Case(MANY_ROWS, n_hidden=128, fast=fast)
    _, gradients, (nll, _, _) = case.run()
    np.testing.assert_allclose(nll, case.reference_nll(), rtol=1e-10)
    assert_gradients(case, gradients, lambda **changed: case.run(**changed)[0])


@pytest.mark.parametrize(
    ("cell", "input_scale"), [("plain", 2.0), ("moments", 1.0)], ids=["plain", "authors_cell"]
)
def test_other_cells(cell, input_scale):
    function = compiled("float64", cell, input_scale)
    plain = cell == "plain"
    rates = (1.0, 1.0, 1.0, 1.0) if plain else (0.9, 0.7, 0.3, 0.4)
    case = Case([1, 2, 4, 4], rates=rates, fast=not plain)
    _, gradients, (nll, _, _) = case.run(function)
    options = {"plain": True} if plain else {"transfer": authors_tanh_moments}
    np.testing.assert_allclose(nll, case.reference_nll(**options), rtol=1e-10)
    for name in NAMES:
        if name == "variance0" and plain:
            np.testing.assert_array_equal(gradients[name], 0)
            continue
        expected = finite_differences(case, name, function)
        np.testing.assert_allclose(gradients[name], expected, atol=1e-6, err_msg=name)


def test_gradient_against_scan():
    from oracles import scan_network  # noqa: PLC0415 - it changes how Theano loads scan

    case = Case([4] * 6, n_start=4, rates=(0.8, 0.6, 0.6, 0.3))
    names = {name: T.TensorType("float64", (False,) * np.ndim(case.parameters[name]))()
             for name in NAMES}  # fmt: skip
    x, target, weights = T.dtensor3(), T.dtensor3(), T.dmatrix()
    p_in, p_hidden, _, p_out = (T.constant(rate, dtype="float64") for rate in case.rates)
    mean, variance = scan_network.hidden_moments(
        x, names["h0"], names["variance0"], names["W_in"], names["W_rec"], names["b_h"],
        p_in, p_hidden,
    )  # fmt: skip
    nll = scan_network.bernoulli_nll(mean, variance, names["W_out"], names["b_y"], target, p_out)
    loss = (weights * nll).sum()
    outputs = [loss, *theano.grad(loss, list(names.values()))]
    function = theano.function([x, target, weights, *names.values()], outputs, mode="FAST_COMPILE")
    shape = (6, 4)
    expected_loss, *expected = function(
        case.x.reshape(*shape, -1).astype(float),
        case.target.reshape(*shape, -1).astype(float),
        case.weights.reshape(shape),
        *(case.parameters[name] for name in NAMES),
    )
    loss, gradients, _ = case.run()
    assert loss == pytest.approx(float(expected_loss), rel=1e-10)
    for name, value in zip(NAMES, expected, strict=True):
        np.testing.assert_allclose(gradients[name], value, rtol=1e-8, atol=1e-10, err_msg=name)


rate = st.sampled_from([0.1, 0.37, 0.8, 1.0])


@settings(max_examples=60, deadline=None)
@given(
    n_rows=st.lists(st.integers(1, 6), min_size=2, max_size=8),
    n_start=st.integers(1, 4),
    n_features=st.sampled_from([1, 3, 16, 88]),
    n_hidden=st.sampled_from([1, 7, 16, 33, 64]),
    rates=st.tuples(rate, rate, rate, rate),
    fast=st.booleans(),
    silent=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_single_precision_agrees_with_double(
    n_rows, n_start, n_features, n_hidden, rates, fast, silent, seed
):
    arguments = {
        "n_rows": n_rows,
        "n_features": n_features,
        "n_hidden": n_hidden,
        "n_start": n_start,
        "rates": rates,
        "fast": fast,
        "silent": silent,
        "seed": seed,
    }
    loss64, gradients64, (nll64, _, _) = Case(**arguments).run()
    loss32, gradients32, (nll32, _, _) = Case(**arguments, dtype="float32").run()
    np.testing.assert_allclose(nll64, Case(**arguments).reference_nll(), rtol=1e-8)
    np.testing.assert_allclose(nll32, nll64, rtol=2e-5)
    assert loss32 == pytest.approx(loss64, rel=2e-5)
    for name in NAMES:
        scale = max(np.abs(gradients64[name]).max(), 1.0)
        np.testing.assert_allclose(
            gradients32[name], gradients64[name], atol=3e-5 * scale, err_msg=name
        )


def test_extreme_activations_stay_finite():
    case = Case([2, 2, 2], dtype="float32")
    case.parameters["W_rec"] *= 1e4
    case.parameters["W_out"] *= 1e4
    loss, gradients, _ = case.run()
    assert np.isfinite(loss)
    assert all(np.isfinite(value).all() for value in gradients.values())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_show_in_the_loss(bad):
    case = Case([2, 2, 2], dtype="float32")
    case.parameters["W_rec"][0, 0] = bad
    assert not np.isfinite(case.run()[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W_in": np.zeros((4, 7))}, r"W_in must have shape \(5, 7\), got \(4, 7\)"),
        ({"W_rec": np.zeros((7, 6))}, r"W_rec must have shape \(7, 7\), got \(7, 6\)"),
        ({"b_h": np.zeros(6)}, r"b must have shape \(7,\), got \(6,\)"),
        ({"h0": np.zeros((1, 6))}, r"mean0 must have shape \(1, 7\), got \(1, 6\)"),
        ({"variance0": np.zeros((2, 7))}, r"variance0 must have shape \(1, 7\), got \(2, 7\)"),
        ({"W_out": np.zeros((6, 5))}, r"W must have shape \(7, 5\), got \(6, 5\)"),
        ({"b_y": np.zeros(4)}, r"b must have shape \(5,\), got \(4,\)"),
    ],
)
def test_shapes_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        Case([3, 3]).run(**change)


@pytest.mark.parametrize(
    ("n_rows", "message"),
    [
        ([3, 4], "n_rows must sum to the rows of x, 6, got 7"),
        ([6, 0], "n_rows must be between 1 and the rows of x"),
        ([-3, 9], "n_rows must be between 1 and the rows of x"),
        ([], "the number of steps in n_rows must be at least 1, got 0"),
    ],
)
def test_packings_that_do_not_fit(n_rows, message):
    case = Case([3, 3])
    case.n_rows = np.array(n_rows, np.int64)
    with pytest.raises(ValueError, match=message):
        case.run()


def test_no_units():
    none = {
        "h0": np.zeros((1, 0)), "variance0": np.zeros((1, 0)), "W_in": np.zeros((5, 0)),
        "W_rec": np.zeros((0, 0)), "b_h": np.zeros(0), "W_out": np.zeros((0, 5)),
    }  # fmt: skip
    with pytest.raises(ValueError, match="the number of units must be at least 1, got 0"):
        Case([3, 3]).run(**none)


def test_dtypes_are_checked_when_the_graph_is_built():
    x32, w64 = T.fmatrix(), T.dmatrix()
    vector, scalar = T.fvector(), T.fscalar()
    with pytest.raises(TypeError, match="W_in must be float32"):
        RecurrentLayer()(x32, T.lvector(), x32, x32, w64, x32, vector, scalar, scalar, scalar)
    with pytest.raises(TypeError, match="n_rows must be int64"):
        RecurrentLayer()(x32, T.ivector(), x32, x32, x32, x32, vector, scalar, scalar, scalar)
    with pytest.raises(TypeError, match="fast_dropout must be int8"):
        BernoulliOutput()(x32, x32, x32, vector, x32, scalar, scalar)
    with pytest.raises(TypeError, match="b must have 1 axes, got 2"):
        BernoulliOutput()(x32, x32, x32, x32, x32, scalar, T.bscalar())


def test_only_meaningful_outputs_have_gradients():
    x, vector, scalar = T.fmatrix(), T.fvector(), T.fscalar()
    _, _, a, _, _ = RecurrentLayer()(x, T.lvector(), x, x, x, x, vector, scalar, scalar, scalar)
    with pytest.raises(TypeError, match="only mean and variance can be differentiated, not a"):
        theano.grad(a.sum(), vector)
