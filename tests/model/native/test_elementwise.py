import ctypes
import zlib

import numpy as np
import pytest

from .builds import BUILDS, library

FUNCTIONS = """
using namespace fdrnn;

#define EXPORT(name, real, value)                                                \\
    extern "C" void name(npy_intp n, const real *__restrict x, real *__restrict y) { \\
        for (npy_intp i = 0; i < n; ++i) y[i] = value;                           \\
    }
#define EXPORT_BOTH(name, value)          \\
    EXPORT(name##_float32, float, value)  \\
    EXPORT(name##_float64, double, value)
EXPORT_BOTH(exponential, exponential(x[i]))
EXPORT_BOTH(sigmoid, sigmoid(x[i]))
EXPORT_BOTH(hyperbolic_tangent, hyperbolic_tangent(x[i]))
EXPORT_BOTH(softplus, softplus(x[i]))
EXPORT_BOTH(logarithm, logarithm(x[i]))

extern "C" void sum_float32(npy_intp n, const float *x, float *y) {
    *y = sum_of<float>(n, [&](npy_intp i) { return x[i] * exponential(x[i]); });
}
"""
pytestmark = pytest.mark.parametrize("build", BUILDS)

NAMES = ["exponential", "sigmoid", "hyperbolic_tangent", "softplus", "logarithm"]
# By their bits, which no library computes.
POSITIVE = np.arange(1, 0x7F800000, 20011, np.uint32).view(np.float32)
OF_ANY_SIGN = np.concatenate([POSITIVE[POSITIVE <= 86], -POSITIVE[POSITIVE <= 86]])


def call(build, name, x):
    run = getattr(library(build, ("elementwise",), FUNCTIONS), f"{name}_{x.dtype}")
    y = np.empty_like(x)
    run(ctypes.c_ssize_t(len(x)), *(ctypes.c_void_p(array.ctypes.data) for array in (x, y)))
    return y


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("name", "reference", "x", "ulps"),
    [
        ("exponential", np.exp, OF_ANY_SIGN, 1.5),
        ("sigmoid", sigmoid, OF_ANY_SIGN, 3.5),
        ("hyperbolic_tangent", np.tanh, OF_ANY_SIGN, 3.5),
        ("softplus", lambda x: np.logaddexp(0, x), OF_ANY_SIGN, 4),
        ("logarithm", np.log, POSITIVE, 2),
    ],
)
def test_error(build, name, reference, x, ulps):
    expected = reference(x.astype(np.float64))
    error = abs(call(build, name, x) - expected) / np.spacing(abs(expected).astype(np.float32))
    assert error.max() < ulps
    wide = x[x != 1].astype(np.float64)
    np.testing.assert_allclose(call(build, name, wide), reference(wide), rtol=1e-14, atol=0)


# CRC-32 of the bits of every result: what any machine must find.
DIGESTS = {
    "exponential": 1872765302,
    "sigmoid": 389925359,
    "hyperbolic_tangent": 3884308123,
    "softplus": 90359209,
    "logarithm": 3488787020,
}


@pytest.mark.parametrize("name", NAMES)
def test_bits(build, name):
    x = POSITIVE if name == "logarithm" else OF_ANY_SIGN
    assert zlib.crc32(call(build, name, x).tobytes()) == DIGESTS[name]


def test_limits(build):
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 200, -200], np.float32)
    e = np.exp
    expected = {
        "exponential": [1, 1, e(88), e(-87), np.nan, e(88), e(-87)],
        "sigmoid": [0.5, 0.5, 1, e(-87), np.nan, 1, e(-87)],
        "hyperbolic_tangent": [0, -0.0, 1, -1, np.nan, 1, -1],
        "softplus": [np.log(2), np.log(2), np.inf, e(-87), np.nan, 200, e(-87)],
        "logarithm": [-np.inf, -np.inf, np.inf, np.nan, np.nan, np.log(200), np.nan],
    }
    for name, values in expected.items():
        result = call(build, name, x)
        assert result == pytest.approx(values, rel=1e-6, nan_ok=True)
        assert (np.signbit(result[:2]) == np.signbit(np.float32(values[:2]))).all()


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 88, 1000])
def test_order_of_a_sum(build, n):
    x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    sums = np.zeros(16, np.float32)
    for i, term in enumerate(x * call(build, "exponential", x)):
        sums[i % 16] += term
    for half in (8, 4, 2, 1):
        sums = sums[:half] + sums[half:]
    y = np.empty(1, np.float32)
    library(build, ("elementwise",), FUNCTIONS).sum_float32(
        ctypes.c_ssize_t(n), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data)
    )
    assert y[0] == sums[0]
