#section support_code_struct
/* Pre-synaptic moments of a layer with Gaussian weights: equations 5 and 6; see gaussian.c. */
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> block;

int APPLY_SPECIFIC(forward)(PyArrayObject *mean_, PyArrayObject *variance_, PyArrayObject *M_,
                            PyArrayObject *S_, PyArrayObject *b_, PyArrayObject **z_mean_,
                            PyArrayObject **z_variance_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "GaussianWeightsProduct";
    if (expect(op, "mean", mean_, -1, -1) || expect(op, "mean of W", M_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(mean_, 0), H = PyArray_DIM(mean_, 1), D = PyArray_DIM(M_, 1);
    if (expect(op, "mean of W", M_, H, D) || expect(op, "variance of W", S_, H, D) ||
        expect(op, "variance", variance_, R, H) || expect_vector(op, "b", b_, D))
        return -1;
    const real *mean = (const real *)PyArray_DATA(mean_);
    const real *variance = (const real *)PyArray_DATA(variance_);
    const real *M = (const real *)PyArray_DATA(M_), *S = (const real *)PyArray_DATA(S_);
    const real *b = (const real *)PyArray_DATA(b_);
    real *z_mean = output<real>(z_mean_, type, 2, R, D);
    real *z_variance = output<real>(z_variance_, type, 2, R, D);
    real *W_variance = weights.get(2 * H * D);
    real *u = block.get(ROW_BLOCK * 2 * H);
    if (!z_mean || !z_variance || !W_variance || !u) return -1;

    variance_weights(H * D, M, S, W_variance);
    for (npy_intp r = 0; r < R; ++r) memcpy(z_mean + r * D, b, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK;
        product(n, D, H, mean + r * H, M, real(1), z_mean + r * D);
        side_by_side(n, H, mean + r * H, variance + r * H, u);
        product(n, D, 2 * H, u, W_variance, real(0), z_variance + r * D);
    }
    return 0;
}
