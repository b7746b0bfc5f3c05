#section support_code_struct
/*
 * Rows times the matrices of their sequences: row t B + k with matrix k, so that the rows of a
 * sequence lie B rows apart.
 */
int APPLY_SPECIFIC(forward)(PyArrayObject *x_, PyArrayObject *W_, PyArrayObject **y_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const char *op = "OwnWeightsProduct";
    if (expect(op, "x", x_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), N = PyArray_DIM(x_, 1);
    const npy_intp B = PyArray_DIM(W_, 0), M = PyArray_DIM(W_, 2);
    if (expect_matrices(op, "W", W_, B, N, M) || expect_multiple(op, R, B)) return -1;
    const real *x = (const real *)PyArray_DATA(x_), *W = (const real *)PyArray_DATA(W_);
    real *y = output<real>(y_, TYPENUM_INPUT_0, 2, R, M);
    if (!y) return -1;
    for (npy_intp k = 0; k < B; ++k)
        gemm("N", "N", (int)M, (int)(R / B), (int)N, real(1), W + k * N * M, (int)M, x + k * N,
             (int)(B * N), real(0), y + k * M, (int)(B * M));
    return 0;
}
