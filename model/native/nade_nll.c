#section support_code_struct
/* NLL (R,) of binary frames. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    NadeRow<real> row(D, N, order, workspace);
    if (workspace.failed) return -1;
    row.fill(V, W);
    for (npy_intp r = 0; r < R; ++r) {
        const real *m = mean + r * A, *x = target + r * D;
        nll[r] = stochastic ? row.nll<true>(m, variance + r * A, x, z_mean + r * D,
                                            z_variance + r * D)
                            : row.nll<false>(m, NULL, x, z_mean + r * D, NULL);
    }
    return 0;
}
