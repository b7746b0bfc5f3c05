#section support_code_struct
/*
 * Gradients of g nll with respect to the means and variances of the activations. The log-odds of
 * class j fall with the mean of class i != j by p_i / (1 - p_j), which for the likeliest class
 * is the softmax over the others.
 */
fdrnn::Buffer<DTYPE_INPUT_0> scratch;

int APPLY_SPECIFIC(backward)(PyArrayObject *mean_, PyArrayObject *variance_,
                             PyArrayObject *target_, PyArrayObject *g_,
                             PyArrayObject **dmean_, PyArrayObject **dvariance_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const char *op = "UnscentedSoftmaxGradient";
    if (expect(op, "mean", mean_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(mean_, 0), D = PyArray_DIM(mean_, 1);
    if (expect(op, "variance", variance_, R, D) || expect(op, "target", target_, R, D) ||
        expect_vector(op, "gradient of nll", g_, R))
        return -1;
    const real *mean = (const real *)PyArray_DATA(mean_);
    const real *variance = (const real *)PyArray_DATA(variance_);
    const real *target = (const real *)PyArray_DATA(target_);
    const real *g = (const real *)PyArray_DATA(g_);
    real *dmean = output<real>(dmean_, TYPENUM_INPUT_0, 2, R, D);
    real *dvariance = output<real>(dvariance_, TYPENUM_INPUT_0, 2, R, D);
    real *x = scratch.get(4 * D);
    if (!dmean || !dvariance || !x) return -1;
    Unscented<real> row;
    row.D = D;
    row.n = D > 3 ? real(D) : real(3);
    row.k = row.n - real(D);
    row.x = x;
    row.d = x + D;
    real *odds = x + 2 * D, *scaled_odds = x + 3 * D;
    for (npy_intp r = 0; r < R; ++r) {
        const real *m = mean + r * D;
        real *dm = dmean + r * D, *dv = dvariance + r * D;
        row.read(m, variance + r * D, target + r * D);
        row.nll();
        if (row.target < 0) {
            memset(dm, 0, D * sizeof(real));
            memset(dv, 0, D * sizeof(real));
            continue;
        }
        real sum = 0;
        for (npy_intp j = 0; j < D; ++j) {
            dv[j] = -g[r] * row.by_variance(j);
            odds[j] = row.by_odds(j);
            scaled_odds[j] =
                j == row.top ? real(0) : odds[j] / (real(1) - exponential(m[j] - row.of_all));
            sum += scaled_odds[j];
        }
        for (npy_intp j = 0; j < D; ++j) {
            real by_mean = odds[j] - exponential(m[j] - row.of_all) * (sum - scaled_odds[j]);
            if (j != row.top) by_mean -= exponential(m[j] - row.of_others) * odds[row.top];
            dm[j] = -g[r] * by_mean;
        }
    }
    return 0;
}
