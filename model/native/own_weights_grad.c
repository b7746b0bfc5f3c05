#section support_code
/* Gradient of the layer of own_weights.c, one sequence after the other. */
namespace fdrnn {

/* da from the gradient of h = tanh(a) and what the next step says of h. */
template <typename real>
inline void tanh_gradient(npy_intp H, const real *__restrict h, const real *__restrict g,
                          const real *__restrict future, real *__restrict da) {
#pragma GCC ivdep
    for (npy_intp j = 0; j < H; ++j) da[j] = (real(1) - h[j] * h[j]) * (g[j] + future[j]);
}

}  // namespace fdrnn

#section support_code_struct
fdrnn::Buffer<DTYPE_INPUT_0> buffer;

int APPLY_SPECIFIC(backward)(PyArrayObject *a_, PyArrayObject *n_rows_, PyArrayObject *h0_,
                             PyArrayObject *W_, PyArrayObject *h_, PyArrayObject *g_,
                             PyArrayObject **da_, PyArrayObject **dh0_, PyArrayObject **dW_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "OwnWeightsLayerGradient";
    if (expect(op, "h", h_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(h_, 0), H = PyArray_DIM(h_, 1), B = PyArray_DIM(W_, 0);
    if (expect(op, "h0", h0_, 1, H) || expect_packing(op, n_rows_, R) ||
        expect_matrices(op, "W", W_, B, H, H) || expect_constant_packing(op, n_rows_, B) ||
        expect(op, "gradient of h", g_, R, H))
        return -1;
    const npy_intp T = PyArray_DIM(n_rows_, 0), HH = H * H, stride = B * H;
    const real *W = (const real *)PyArray_DATA(W_), *h = (const real *)PyArray_DATA(h_);
    const real *g = (const real *)PyArray_DATA(g_), *h0 = (const real *)PyArray_DATA(h0_);
    real *da = output<real>(da_, type, 2, R, H);
    real *dh0 = output<real>(dh0_, type, 2, 1, H);
    real *future = buffer.get(H);
    real *dW = output_matrices<real>(dW_, type, B, H, H);
    if (!da || !dh0 || !future || !dW) return -1;
    memset(dh0, 0, H * sizeof(real));
    for (npy_intp k = 0; k < B; ++k) {
        const real *W_k = W + k * HH;
        memset(future, 0, H * sizeof(real));
        for (npy_intp t = T - 1; t >= 0; --t) {
            const npy_intp at = t * stride + k * H;
            tanh_gradient(H, h + at, g + at, future, da + at);
            gemv("T", (int)H, (int)H, real(1), W_k, (int)H, da + at, t > 0 ? real(0) : real(1),
                 t > 0 ? future : dh0);
        }
        /* Over the steps with one before: rows of h and da lie B H apart. */
        real *dW_k = dW + k * HH;
        product_at(H, H, 1, h0, da + k * H, real(0), dW_k);
        if (T > 1)
            gemm("N", "T", (int)H, (int)H, (int)(T - 1), real(1), da + stride + k * H,
                 (int)stride, h + k * H, (int)stride, real(1), dW_k, (int)H);
    }
    return 0;
}
