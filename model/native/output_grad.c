#section support_code
/* Gradient of the Bernoulli output layer of output.c. */
namespace fdrnn {

/* (dz_mean, dz_variance) of g nll, row by row; `bias` accumulates the column sums of dz_mean. */
template <typename real>
inline void bernoulli_gradient(npy_intp n, npy_intp D, bool fast, const real *g,
                               const real *z_mean, const real *z_variance, const real *target,
                               real *dz_mean, real *dz_variance, real *__restrict bias) {
    const real c = SigmoidMoments<real>::c;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict zm = z_mean + i * D, *__restrict zv = z_variance + i * D;
        const real *__restrict x = target + i * D;
        real *__restrict dm = dz_mean + i * D, *__restrict dv = dz_variance + i * D;
        const real weight = g[i];
        if (fast) {
#pragma GCC ivdep
            for (npy_intp j = 0; j < D; ++j) {
                real k = real(1) / std::sqrt(real(1) + c * zv[j]);
                real d = weight * (sigmoid(zm[j] * k) - x[j]) * k;
                dm[j] = d;
                dv[j] = real(-0.5) * c * d * zm[j] * k * k;
                bias[j] += d;
            }
        } else {
#pragma GCC ivdep
            for (npy_intp j = 0; j < D; ++j) {
                real d = weight * (sigmoid(zm[j]) - x[j]);
                dm[j] = d;
                bias[j] += d;
            }
        }
    }
}

/* (dz_mean, dz_variance) at a draw; where z_variance = 0 it does not depend on the noise. */
template <typename real>
inline void sampled_bernoulli_gradient(npy_intp n, npy_intp D, const real *g, const real *z_mean,
                                       const real *z_variance, const real *noise_,
                                       const real *target, real *dz_mean, real *dz_variance,
                                       real *__restrict bias) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict zm = z_mean + i * D, *__restrict zv = z_variance + i * D;
        const real *__restrict x = target + i * D, *__restrict noise = noise_ + i * D;
        real *__restrict dm = dz_mean + i * D, *__restrict dv = dz_variance + i * D;
        const real weight = g[i];
#pragma GCC ivdep
        for (npy_intp j = 0; j < D; ++j) {
            real spread = std::sqrt(zv[j]);
            real d = weight * (sigmoid(zm[j] + noise[j] * spread) - x[j]);
            dm[j] = d;
            dv[j] = zv[j] > real(0) ? real(0.5) * d * noise[j] / spread : real(0);
            bias[j] += d;
        }
    }
}

}  // namespace fdrnn

#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const bool fast = fast_dropout != 0;
    const AffineLayerGradient<real> layer(H, D, fast, p_keep, workspace);
    real *dz_mean = workspace.get(ROW_BLOCK * D), *dz_variance = workspace.get(ROW_BLOCK * D);
    if (workspace.failed) return -1;
    layer.fill(W);
    if (!fast) memset(d_variance, 0, V * H * sizeof(real));
    memset(d_b, 0, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK, v = fast ? r : 0;
        if (fast && sampled)
            sampled_bernoulli_gradient(n, D, g_nll + r, z_mean + r * D, z_variance + r * D,
                                       noise + r * D, target + r * D, dz_mean, dz_variance, d_b);
        else
            bernoulli_gradient(n, D, fast, g_nll + r, z_mean + r * D, z_variance + v * D,
                               target + r * D, dz_mean, dz_variance, d_b);
        layer.backward(n, r == 0, mean + r * H, variance + v * H, dz_mean, dz_variance,
                       d_mean + r * H, d_variance + v * H, d_W, workspace);
    }
    layer.finish(W, d_W);
    return 0;
}
