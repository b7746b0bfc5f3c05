#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const bool fast = fast_dropout != 0;
    const AffineLayer<real> layer(H, D, fast, p_keep, workspace);
    if (workspace.failed) return -1;
    layer.fill(W);
    if (!fast) memset(z_variance, 0, Z * D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK, v = fast ? r : 0;
        layer.forward(n, mean + r * H, variance + v * H, b, z_mean + r * D, z_variance + v * D);
    }
    return 0;
}
