from functools import cache

import numpy as np
import pytest

from fdrnn.model.ops import LpUnits
from fdrnn.model.toolchain import theano
from oracles.numpy_lp import lp_units

T = theano.tensor


@cache
def compiled(dtype):
    """(units, gradients of their weighted sum) of a, p, weights."""
    a, p, weights = (T.TensorType(dtype, (False,) * n)() for n in (2, 1, 2))
    units = LpUnits()(a, p)
    return theano.function([a, p, weights], [units, *theano.grad((weights * units).sum(), [a, p])])


@pytest.mark.parametrize("n_pooled", [1, 2, 5])
@pytest.mark.parametrize("n_units", [1, 7, 64])
def test_units_and_gradients(n_pooled, n_units):
    rng = np.random.default_rng(n_units)
    a = rng.normal(size=(9, n_pooled, n_units))
    p, weights = 1 + 4 * rng.random(n_units), rng.normal(size=(9, n_units))
    units, d_a, d_p = compiled("float64")(a.reshape(9, -1), p, weights)
    np.testing.assert_allclose(units, lp_units(a, p), rtol=1e-12)

    def loss(a, p):
        return (weights * lp_units(a, p)).sum()

    for gradient, of, arguments in ((d_a.reshape(a.shape), 0, [a, p]), (d_p, 1, [a, p])):
        for _ in range(4):
            direction = rng.normal(size=gradient.shape)
            ends = []
            for step in (1e-6, -1e-6):
                moved = list(arguments)
                moved[of] = moved[of] + step * direction
                ends.append(loss(*moved))
            expected = (ends[0] - ends[1]) / 2e-6
            assert np.vdot(gradient, direction) == pytest.approx(expected, rel=1e-5, abs=1e-7)
    single = compiled("float32")(
        *(value.astype(np.float32) for value in (a.reshape(9, -1), p, weights))
    )
    for found, of_double in zip(single, (units, d_a, d_p), strict=True):
        np.testing.assert_allclose(found, of_double, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [0.0, 1e-36, 1e-8, 1e4, 1e36])
def test_tiny_and_huge_activations(size):
    """One of two is 0; the unit is size / 2^(1/p)."""
    a = np.array([[size, -size, 0.0, 0.0]], np.float32)
    p = np.array([1.0, 30.0], np.float32)
    units, d_a, d_p = compiled("float32")(a, p, np.ones((1, 2), np.float32))
    if size > 1e-30:
        np.testing.assert_allclose(units[0], np.float32(size) * 0.5 ** (1 / p), rtol=1e-5)
        np.testing.assert_allclose(d_a[0, :2], [0.5, -(0.5 ** (1 / 30))], rtol=1e-4)
    assert (units <= 1e-29).all() or size > 1e-30
    assert (d_a[0, 2:] == 0).all()
    assert np.isfinite(d_a).all()
    assert np.isfinite(d_p).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_show(bad):
    a = np.ones((1, 4), np.float32)
    a[0, 2] = bad
    units, *_ = compiled("float32")(a, np.full(2, 3, np.float32), np.ones((1, 2), np.float32))
    assert not np.isfinite(units[0, 0])


@pytest.mark.parametrize("n_columns", [0, 1, 3])
def test_columns_that_do_not_fit(n_columns):
    with pytest.raises(
        ValueError, match=f"columns of a, {n_columns}, must be a multiple of the units"
    ):
        compiled("float32")(
            np.ones((2, n_columns), np.float32), np.ones(2, np.float32), np.ones((2, 2), np.float32)
        )
