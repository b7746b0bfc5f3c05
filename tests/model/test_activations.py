"""What a final layer hands on: equations 1 and 2, an ordinary layer, a draw."""

import numpy as np
import pytest

from fdrnn.model.activations import FinalLayer
from fdrnn.model.toolchain import theano
from oracles import uncompiled

T = theano.tensor
RNG = np.random.default_rng(0)
MEAN, VARIANCE = RNG.standard_normal((6, 5)), RNG.random((6, 5))
W, B = RNG.standard_normal((5, 3)), RNG.standard_normal(3)
NOISE = RNG.standard_normal((6, 3))


def moments(p_keep, flag, noise=None):
    given = [T.dscalar(), T.bscalar()]
    arrays = (T.constant(array) for array in (MEAN, VARIANCE, W, B))
    rest = (*given, None if noise is None else T.constant(noise))
    found = FinalLayer(*arrays, *((None, None, None) if p_keep is None else rest)).moments()
    outputs = [one for one in found if one is not None]
    return uncompiled.function(given, outputs, on_unused_input="ignore")(p_keep or 1.0, flag)


@pytest.mark.parametrize("p_keep", [0.3, 0.8, 1.0])
def test_fast_dropout_by_monte_carlo(p_keep):
    mean, variance = moments(p_keep, 1)
    kept = np.random.default_rng(1).random((20_000, 6, 5)) < p_keep
    hidden = MEAN + np.sqrt(VARIANCE) * np.random.default_rng(2).standard_normal(kept.shape)
    a = (kept * hidden) @ W + B
    error = np.sqrt(variance / len(a))
    assert (np.abs(a.mean(axis=0) - mean) < 5 * error).all()
    # Equation 2 is exact: V[d h] = p (1 - p) E[h]^2 + p V[h].
    np.testing.assert_allclose(a.var(axis=0), variance, rtol=0.08)


def test_layers_without_fast_dropout_ignore_rate_and_variance():
    expected = MEAN @ W + B
    np.testing.assert_allclose(moments(0.3, 0)[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(moments(0.3, 0)[1], 0)
    (ordinary,) = moments(None, 1)
    np.testing.assert_allclose(ordinary, expected, rtol=1e-12)


def test_a_draw_has_no_variance_left():
    mean, variance = moments(0.8, 1)
    (drawn,) = moments(0.8, 1, NOISE)
    np.testing.assert_allclose(drawn, mean + NOISE * np.sqrt(variance), rtol=1e-12)
    np.testing.assert_allclose(moments(0.8, 0, NOISE)[0], MEAN @ W + B, rtol=1e-12)
