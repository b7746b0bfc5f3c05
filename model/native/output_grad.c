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

/* The same at a draw; where z_variance = 0 it does not depend on the noise. */
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
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> block;

int APPLY_SPECIFIC(backward)(PyArrayObject *mean_, PyArrayObject *variance_, PyArrayObject *W_,
                             PyArrayObject *target_, PyArrayObject *p_,
                             PyArrayObject *noise_, PyArrayObject *fast_,
                             PyArrayObject *z_mean_, PyArrayObject *z_variance_,
                             PyArrayObject *g_, PyArrayObject **dmean_,
                             PyArrayObject **dvariance_, PyArrayObject **dW_,
                             PyArrayObject **db_, PARAMS_TYPE *params) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "BernoulliOutputGrad";
    if (expect(op, "mean", mean_, -1, -1) || expect(op, "target", target_, -1, -1) ||
        expect(op, "variance", variance_, -1, -1))
        return -1;
    const npy_intp R = PyArray_DIM(mean_, 0), H = PyArray_DIM(mean_, 1);
    const npy_intp D = PyArray_DIM(target_, 1), HD = H * D;
    const bool fast = *(const npy_int8 *)PyArray_DATA(fast_) != 0;
    const bool sampled = fast && params->sampled;
    const npy_intp V = fast ? R : 0, RV = PyArray_DIM(variance_, 0);
    if (expect(op, "target", target_, R, D) || expect(op, "W", W_, H, D) ||
        expect(op, "z_mean", z_mean_, R, D) || expect(op, "z_variance", z_variance_, V, D) ||
        expect_vector(op, "gradient of nll", g_, R) ||
        expect(op, "variance", variance_, fast ? R : RV, H) ||
        (sampled && expect(op, "noise", noise_, R, D)))
        return -1;
    const real p = fast ? scalar<real>(p_) : real(1);
    const real *mean = (const real *)PyArray_DATA(mean_);
    const real *variance = (const real *)PyArray_DATA(variance_);
    const real *W = (const real *)PyArray_DATA(W_);
    const real *target = (const real *)PyArray_DATA(target_);
    const real *z_mean = (const real *)PyArray_DATA(z_mean_);
    const real *z_variance = (const real *)PyArray_DATA(z_variance_);
    const real *noise = (const real *)PyArray_DATA(noise_);
    const real *g = (const real *)PyArray_DATA(g_);
    real *dmean = output<real>(dmean_, type, 2, R, H);
    real *dvariance = output<real>(dvariance_, type, 2, RV, H);
    real *dW = output<real>(dW_, type, 2, H, D);
    real *db = output<real>(db_, type, 1, D, 0);
    real *W_mean = weights.get(3 * HD);
    real *c = block.get(ROW_BLOCK * (H + 2 * D));
    if (!dmean || !dvariance || !dW || !db || !W_mean || !c) return -1;
    real *W_variance = W_mean + HD, *dW_variance = W_variance + HD;
    real *dz_mean = c + ROW_BLOCK * H, *dz_variance = dz_mean + ROW_BLOCK * D;

    scaled(HD, W, p, dW_variance);
    transposed(H, D, dW_variance, W_mean);
    if (fast) {
        scaled_square(HD, W, p, dW_variance);
        transposed(H, D, dW_variance, W_variance);
    } else {
        memset(dvariance, 0, RV * H * sizeof(real));
    }
    memset(dW, 0, HD * sizeof(real));
    memset(dW_variance, 0, HD * sizeof(real));
    memset(db, 0, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK;
        if (sampled)
            sampled_bernoulli_gradient(n, D, g + r, z_mean + r * D, z_variance + r * D,
                                       noise + r * D, target + r * D, dz_mean, dz_variance, db);
        else
            bernoulli_gradient(n, D, fast, g + r, z_mean + r * D, z_variance + (fast ? r * D : 0),
                               target + r * D, dz_mean, dz_variance, db);
        product(n, H, D, dz_mean, W_mean, real(0), dmean + r * H);
        product_at(H, D, n, mean + r * H, dz_mean, real(1), dW);
        if (fast) {
            product(n, H, D, dz_variance, W_variance, real(0), dvariance + r * H);
            mean_through_variance(n * H, p, mean + r * H, dvariance + r * H, dmean + r * H);
            variance_input(n * H, p, mean + r * H, variance + r * H, c);
            product_at(H, D, n, c, dz_variance, real(1), dW_variance);
        }
    }
    if (fast) weight_gradient(HD, p, p, W, dW_variance, dW);
    return 0;
}
