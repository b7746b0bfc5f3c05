#section support_code_struct
/* NLL (R,) of one-hot targets. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    real *x = workspace.get(D), *d = workspace.get(D);
    if (workspace.failed) return -1;
    Unscented<real> row(D, x, d);
    for (npy_intp r = 0; r < R; ++r) {
        row.read(mean + r * D, variance + r * D, target + r * D);
        nll[r] = row.nll();
    }
    return 0;
}
