#section support_code_struct
/* NLL (R,) of binary frames. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const bool spread = stochastic && Q > 0;
    NadeRow<real> row(D, N, workspace);
    if (workspace.failed) return -1;
    row.fill(order, V, W);
    for (npy_intp r = 0; r < R; ++r) {
        const real *m = mean + r * A, *x = target + r * D;
        nll[r] = spread ? row.nll<true>(m, variance + r * A, x, z_mean + r * D,
                                            z_variance + r * D)
                            : row.nll<false>(m, NULL, x, z_mean + r * D, NULL);
    }
    return 0;
}
