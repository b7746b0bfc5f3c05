#section support_code_struct
/* Gradient of gaussian_product.c. */
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> block;

int APPLY_SPECIFIC(backward)(PyArrayObject *mean_, PyArrayObject *variance_, PyArrayObject *M_,
                             PyArrayObject *S_, PyArrayObject *g_mean_,
                             PyArrayObject *g_variance_, PyArrayObject **dmean_,
                             PyArrayObject **dvariance_, PyArrayObject **dM_,
                             PyArrayObject **dS_, PyArrayObject **db_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "GaussianWeightsProductGradient";
    if (expect(op, "mean", mean_, -1, -1) || expect(op, "mean of W", M_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(mean_, 0), H = PyArray_DIM(mean_, 1), D = PyArray_DIM(M_, 1);
    const npy_intp HD = H * D;
    if (expect(op, "mean of W", M_, H, D) || expect(op, "variance of W", S_, H, D) ||
        expect(op, "variance", variance_, R, H) ||
        expect(op, "gradient of mean", g_mean_, R, D) ||
        expect(op, "gradient of variance", g_variance_, R, D))
        return -1;
    const real *mean = (const real *)PyArray_DATA(mean_);
    const real *variance = (const real *)PyArray_DATA(variance_);
    const real *M = (const real *)PyArray_DATA(M_), *S = (const real *)PyArray_DATA(S_);
    const real *g_mean = (const real *)PyArray_DATA(g_mean_);
    const real *g_variance = (const real *)PyArray_DATA(g_variance_);
    real *dmean = output<real>(dmean_, type, 2, R, H);
    real *dvariance = output<real>(dvariance_, type, 2, R, H);
    real *dM = output<real>(dM_, type, 2, H, D);
    real *dS = output<real>(dS_, type, 2, H, D);
    real *db = output<real>(db_, type, 1, D, 0);
    real *W_mean = weights.get(5 * HD);
    real *u = block.get(ROW_BLOCK * 4 * H);
    if (!dmean || !dvariance || !dM || !dS || !db || !W_mean || !u) return -1;
    real *W_variance = W_mean + HD, *scratch = W_variance + 2 * HD, *du = u + ROW_BLOCK * 2 * H;

    transposed(H, D, M, W_mean);
    variance_weights(HD, M, S, scratch);
    transposed(2 * H, D, scratch, W_variance);
    memset(dM, 0, HD * sizeof(real));
    memset(scratch, 0, 2 * HD * sizeof(real));
    memset(db, 0, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK;
        const real *gm = g_mean + r * D, *gv = g_variance + r * D;
        product(n, H, D, gm, W_mean, real(0), dmean + r * H);
        product(n, 2 * H, D, gv, W_variance, real(0), du);
        side_by_side_gradient(n, H, mean + r * H, du, dmean + r * H, dvariance + r * H);
        product_at(H, D, n, mean + r * H, gm, real(1), dM);
        side_by_side(n, H, mean + r * H, variance + r * H, u);
        product_at(2 * H, D, n, u, gv, real(1), scratch);
        for (npy_intp i = 0; i < n; ++i) {
#pragma GCC ivdep
            for (npy_intp j = 0; j < D; ++j) db[j] += gm[i * D + j];
        }
    }
    variance_weights_gradient(HD, M, scratch, dM, dS);
    return 0;
}
