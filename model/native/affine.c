#section support_code
/* Equations 1 and 2 around the products of an affine layer with fast dropout, elementwise. */
namespace fdrnn {

/*
 * Variance input of an affine step, c = (1 - p) mean^2 + variance, so that V[a] = p c W^2
 * (equation 2 with one factor p taken out).
 */
template <typename real>
inline void variance_input(npy_intp size, real p_keep, const real *__restrict mean,
                           const real *__restrict variance, real *__restrict c) {
    const real q = real(1) - p_keep;
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i) c[i] = q * mean[i] * mean[i] + variance[i];
}

/* Variance input of units without variance: c = (1 - p) mean^2. */
template <typename real>
inline void dropout_variance_input(npy_intp size, real p_keep, const real *__restrict mean,
                                   real *__restrict c) {
    const real q = real(1) - p_keep;
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i) c[i] = q * mean[i] * mean[i];
}

/* From dc, through c = (1 - p) mean^2 + variance: dmean += 2 (1 - p) mean dc. */
template <typename real>
inline void mean_through_variance(npy_intp size, real p_keep, const real *__restrict mean,
                                  const real *__restrict dc, real *__restrict dmean) {
    const real q2 = real(2) * (real(1) - p_keep);
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i) dmean[i] += q2 * mean[i] * dc[i];
}

/* Gradient A of W from those of factor W (A itself) and p W^2 (B): factor A + 2 p W B. */
template <typename real>
inline void weight_gradient(npy_intp size, real factor, real p_keep, const real *__restrict W,
                            const real *__restrict B, real *__restrict A) {
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i)
        A[i] = factor * A[i] + real(2) * p_keep * W[i] * B[i];
}

/* W *= factor; out = factor W^2. */
template <typename real>
inline void rescale(npy_intp size, real factor, real *__restrict W) {
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i) W[i] *= factor;
}
template <typename real>
inline void scaled_square(npy_intp size, const real *__restrict W, real factor,
                          real *__restrict out) {
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i) out[i] = factor * W[i] * W[i];
}

}  // namespace fdrnn
