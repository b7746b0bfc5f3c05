#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const bool fast = fast_dropout != 0;
    const AffineLayerGradient<real> layer(H, D, fast, p_keep, workspace);
    if (workspace.failed) return -1;
    layer.fill(W);
    if (!fast) memset(d_variance, 0, V * H * sizeof(real));
    memset(d_b, 0, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK, v = fast ? r : 0;
        const real *dz_mean = g_z_mean + r * D;
        layer.backward(n, r == 0, mean + r * H, variance + v * H, dz_mean, g_z_variance + v * D,
                       d_mean + r * H, d_variance + v * H, d_W, workspace);
        for (npy_intp i = 0; i < n; ++i) {
#pragma GCC ivdep
            for (npy_intp j = 0; j < D; ++j) d_b[j] += dz_mean[i * D + j];
        }
    }
    layer.finish(W, d_W);
    return 0;
}
