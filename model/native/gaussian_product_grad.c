#section support_code_struct
/* Gradient of gaussian_product.c. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const npy_intp HD = H * D;
    real *transposed_mean = workspace.get(HD), *transposed_variance = workspace.get(2 * HD);
    real *scratch = workspace.get(2 * HD);
    real *u = workspace.get(ROW_BLOCK * 2 * H), *du = workspace.get(ROW_BLOCK * 2 * H);
    if (workspace.failed) return -1;
    transposed(H, D, W_mean, transposed_mean);
    variance_weights(HD, W_mean, W_variance, scratch);
    transposed(2 * H, D, scratch, transposed_variance);
    memset(d_W_mean, 0, HD * sizeof(real));
    memset(scratch, 0, 2 * HD * sizeof(real));
    memset(d_b, 0, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK;
        const real *gm = g_z_mean + r * D, *gv = g_z_variance + r * D;
        product(n, H, D, gm, transposed_mean, real(0), d_mean + r * H);
        product(n, 2 * H, D, gv, transposed_variance, real(0), du);
        side_by_side_gradient(n, H, mean + r * H, du, d_mean + r * H, d_variance + r * H);
        product_at(H, D, n, mean + r * H, gm, real(1), d_W_mean);
        side_by_side(n, H, mean + r * H, variance + r * H, u);
        product_at(2 * H, D, n, u, gv, real(1), scratch);
        for (npy_intp i = 0; i < n; ++i) {
#pragma GCC ivdep
            for (npy_intp j = 0; j < D; ++j) d_b[j] += gm[i * D + j];
        }
    }
    variance_weights_gradient(HD, W_mean, scratch, d_W_mean, d_W_variance);
    return 0;
}
