#section support_code
/*
 * Transfer functions of the recurrent layer, forwards: from the pre-synaptic moments a, v of a
 * step to its post-synaptic ones and to c, its variance input to the next step. All are (n, H),
 * the bias b is (H,).
 */
namespace fdrnn {

/* What a unit computes; the order of CELLS in ops/recurrence.py. */
enum Cell { PLAIN, MOMENTS, DROPOUT_VARIANCE, RECTIFIER, SAMPLED };

/* Whether the step has products of variances, and whether variances leave the unit. */
inline bool has_variance_products(int cell) { return cell != PLAIN; }
inline bool passes_variance(int cell) { return cell == MOMENTS || cell == RECTIFIER; }

/*
 * Moments of tanh at pre-synaptic (a + b, v): 2 E - 1 and 4 V of the sigmoid at (s (a + b), s^2 v).
 * a, v and the results are (n, H), b is (H,).
 */
template <typename real>
inline void tanh_moments(npy_intp n, npy_intp H, real s, real p_keep, const real *__restrict b,
                         const real *a_, const real *v_, real *mean_, real *variance_,
                         real *c_) {
    typedef SigmoidMoments<real> K;
    const real q = real(1) - p_keep;
    const real c1 = K::c * s * s, c2 = K::c * K::alpha * K::alpha * s * s;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        real *__restrict mean = mean_ + i * H, *__restrict variance = variance_ + i * H;
        real *__restrict c = c_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real m = s * (a[j] + b[j]);
            real k1 = real(1) / std::sqrt(real(1) + c1 * v[j]);
            real k2 = real(1) / std::sqrt(real(1) + c2 * v[j]);
            const Logistic<real> e1(m * k1);
            real e2 = sigmoid(K::alpha * (m - K::beta) * k2);
            real y = e1.centred;
            real z = real(4) * (e2 - e1.sigmoid * e1.sigmoid);
            z = z < real(0) ? real(0) : z;
            mean[j] = y;
            variance[j] = z;
            c[j] = q * y * y + z;
        }
    }
}

/* 2 sig(s (a + b)) - 1. */
template <typename real>
inline void tanh_plain(npy_intp n, npy_intp H, real s, const real *__restrict b, const real *a_,
                       real *mean_) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H;
        real *__restrict mean = mean_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j)
            mean[j] = Logistic<real>(s * (a[j] + b[j])).centred;
    }
}

/*
 * The mean of tanh at (a + b, v), without the variance: c is that of dropout alone,
 * (1 - p) mean^2, as in Wang and Manning 2013.
 */
template <typename real>
inline void tanh_mean(npy_intp n, npy_intp H, real s, real p_keep, const real *__restrict b,
                      const real *a_, const real *v_, real *mean_, real *c_) {
    const real q = real(1) - p_keep;
    const real c1 = SigmoidMoments<real>::c * s * s;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        real *__restrict mean = mean_ + i * H, *__restrict c = c_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real k1 = real(1) / std::sqrt(real(1) + c1 * v[j]);
            real y = Logistic<real>(s * (a[j] + b[j]) * k1).centred;
            mean[j] = y;
            c[j] = q * y * y;
        }
    }
}

/* tanh of one draw, a + b + noise sqrt(v): a unit without variance, c = (1 - p) mean^2. */
template <typename real>
inline void tanh_sampled(npy_intp n, npy_intp H, real s, real p_keep, const real *__restrict b,
                         const real *a_, const real *v_, const real *noise_, real *mean_,
                         real *c_) {
    const real q = real(1) - p_keep;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        const real *__restrict noise = noise_ + i * H;
        real *__restrict mean = mean_ + i * H, *__restrict c = c_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real drawn = a[j] + b[j] + noise[j] * std::sqrt(v[j]);
            real y = Logistic<real>(s * drawn).centred;
            mean[j] = y;
            c[j] = q * y * y;
        }
    }
}

/*
 * Exact moments of max(x, 0) of a Gaussian (m, v) with deviation d and z = m / d:
 * E = d (z P + f), V = v (P + z^2 P Q - z f (P - Q) - f^2), f the density and P = 1 - Q the
 * distribution function of N(0, 1) at z. This form of V loses nothing to cancellation for m >> d.
 */
template <typename real>
inline void rectifier_moments(npy_intp n, npy_intp H, real p_keep, const real *__restrict b,
                              const real *a_, const real *v_, real *mean_, real *variance_,
                              real *c_) {
    const real q = real(1) - p_keep;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        real *__restrict mean = mean_ + i * H, *__restrict variance = variance_ + i * H;
        real *__restrict c = c_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real d = deviation(v[j]);
            real z = (a[j] + b[j]) / d;
            real f = normal_density(z);
            real P = normal_distribution(z, f), Q = normal_distribution(-z, f);
            real y = d * (z * P + f);
            /* Where it would be infinite P or Q is 0, and the product with it NaN. */
            real square = z * z;
            square = square > real(1e38) ? real(1e38) : square;
            real w = v[j] * (P + square * P * Q - z * f * (P - Q) - f * f);
            y = y < real(0) ? real(0) : y;
            w = w < real(0) ? real(0) : w;
            mean[j] = y;
            variance[j] = w;
            c[j] = q * y * y + w;
        }
    }
}

/* The step of a unit of any kind; each ignores the arrays that it does not need. */
template <typename real>
inline void transfer(int cell, npy_intp n, npy_intp H, real s, real p_keep, const real *b,
                     const real *a, const real *v, const real *noise, real *mean, real *variance,
                     real *c) {
    switch (cell) {
    case PLAIN: tanh_plain(n, H, s, b, a, mean); break;
    case MOMENTS: tanh_moments(n, H, s, p_keep, b, a, v, mean, variance, c); break;
    case DROPOUT_VARIANCE: tanh_mean(n, H, s, p_keep, b, a, v, mean, c); break;
    case RECTIFIER: rectifier_moments(n, H, p_keep, b, a, v, mean, variance, c); break;
    case SAMPLED: tanh_sampled(n, H, s, p_keep, b, a, v, noise, mean, c); break;
    }
}

}  // namespace fdrnn
