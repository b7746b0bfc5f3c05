import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdrnn.model.subnormals import subnormals_as_zeros

from .builds import BUILDS, library

NATIVE = ("elementwise", "vectors", "product", "tiles")
FUNCTIONS = """
using namespace fdrnn;

template <typename real>
static void packed(npy_intp m, npy_intp n, npy_intp K, const real *A, const real *B,
                   bool transposed, bool add, real *C) {
    /* One element off the alignment of a vector. */
    real *panels = (real *)malloc((packed_size<real>(K, n) + 1) * sizeof(real));
    pack(K, n, B, transposed ? 1 : n, transposed ? K : 1, [](real x) { return x; }, panels + 1);
    packed_product(m, n, K, A, K, (npy_intp)1, panels + 1, add, C, n);
    free(panels);
}

template <typename real>
static void of_transposed(npy_intp m, npy_intp n, npy_intp K, const real *A, const real *B,
                          bool, bool add, real *C) {
    real *panels = (real *)malloc((transposed_workspace<real>(n) + 1) * sizeof(real));
    product_of_transposed(m, n, K, A, m, B, n, add, C, n, panels + 1);
    free(panels);
}

template <typename real>
static void chain(npy_intp m, npy_intp n, npy_intp K, const real *A, const real *B,
                  bool transposed, bool add, real *C) {
    for (npy_intp i = 0; i < m; ++i)
        for (npy_intp j = 0; j < n; ++j) {
            real c = add ? C[i * n + j] : 0;
            for (npy_intp k = 0; k < K; ++k)
                c = std::fma(A[i * K + k], transposed ? B[j * K + k] : B[k * n + j], c);
            C[i * n + j] = c;
        }
}

#define EXPORT(name, type, function)                                                       \\
    extern "C" void name(npy_intp m, npy_intp n, npy_intp K, const type *A, const type *B, \\
                         bool transposed, bool add, type *C) {                             \\
        function<type>(m, n, K, A, B, transposed, add, C);                                 \\
    }
EXPORT(packed_float32, float, packed)
EXPORT(packed_float64, double, packed)
EXPORT(of_transposed_float32, float, of_transposed)
EXPORT(of_transposed_float64, double, of_transposed)
EXPORT(chain_float32, float, chain)
EXPORT(chain_float64, double, chain)
"""
pytestmark = pytest.mark.parametrize("build", BUILDS)


def unaligned(values):
    """A copy that starts one element after the start of a vector."""
    buffer = np.empty(values.size + 1, values.dtype)
    buffer[1:] = values.ravel()
    return buffer[1:].reshape(values.shape)


def call(build, function, a, b, c=None, b_transposed=False):
    """The product of `a` (m, K) and `b` (K, n) by a function of C++, added to `c` if given."""
    m, n = len(a), b.shape[1]
    add = c is not None
    result = unaligned(np.full((m, n), np.nan, a.dtype) if c is None else c)
    left = unaligned(a.T if function == "of_transposed" else a)
    right = unaligned(b.T if b_transposed else b)
    run = getattr(library(build, NATIVE, FUNCTIONS), f"{function}_{a.dtype}")
    sizes = [ctypes.c_ssize_t(size) for size in (m, n, a.shape[1])]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (left, right, result)]
    run(*sizes, *pointers[:2], ctypes.c_bool(b_transposed), ctypes.c_bool(add), pointers[2])
    return result


def matrices(m, n, K, dtype, seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in ((m, K), (K, n), (m, n))]


def same_bits(x, y):
    bits = f"u{x.dtype.itemsize}"
    nan = np.isnan(x)
    return (nan == np.isnan(y)).all() and (x.view(bits) == y.view(bits))[~nan].all()


SIZE = st.integers(1, 70)
DTYPE = st.sampled_from(["float32", "float64"])


@settings(max_examples=60, deadline=None)
@given(SIZE, SIZE, SIZE, DTYPE, st.booleans(), st.booleans(), st.integers(0, 2**31))
def test_packed_product_is_one_chain(build, m, n, K, dtype, add, transposed, seed):
    a, b, c = matrices(m, n, K, dtype, seed)
    c = c if add else None
    expected = call(build, "chain", a, b, c)
    assert same_bits(call(build, "packed", a, b, c, transposed), expected)


@settings(max_examples=60, deadline=None)
@given(SIZE, SIZE, SIZE, DTYPE, st.booleans(), st.integers(0, 2**31))
def test_product_of_transposed_is_one_chain(build, m, n, K, dtype, add, seed):
    a, b, c = matrices(m, n, K, dtype, seed)
    c = c if add else None
    assert same_bits(call(build, "of_transposed", a, b, c), call(build, "chain", a, b, c))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n", "K"), [(1, 403, 401), (27, 200, 1537), (101, 88, 600)])
def test_blocks_do_not_show(build, dtype, m, n, K):
    a, b, c = matrices(m, n, K, dtype, 0)
    expected = call(build, "chain", a, b, c)
    assert same_bits(call(build, "packed", a, b, c), expected)
    assert same_bits(call(build, "of_transposed", a, b, c), expected)


@pytest.mark.parametrize("function", ["packed", "of_transposed"])
def test_empty_sum_is_zero_or_what_was_there(build, function):
    a, b, c = matrices(5, 9, 0, "float32", 0)
    assert same_bits(call(build, function, a, b), np.zeros_like(c))
    assert same_bits(call(build, function, a, b, c), c)


@pytest.mark.parametrize("function", ["packed", "of_transposed"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("K", [88, 600, 2700])
def test_rounding_error(build, function, dtype, K):
    a, b, _ = matrices(31, 37, K, dtype, 1)
    wide = "float64" if dtype == "float32" else "longdouble"
    exact = a.astype(wide) @ b.astype(wide)
    unit = np.spacing((abs(a) @ abs(b)).astype(dtype))
    assert (abs(call(build, function, a, b) - exact) <= 2 * np.sqrt(K) * unit).all()
    # Of its own size, for terms of one sign.
    a, b = abs(a), abs(b)
    exact = a.astype(wide) @ b.astype(wide)
    error = abs(call(build, function, a, b) - exact)
    assert (error <= 2 * np.sqrt(K) * np.spacing(exact.astype(dtype))).all()


@settings(max_examples=40, deadline=None)
@given(SIZE, SIZE, SIZE, st.sampled_from([np.nan, np.inf, -np.inf]), st.data())
def test_values_that_are_not_finite_pass_through(build, m, n, K, value, data):
    a, b, _ = matrices(m, n, K, "float32", 0)
    i, k, j = (data.draw(st.integers(0, size - 1)) for size in (m, K, n))
    for function in ("packed", "of_transposed"):
        changed = a.copy()
        changed[i, k] = value
        result = call(build, function, changed, b)
        assert same_bits(result, call(build, "chain", changed, b))
        assert not np.isfinite(result[i]).any()
        assert np.isfinite(np.delete(result, i, 0)).all()
        changed = b.copy()
        changed[k, j] = value
        result = call(build, function, a, changed)
        assert same_bits(result, call(build, "chain", a, changed))
        assert not np.isfinite(result[:, j]).any()
        assert np.isfinite(np.delete(result, j, 1)).all()


@pytest.mark.parametrize("function", ["packed", "of_transposed"])
def test_subnormals_are_zeros_in_every_thread(build, function):
    a, b = (np.full(shape, 1e-20, np.float32) for shape in ((90, 30), (30, 170)))
    # Starts the threads.
    assert (call(build, function, a, b) > 0).all()
    with subnormals_as_zeros():
        flushed = call(build, function, a, b)
    assert not flushed.any()
    assert (call(build, function, a, b) > 0).all()
