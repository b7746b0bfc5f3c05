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
    const AffineLayer<real> layer(H, D, fast, p_keep, workspace);
    if (workspace.failed) return -1;
    layer.fill(W);
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK, v = fast ? r : 0;
        layer.forward(n, mean + r * H, variance + v * H, b, z_mean + r * D, z_variance + v * D);
        if (fast && sampled)
            sampled_bernoulli_nll(n, D, z_mean + r * D, z_variance + r * D, noise + r * D,
                                  target + r * D, nll + r);
        else
            bernoulli_nll(n, D, fast, z_mean + r * D, z_variance + v * D, target + r * D, nll + r);
    }
    return 0;
}
