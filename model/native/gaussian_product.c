#section support_code_struct
/* Pre-synaptic moments of a layer with Gaussian weights: equations 5 and 6; see gaussian.c. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    real *variance_factor = workspace.get(2 * H * D), *u = workspace.get(ROW_BLOCK * 2 * H);
    const Packed<real> of_mean(H, D, workspace), of_variance(2 * H, D, workspace);
    if (workspace.failed) return -1;
    variance_weights(H * D, W_mean, W_variance, variance_factor);
    of_mean.fill(W_mean);
    of_variance.fill(variance_factor);
    for (npy_intp r = 0; r < R; ++r) memcpy(z_mean + r * D, b, D * sizeof(real));
    for (npy_intp r = 0; r < R; r += ROW_BLOCK) {
        const npy_intp n = R - r < ROW_BLOCK ? R - r : ROW_BLOCK;
        of_mean.multiply(n, mean + r * H, true, z_mean + r * D);
        side_by_side(n, H, mean + r * H, variance + r * H, u);
        of_variance.multiply(n, u, false, z_variance + r * D);
    }
    return 0;
}
