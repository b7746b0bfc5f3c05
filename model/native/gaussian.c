#section support_code
/*
 * The layers with Gaussian weights: of equation 6, V[a] = variance (M^2 + S) + mean^2 S with
 * M and S the weights' means and variances, both sides of its one product, (variance, mean^2)
 * times M^2 + S above S.
 */
namespace fdrnn {

/* out (2 size) = M^2 + S, then S. */
template <typename real>
inline void variance_weights(npy_intp size, const real *__restrict M, const real *__restrict S,
                             real *__restrict out) {
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i) out[i] = M[i] * M[i] + S[i];
    memcpy(out + size, S, size * sizeof(real));
}

/* Rows of u (n, 2 H) = variance, then mean^2. */
template <typename real>
inline void side_by_side(npy_intp n, npy_intp H, const real *mean_, const real *variance_,
                         real *u_) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict mean = mean_ + i * H, *__restrict variance = variance_ + i * H;
        real *__restrict u = u_ + i * 2 * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            u[j] = variance[j];
            u[H + j] = mean[j] * mean[j];
        }
    }
}

/* From du (n, 2 H) of u = (variance, mean^2): dmean += 2 mean du_2, dvariance = du_1. */
template <typename real>
inline void side_by_side_gradient(npy_intp n, npy_intp H, const real *mean_, const real *du_,
                                  real *dmean_, real *dvariance_) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict mean = mean_ + i * H, *__restrict du = du_ + i * 2 * H;
        real *__restrict dmean = dmean_ + i * H, *__restrict dvariance = dvariance_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            dmean[j] += real(2) * mean[j] * du[H + j];
            dvariance[j] = du[j];
        }
    }
}

/* From the gradients G (2 size) of M^2 + S and S: dM += 2 M G_1, dS = G_1 + G_2. */
template <typename real>
inline void variance_weights_gradient(npy_intp size, const real *__restrict M,
                                      const real *__restrict G, real *__restrict dM,
                                      real *__restrict dS) {
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i) {
        dM[i] += real(2) * M[i] * G[i];
        dS[i] = G[i] + G[size + i];
    }
}

}  // namespace fdrnn
