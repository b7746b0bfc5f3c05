#section support_code_struct
/* Gradient of gaussian_product.c. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const npy_intp HD = H * D;
    const Packed<real> of_mean(D, H, workspace), of_variance(D, 2 * H, workspace);
    real *scratch = workspace.get(2 * HD);
    real *u = workspace.get(ROW_BLOCK * 2 * H), *du = workspace.get(ROW_BLOCK * 2 * H);
    if (workspace.failed) return -1;
    of_mean.fill_transposed(W_mean);
    variance_weights(HD, W_mean, W_variance, scratch);
    of_variance.fill_transposed(scratch);
    memset(d_b, 0, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK;
        const real *gm = g_z_mean + r * D, *gv = g_z_variance + r * D;
        of_mean.multiply(n, gm, false, d_mean + r * H);
        of_variance.multiply(n, gv, false, du);
        side_by_side_gradient(n, H, mean + r * H, du, d_mean + r * H, d_variance + r * H);
        product_at(H, D, n, mean + r * H, gm, r > 0, d_W_mean, workspace);
        side_by_side(n, H, mean + r * H, variance + r * H, u);
        product_at(2 * H, D, n, u, gv, r > 0, scratch, workspace);
        for (npy_intp i = 0; i < n; ++i) {
#pragma GCC ivdep
            for (npy_intp j = 0; j < D; ++j) d_b[j] += gm[i * D + j];
        }
    }
    variance_weights_gradient(HD, W_mean, scratch, d_W_mean, d_W_variance);
    return 0;
}
