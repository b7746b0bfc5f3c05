#section support_code
/*
 * Lp units (Gulcehre et al. 2013): a unit pools P activations as (1/P sum_k |a_k|^p)^(1/p), p >= 1.
 *
 * With the largest size m of its activations and r_k = |a_k| / m, that is m s^(1/p) with
 * s = 1/P sum_k r_k^p in [1/P, 1], so that no power overflows. Activations are (P, H) in a row.
 */
namespace fdrnn {

const double SMALLEST = 1e-30; /* of sizes, shares and sums, which have logarithms */

/* 0 if a row of G activations has as many for each of H units; else -1 with a ValueError set. */
inline int expect_pooled(const char *op, npy_intp G, npy_intp H) {
    if (H >= 1 && G >= H && G % H == 0) return 0;
    PyErr_Format(PyExc_ValueError,
                 "%s: the columns of a, %zd, must be a multiple of the units, %zd", op,
                 (Py_ssize_t)G, (Py_ssize_t)H);
    return -1;
}

template <typename real>
inline real at_least_smallest(real x) {
    return x < real(SMALLEST) ? real(SMALLEST) : x;
}

/* log r_k of one activation. */
template <typename real>
inline real log_share(real a, real m) {
    return logarithm(at_least_smallest(std::fabs(a) / m));
}

/* m and s (H,) of a row. */
template <typename real>
inline void pool(npy_intp P, npy_intp H, const real *__restrict a, const real *__restrict p,
                 real *__restrict m, real *__restrict s) {
    for (npy_intp j = 0; j < H; ++j) m[j] = s[j] = real(0);
    for (npy_intp k = 0; k < P; ++k) {
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            const real size = std::fabs(a[k * H + j]);
            m[j] = size > m[j] ? size : m[j];
        }
    }
    for (npy_intp j = 0; j < H; ++j) m[j] = at_least_smallest(m[j]);
    for (npy_intp k = 0; k < P; ++k) {
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) s[j] += exponential(p[j] * log_share(a[k * H + j], m[j]));
    }
    for (npy_intp j = 0; j < H; ++j) s[j] = at_least_smallest(s[j] / real(P));
}

}  // namespace fdrnn
