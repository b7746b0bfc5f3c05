#section support_code_struct
/* Gradient of own_weights_product.c. */
int APPLY_SPECIFIC(backward)(PyArrayObject *x_, PyArrayObject *W_, PyArrayObject *g_,
                             PyArrayObject **dx_, PyArrayObject **dW_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const char *op = "OwnWeightsProductGradient";
    if (expect(op, "x", x_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), N = PyArray_DIM(x_, 1);
    const npy_intp B = PyArray_DIM(W_, 0), M = PyArray_DIM(W_, 2);
    if (expect_matrices(op, "W", W_, B, N, M) || expect_multiple(op, R, B) ||
        expect(op, "gradient of y", g_, R, M))
        return -1;
    const real *x = (const real *)PyArray_DATA(x_), *W = (const real *)PyArray_DATA(W_);
    const real *g = (const real *)PyArray_DATA(g_);
    real *dx = output<real>(dx_, TYPENUM_INPUT_0, 2, R, N);
    real *dW = output_matrices<real>(dW_, TYPENUM_INPUT_0, B, N, M);
    if (!dx || !dW) return -1;
    const int steps = (int)(R / B), of_x = (int)(B * N), of_g = (int)(B * M);
    for (npy_intp k = 0; k < B; ++k) {
        gemm("T", "N", (int)N, steps, (int)M, real(1), W + k * N * M, (int)M, g + k * M, of_g,
             real(0), dx + k * N, of_x);
        gemm("N", "T", (int)M, (int)N, steps, real(1), g + k * M, of_g, x + k * N, of_x, real(0),
             dW + k * N * M, (int)M);
    }
    return 0;
}
