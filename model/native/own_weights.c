#section support_code
/*
 * Forward pass of a recurrent layer in which every sequence has a matrix of its own.
 *
 * Rows are time-major with as many rows at every step as there are sequences: row t B + k is
 * step t of sequence k. Sequences come one after the other, each step one product of a vector
 * with the sequence's matrix, which stays in the cache meanwhile.
 */
namespace fdrnn {

template <typename real>
inline void tanh_in_place(npy_intp H, real *__restrict a) {
#pragma GCC ivdep
    for (npy_intp j = 0; j < H; ++j) a[j] = real(2) * sigmoid(real(2) * a[j]) - real(1);
}

}  // namespace fdrnn

#section support_code_struct
int APPLY_SPECIFIC(forward)(PyArrayObject *a_, PyArrayObject *n_rows_, PyArrayObject *h0_,
                            PyArrayObject *W_, PyArrayObject **h_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const char *op = "OwnWeightsLayer";
    if (expect(op, "a", a_, -1, -1) || expect(op, "h0", h0_, 1, PyArray_DIM(a_, 1))) return -1;
    const npy_intp R = PyArray_DIM(a_, 0), H = PyArray_DIM(a_, 1), B = PyArray_DIM(W_, 0);
    if (expect_packing(op, n_rows_, R) || expect_matrices(op, "W", W_, B, H, H) ||
        expect_constant_packing(op, n_rows_, B))
        return -1;
    const npy_intp T = PyArray_DIM(n_rows_, 0);
    const real *W = (const real *)PyArray_DATA(W_);
    real *h = output<real>(h_, TYPENUM_INPUT_0, 2, R, H);
    if (!h) return -1;
    memcpy(h, PyArray_DATA(a_), R * H * sizeof(real));
    for (npy_intp k = 0; k < B; ++k) {
        const real *before = (const real *)PyArray_DATA(h0_);
        for (npy_intp t = 0; t < T; ++t) {
            real *row = h + (t * B + k) * H;
            /* Column-major: W' times the column `before`. */
            gemv("N", (int)H, (int)H, real(1), W + k * H * H, (int)H, before, real(1), row);
            tanh_in_place(H, row);
            before = row;
        }
    }
    return 0;
}
