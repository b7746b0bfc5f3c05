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
        nll[i] = fast ? sum_of<real>(D, [=](npy_intp j) {
            const real u = zm[j] / std::sqrt(real(1) + k * zv[j]);
            return softplus(u) - x[j] * u;
        }) : sum_of<real>(D, [=](npy_intp j) { return softplus(zm[j]) - x[j] * zm[j]; });
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
        nll[i] = sum_of<real>(D, [=](npy_intp j) {
            const real u = zm[j] + noise[j] * std::sqrt(zv[j]);
            return softplus(u) - x[j] * u;
        });
    }
}

}  // namespace fdrnn

#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const bool fast = fast_dropout != 0;
    const real p = fast ? p_keep : real(1);
    const Packed<real> W_mean(H, D, workspace), W_variance(H, D, workspace);
    real *c = workspace.get(ROW_BLOCK * H);
    if (workspace.failed) return -1;
    W_mean.fill(W, scaled_by(p));
    if (fast) W_variance.fill(W, square_scaled_by(p));
    for (npy_intp r = 0; r < R; ++r) memcpy(z_mean + r * D, b, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK;
        W_mean.multiply(n, mean + r * H, true, z_mean + r * D);
        if (fast) {
            variance_input(n * H, p, mean + r * H, variance + r * H, c);
            W_variance.multiply(n, c, false, z_variance + r * D);
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
