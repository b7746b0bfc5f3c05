#section support_code
/*
 * Bernoulli output layer: affine moments, sigmoid mean, cross entropy against binary targets.
 *
 * With fast dropout: z_mean = p h W + b, z_variance = p ((1 - p) h^2 + s^2) W^2 and the
 * probability is sigmoid(u), u = z_mean / sqrt(1 + pi z_variance / 8), or, sampled,
 * u = z_mean + noise sqrt(z_variance). Without: u = h W + b.
 */
namespace fdrnn {

/* nll (n,) = sum over columns of softplus(u) - x u, in nats. */
template <typename real>
inline void bernoulli_nll(npy_intp n, npy_intp D, bool fast, const real *z_mean,
                          const real *z_variance, const real *target, real *nll) {
    const real k = SigmoidMoments<real>::c;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict zm = z_mean + i * D, *__restrict zv = z_variance + i * D;
        const real *__restrict x = target + i * D;
        real sum = 0;
        if (fast) {
#pragma GCC ivdep
            for (npy_intp j = 0; j < D; ++j) {
                real u = zm[j] / std::sqrt(real(1) + k * zv[j]);
                sum += softplus(u) - x[j] * u;
            }
        } else {
#pragma GCC ivdep
            for (npy_intp j = 0; j < D; ++j) sum += softplus(zm[j]) - x[j] * zm[j];
        }
        nll[i] = sum;
    }
}

/* nll (n,) at a draw. */
template <typename real>
inline void sampled_bernoulli_nll(npy_intp n, npy_intp D, const real *z_mean,
                                  const real *z_variance, const real *noise_, const real *target,
                                  real *nll) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict zm = z_mean + i * D, *__restrict zv = z_variance + i * D;
        const real *__restrict x = target + i * D, *__restrict noise = noise_ + i * D;
        real sum = 0;
#pragma GCC ivdep
        for (npy_intp j = 0; j < D; ++j) {
            real u = zm[j] + noise[j] * std::sqrt(zv[j]);
            sum += softplus(u) - x[j] * u;
        }
        nll[i] = sum;
    }
}

}  // namespace fdrnn

#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const bool fast = fast_dropout != 0;
    const real p = fast ? p_keep : real(1);
    real *W_mean = workspace.get(H * D), *W_variance = workspace.get(H * D);
    real *c = workspace.get(ROW_BLOCK * H);
    if (workspace.failed) return -1;
    scaled(H * D, W, p, W_mean);
    if (fast) scaled_square(H * D, W, p, W_variance);
    for (npy_intp r = 0; r < R; ++r) memcpy(z_mean + r * D, b, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK;
        product(n, D, H, mean + r * H, W_mean, real(1), z_mean + r * D);
        if (fast) {
            variance_input(n * H, p, mean + r * H, variance + r * H, c);
            product(n, D, H, c, W_variance, real(0), z_variance + r * D);
        }
        if (fast && sampled)
            sampled_bernoulli_nll(n, D, z_mean + r * D, z_variance + r * D, noise + r * D,
                                  target + r * D, nll + r);
        else
            bernoulli_nll(n, D, fast, z_mean + r * D, z_variance + (fast ? r * D : 0),
                          target + r * D, nll + r);
    }
    return 0;
}
