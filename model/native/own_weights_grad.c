#section support_code
/* Gradient of the layer of own_weights.c, one sequence after the other. */
namespace fdrnn {

/* da from the gradients of h = tanh(a), from the loss and from the next step. */
template <typename real>
inline void tanh_gradient(npy_intp H, const real *__restrict h, const real *__restrict g,
                          const real *__restrict future, real *__restrict da) {
#pragma GCC ivdep
    for (npy_intp j = 0; j < H; ++j) da[j] = (real(1) - h[j] * h[j]) * (g[j] + future[j]);
}

}  // namespace fdrnn

#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const npy_intp HH = H * H, stride = B * H;
    real *future = workspace.get(H);
    const Packed<real> transposed(H, H, workspace);
    if (workspace.failed) return -1;
    memset(d_h0, 0, H * sizeof(real));
    for (npy_intp k = 0; k < B; ++k) {
        transposed.fill_transposed(W + k * HH);
        memset(future, 0, H * sizeof(real));
        for (npy_intp t = T - 1; t >= 0; --t) {
            const npy_intp at = t * stride + k * H;
            tanh_gradient(H, h + at, g_h + at, future, d_a + at);
            transposed.multiply(1, d_a + at, t == 0, t > 0 ? future : d_h0);
        }
        /* The steps that have a previous one: rows of h and d_a are B H apart. */
        real *dW_k = d_W + k * HH;
        product_at(H, H, 1, h0, d_a + k * H, false, dW_k, workspace);
        product_at(H, H, T - 1, h + k * H, stride, d_a + stride + k * H, stride, true, dW_k,
                   workspace);
    }
    return 0;
}
