from functools import cache

import numpy as np
import pytest

from fdrnn.model.ops import OwnWeightsLayer, OwnWeightsProduct
from fdrnn.model.toolchain import theano
from oracles import uncompiled

T = theano.tensor
NAMES = ["a", "h0", "W"]


@cache
def compiled(dtype="float64"):
    """(loss, gradients by NAMES, h) of a, n_rows, h0, W and the weights of the loss."""
    a, h0, W, weights = (T.TensorType(dtype, (False,) * n)() for n in (2, 2, 3, 2))
    n_rows = T.lvector()
    h = OwnWeightsLayer()(a, n_rows, h0, W)
    loss = (weights * h).sum()
    return uncompiled.function(
        [a, n_rows, h0, W, weights], [loss, *theano.grad(loss, [a, h0, W]), h]
    )


class Case:
    def __init__(self, n_steps, n_sequences, n_hidden, seed=0, dtype="float64"):
        rng = np.random.default_rng(seed)
        self.n_rows = np.full(n_steps, n_sequences)
        self.dtype = dtype
        self.parameters = {
            "a": rng.normal(size=(n_steps * n_sequences, n_hidden)),
            "h0": rng.normal(0, 0.5, (1, n_hidden)),
            "W": rng.normal(0, 1 / np.sqrt(n_hidden), (n_sequences, n_hidden, n_hidden)),
        }
        self.weights = rng.normal(size=(n_steps * n_sequences, n_hidden))

    def run(self, **changed):
        a, h0, W = (np.asarray({**self.parameters, **changed}[k], self.dtype) for k in NAMES)
        weights = self.weights.astype(self.dtype)
        loss, *gradients, h = compiled(self.dtype)(a, self.n_rows, h0, W, weights)
        return float(loss), dict(zip(NAMES, gradients, strict=True)), h

    def reference(self):
        """One sequence at a time."""
        a, h0, W = (self.parameters[name] for name in NAMES)
        a = a.reshape(len(self.n_rows), len(W), -1)
        h = np.empty_like(a)
        for k, matrix in enumerate(W):
            before = h0[0]
            for t, frame in enumerate(a[:, k]):
                before = h[t, k] = np.tanh(frame + before @ matrix)
        return h.reshape(-1, h.shape[-1])


SIZES = [(4, 3, 5), (1, 1, 1), (6, 1, 17), (2, 5, 1), (1, 4, 8)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_forward_and_gradient(size):
    case = Case(*size)
    _, gradients, h = case.run()
    np.testing.assert_allclose(h, case.reference(), rtol=1e-10)
    for name in NAMES:
        value = case.parameters[name]
        expected = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            step = np.zeros_like(value)
            step[index] = 1e-6
            up, down = (case.run(**{name: value + sign * step})[0] for sign in (1, -1))
            expected[index] = (up - down) / 2e-6
        np.testing.assert_allclose(gradients[name], expected, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("size", [*SIZES, (20, 3, 33)], ids=str)
def test_single_precision_agrees_with_double(size):
    _, gradients64, h64 = Case(*size).run()
    _, gradients32, h32 = Case(*size, dtype="float32").run()
    np.testing.assert_allclose(h32, h64, atol=2e-5)
    for name in NAMES:
        scale = max(np.abs(gradients64[name]).max(), 1.0)
        np.testing.assert_allclose(gradients32[name], gradients64[name], atol=3e-5 * scale)


def test_rows_that_join_or_shapes_that_do_not_fit():
    case = Case(3, 2, 4)
    with pytest.raises(ValueError, match=r"W must have shape \(2, 4, 4\), got \(2, 4, 3\)"):
        case.run(W=np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match=r"h0 must have shape \(1, 4\), got \(2, 4\)"):
        case.run(h0=np.zeros((2, 4)))
    case.n_rows = np.array([1, 2, 3])
    with pytest.raises(ValueError, match="one row for each of the 2 sequences, got 1 at step 0"):
        case.run()


@cache
def compiled_product(dtype="float64"):
    """(y, gradients of (weights * y).sum() by x and W) of x, W and weights."""
    x, W, weights = (T.TensorType(dtype, (False,) * n)() for n in (2, 3, 2))
    y = OwnWeightsProduct()(x, W)
    gradients = theano.grad((weights * y).sum(), [x, W])
    return uncompiled.function([x, W, weights], [y, *gradients])


@pytest.mark.parametrize("size", [(4, 3, 5, 2), (1, 1, 1, 1), (7, 2, 17, 9), (3, 4, 1, 8)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_product_and_its_gradient(size, dtype):
    steps, sequences, n, m = size
    rng = np.random.default_rng(0)
    x = rng.normal(size=(steps * sequences, n))
    W, weights = rng.normal(size=(sequences, n, m)), rng.normal(size=(steps * sequences, m))
    y, dx, dW = compiled_product(dtype)(*(a.astype(dtype) for a in (x, W, weights)))
    x, weights = (a.reshape(steps, sequences, -1) for a in (x, weights))
    tolerance = {"rtol": 1e-10} if dtype == "float64" else {"atol": 1e-5}
    for got, expected in (
        (y, np.einsum("tkn,knm->tkm", x, W)),
        (dx, np.einsum("tkm,knm->tkn", weights, W)),
        (dW, np.einsum("tkn,tkm->knm", x, weights)),
    ):
        np.testing.assert_allclose(got.reshape(expected.shape), expected, **tolerance)


def test_rows_that_do_not_divide_among_the_sequences():
    with pytest.raises(ValueError, match="rows of x, 5, must be a multiple of the sequences, 2"):
        compiled_product()(np.zeros((5, 3)), np.zeros((2, 3, 4)), np.zeros((5, 4)))
