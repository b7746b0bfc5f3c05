#section support_code_struct
/*
 * Gradients of g nll with respect to the means and variances of the activations. The log-odds of
 * class j fall with the mean of class i != j by p_i / (1 - p_j), which for the likeliest class
 * is the softmax over the others.
 */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    real *x = workspace.get(D), *d = workspace.get(D);
    real *odds = workspace.get(D), *scaled_odds = workspace.get(D);
    if (workspace.failed) return -1;
    Unscented<real> row(D, x, d);
    for (npy_intp r = 0; r < R; ++r) {
        const real *m = mean + r * D;
        real *dm = d_mean + r * D, *dv = d_variance + r * D;
        row.read(m, variance + r * D, target + r * D);
        row.nll();
        if (row.target < 0) {
            memset(dm, 0, D * sizeof(real));
            memset(dv, 0, D * sizeof(real));
            continue;
        }
        real sum = 0;
        for (npy_intp j = 0; j < D; ++j) {
            dv[j] = -g_nll[r] * row.by_variance(j);
            odds[j] = row.by_odds(j);
            scaled_odds[j] =
                j == row.top ? real(0) : odds[j] / (real(1) - exponential(m[j] - row.of_all));
            sum += scaled_odds[j];
        }
        for (npy_intp j = 0; j < D; ++j) {
            real by_mean = odds[j] - exponential(m[j] - row.of_all) * (sum - scaled_odds[j]);
            if (j != row.top) by_mean -= exponential(m[j] - row.of_others) * odds[row.top];
            dm[j] = -g_nll[r] * by_mean;
        }
    }
    return 0;
}
