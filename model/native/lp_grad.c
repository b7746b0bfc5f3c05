#section support_code_struct
/*
 * Gradient of lp.c: du/da_k = sgn(a_k) / P r_k^(p-1) s^(1/p - 1) and
 * du/dp = u (sum_k r_k^p log r_k / (P s) - log(s) / p) / p, in which m cancels.
 */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const npy_intp P = G / H;
    real *m = workspace.get(H), *s = workspace.get(H), *moment = workspace.get(H);
    if (workspace.failed) return -1;
    memset(d_p, 0, H * sizeof(real));
    for (npy_intp i = 0; i < R; ++i) {
        const real *__restrict row = a + i * G, *__restrict g = g_u + i * H;
        const real *__restrict unit = u + i * H;
        real *__restrict d_row = d_a + i * G;
        pool(P, H, row, p, m, s);
        memset(moment, 0, H * sizeof(real));
        for (npy_intp k = 0; k < P; ++k) {
#pragma GCC ivdep
            for (npy_intp j = 0; j < H; ++j) {
                const real x = row[k * H + j], log_r = log_share(x, m[j]), log_s = logarithm(s[j]);
                const real sign = real(x > real(0)) - real(x < real(0));
                const real power = (p[j] - real(1)) * (log_r - log_s / p[j]);
                d_row[k * H + j] = g[j] * sign / real(P) * exponential(power);
                moment[j] += exponential(p[j] * log_r) * log_r;
            }
        }
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            const real of_p = moment[j] / (real(P) * s[j]) - logarithm(s[j]) / p[j];
            d_p[j] += g[j] * unit[j] * of_p / p[j];
        }
    }
    return 0;
}
