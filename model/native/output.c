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

/* The same at a draw. */
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
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> inputs;

int APPLY_SPECIFIC(forward)(PyArrayObject *mean_, PyArrayObject *variance_, PyArrayObject *W_,
                            PyArrayObject *b_, PyArrayObject *target_, PyArrayObject *p_,
                            PyArrayObject *noise_, PyArrayObject *fast_, PyArrayObject **nll_,
                            PyArrayObject **z_mean_, PyArrayObject **z_variance_,
                            PARAMS_TYPE *params) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "BernoulliOutput";
    if (expect(op, "mean", mean_, -1, -1) || expect(op, "target", target_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(mean_, 0), H = PyArray_DIM(mean_, 1);
    const npy_intp D = PyArray_DIM(target_, 1), HD = H * D;
    const bool fast = *(const npy_int8 *)PyArray_DATA(fast_) != 0;
    const bool sampled = fast && params->sampled;
    const npy_intp V = fast ? R : 0;
    if (expect(op, "target", target_, R, D) || expect(op, "W", W_, H, D) ||
        expect_vector(op, "b", b_, D) || (fast && expect(op, "variance", variance_, R, H)) ||
        (sampled && expect(op, "noise", noise_, R, D)))
        return -1;
    const real p = fast ? scalar<real>(p_) : real(1);
    const real *mean = (const real *)PyArray_DATA(mean_);
    const real *variance = (const real *)PyArray_DATA(variance_);
    const real *W = (const real *)PyArray_DATA(W_), *b = (const real *)PyArray_DATA(b_);
    const real *target = (const real *)PyArray_DATA(target_);
    const real *noise = (const real *)PyArray_DATA(noise_);
    real *nll = output<real>(nll_, type, 1, R, 0);
    real *z_mean = output<real>(z_mean_, type, 2, R, D);
    real *z_variance = output<real>(z_variance_, type, 2, V, D);
    real *W_mean = weights.get(2 * HD);
    real *c = inputs.get(ROW_BLOCK * H);
    if (!nll || !z_mean || !z_variance || !W_mean || !c) return -1;
    real *W_variance = W_mean + HD;

    scaled(HD, W, p, W_mean);
    if (fast) scaled_square(HD, W, p, W_variance);
    for (npy_intp r = 0; r < R; ++r) memcpy(z_mean + r * D, b, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK;
        product(n, D, H, mean + r * H, W_mean, real(1), z_mean + r * D);
        if (fast) {
            variance_input(n * H, p, mean + r * H, variance + r * H, c);
            product(n, D, H, c, W_variance, real(0), z_variance + r * D);
        }
        if (sampled)
            sampled_bernoulli_nll(n, D, z_mean + r * D, z_variance + r * D, noise + r * D,
                                  target + r * D, nll + r);
        else
            bernoulli_nll(n, D, fast, z_mean + r * D, z_variance + (fast ? r * D : 0),
                          target + r * D, nll + r);
    }
    return 0;
}
