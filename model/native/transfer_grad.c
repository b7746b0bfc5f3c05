#section support_code
/*
 * Transfer functions of the recurrent layer, backwards: (da, dv), gradients of the pre-synaptic
 * moments, from those of the post-synaptic ones.
 *
 * Those of tanh need no exp: the derivatives are written in the post-synaptic moments that the
 * forward pass kept. `future_mean` and, through the variance input c, `future_c` are the gradients
 * from the next step, which the last step ignores. All are (n, H); `bias` (H,)
 * accumulates the column sums of da.
 */
namespace fdrnn {

/*
 * (da, dv) from (dmean, dvariance), through mean = 2 e1 - 1, variance = 4 max(e2 - e1^2, 0).
 * The next step's c is (1 - p) mean^2 + variance.
 */
template <bool has_future, typename real>
inline void tanh_moments_gradient(npy_intp n, npy_intp H, real s, real p_keep,
                                  const real *__restrict b, const real *a_, const real *v_,
                                  const real *mean_, const real *variance_, const real *g_mean_,
                                  const real *g_variance_, const real *future_mean_,
                                  const real *future_c_, real *da_, real *dv_,
                                  real *__restrict bias) {
    typedef SigmoidMoments<real> K;
    const real q2 = real(2) * (real(1) - p_keep);
    const real c1 = K::c * s * s, c2 = K::c * K::alpha * K::alpha * s * s;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        const real *__restrict mean = mean_ + i * H, *__restrict variance = variance_ + i * H;
        const real *__restrict g_mean = g_mean_ + i * H;
        const real *__restrict g_variance = g_variance_ + i * H;
        const real *__restrict future_mean = future_mean_ + (has_future ? i * H : 0);
        const real *__restrict future_c = future_c_ + (has_future ? i * H : 0);
        real *__restrict da = da_ + i * H, *__restrict dv = dv_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real dmean = g_mean[j], dvariance = g_variance[j];
            if (has_future) {
                dmean += future_mean[j] + q2 * mean[j] * future_c[j];
                dvariance += future_c[j];
            }
            real m = s * (a[j] + b[j]);
            real k1 = real(1) / std::sqrt(real(1) + c1 * v[j]);
            real k2 = real(1) / std::sqrt(real(1) + c2 * v[j]);
            real e1 = real(0.5) * mean[j] + real(0.5);
            real e2 = real(0.25) * variance[j] + e1 * e1;
            /* Where the variance was floored at 0 its gradient is 0. */
            real dz = variance[j] > real(0) ? real(4) * dvariance : real(0);
            real g1 = (real(2) * dmean - real(2) * e1 * dz) * e1 * (real(1) - e1) * k1;
            real u = K::alpha * (m - K::beta);
            real g2 = dz * e2 * (real(1) - e2) * k2;
            real d = s * (g1 + K::alpha * g2);
            da[j] = d;
            dv[j] = real(-0.5) * (g1 * m * c1 * k1 * k1 + g2 * u * c2 * k2 * k2);
            bias[j] += d;
        }
    }
}

template <bool has_future, typename real>
inline void tanh_plain_gradient(npy_intp n, npy_intp H, real s, const real *mean_,
                                const real *g_mean_, const real *future_mean_, real *da_,
                                real *__restrict bias) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict mean = mean_ + i * H, *__restrict g_mean = g_mean_ + i * H;
        const real *__restrict future_mean = future_mean_ + (has_future ? i * H : 0);
        real *__restrict da = da_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real dmean = has_future ? g_mean[j] + future_mean[j] : g_mean[j];
            real d = real(0.5) * s * (real(1) - mean[j] * mean[j]) * dmean;
            da[j] = d;
            bias[j] += d;
        }
    }
}

/* Of tanh_mean: no variance leaves the unit, c = (1 - p) mean^2. */
template <bool has_future, typename real>
inline void tanh_mean_gradient(npy_intp n, npy_intp H, real s, real p_keep,
                               const real *__restrict b, const real *a_, const real *v_,
                               const real *mean_, const real *g_mean_, const real *future_mean_,
                               const real *future_c_, real *da_, real *dv_,
                               real *__restrict bias) {
    const real q2 = real(2) * (real(1) - p_keep);
    const real c1 = SigmoidMoments<real>::c * s * s;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        const real *__restrict mean = mean_ + i * H, *__restrict g_mean = g_mean_ + i * H;
        const real *__restrict future_mean = future_mean_ + (has_future ? i * H : 0);
        const real *__restrict future_c = future_c_ + (has_future ? i * H : 0);
        real *__restrict da = da_ + i * H, *__restrict dv = dv_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real dmean = g_mean[j];
            if (has_future) dmean += future_mean[j] + q2 * mean[j] * future_c[j];
            real k1 = real(1) / std::sqrt(real(1) + c1 * v[j]);
            real g1 = real(0.5) * dmean * (real(1) - mean[j] * mean[j]) * k1;
            real d = s * g1;
            da[j] = d;
            dv[j] = real(-0.5) * g1 * s * (a[j] + b[j]) * c1 * k1 * k1;
            bias[j] += d;
        }
    }
}

/* Of tanh_sampled; where v = 0 the draw does not depend on the noise, and dv is taken as 0. */
template <bool has_future, typename real>
inline void tanh_sampled_gradient(npy_intp n, npy_intp H, real s, real p_keep, const real *v_,
                                  const real *noise_, const real *mean_, const real *g_mean_,
                                  const real *future_mean_, const real *future_c_, real *da_,
                                  real *dv_, real *__restrict bias) {
    const real q2 = real(2) * (real(1) - p_keep);
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict v = v_ + i * H, *__restrict noise = noise_ + i * H;
        const real *__restrict mean = mean_ + i * H, *__restrict g_mean = g_mean_ + i * H;
        const real *__restrict future_mean = future_mean_ + (has_future ? i * H : 0);
        const real *__restrict future_c = future_c_ + (has_future ? i * H : 0);
        real *__restrict da = da_ + i * H, *__restrict dv = dv_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real dmean = g_mean[j];
            if (has_future) dmean += future_mean[j] + q2 * mean[j] * future_c[j];
            real d = real(0.5) * s * (real(1) - mean[j] * mean[j]) * dmean;
            da[j] = d;
            dv[j] = v[j] > real(0) ? real(0.5) * d * noise[j] / std::sqrt(v[j]) : real(0);
            bias[j] += d;
        }
    }
}

/*
 * Of rectifier_moments: dE/dm = P, dE/dv = f / 2d, dV/dm = 2 E Q, dV/dv = P - E f / d. Below the
 * smallest variance, whose deviation is a constant, dE/dv = 0.
 */
template <bool has_future, typename real>
inline void rectifier_moments_gradient(npy_intp n, npy_intp H, real p_keep,
                                       const real *__restrict b, const real *a_, const real *v_,
                                       const real *mean_, const real *g_mean_,
                                       const real *g_variance_, const real *future_mean_,
                                       const real *future_c_, real *da_, real *dv_,
                                       real *__restrict bias) {
    const real q2 = real(2) * (real(1) - p_keep);
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        const real *__restrict mean = mean_ + i * H;
        const real *__restrict g_mean = g_mean_ + i * H;
        const real *__restrict g_variance = g_variance_ + i * H;
        const real *__restrict future_mean = future_mean_ + (has_future ? i * H : 0);
        const real *__restrict future_c = future_c_ + (has_future ? i * H : 0);
        real *__restrict da = da_ + i * H, *__restrict dv = dv_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real dmean = g_mean[j], dvariance = g_variance[j];
            if (has_future) {
                dmean += future_mean[j] + q2 * mean[j] * future_c[j];
                dvariance += future_c[j];
            }
            real d = deviation(v[j]);
            real z = (a[j] + b[j]) / d;
            real f = normal_density(z);
            real P = normal_distribution(z, f), Q = normal_distribution(-z, f);
            real f_d = f / d;
            real spread = v[j] > SMALLEST_VARIANCE ? real(0.5) * f_d : real(0);
            real m = dmean * P + dvariance * real(2) * mean[j] * Q;
            da[j] = m;
            dv[j] = dmean * spread + dvariance * (P - mean[j] * f_d);
            bias[j] += m;
        }
    }
}

/* The gradient of `transfer`. */
template <bool has_future, typename real>
inline void transfer_gradient(int cell, npy_intp n, npy_intp H, real s, real p_keep,
                              const real *b, const real *a, const real *v, const real *noise,
                              const real *mean, const real *variance, const real *g_mean,
                              const real *g_variance, const real *future_mean,
                              const real *future_c, real *da, real *dv, real *bias) {
    switch (cell) {
    case PLAIN:
        tanh_plain_gradient<has_future>(n, H, s, mean, g_mean, future_mean, da, bias);
        break;
    case MOMENTS:
        tanh_moments_gradient<has_future>(n, H, s, p_keep, b, a, v, mean, variance, g_mean,
                                          g_variance, future_mean, future_c, da, dv, bias);
        break;
    case DROPOUT_VARIANCE:
        tanh_mean_gradient<has_future>(n, H, s, p_keep, b, a, v, mean, g_mean, future_mean,
                                       future_c, da, dv, bias);
        break;
    case RECTIFIER:
        rectifier_moments_gradient<has_future>(n, H, p_keep, b, a, v, mean, g_mean, g_variance,
                                               future_mean, future_c, da, dv, bias);
        break;
    case SAMPLED:
        tanh_sampled_gradient<has_future>(n, H, s, p_keep, v, noise, mean, g_mean, future_mean,
                                          future_c, da, dv, bias);
        break;
    }
}

}  // namespace fdrnn
