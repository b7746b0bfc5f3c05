#section support_code_struct
/* Lp units of all rows; see pooling.c. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    real *m = workspace.get(H), *s = workspace.get(H);
    if (workspace.failed) return -1;
    for (npy_intp i = 0; i < R; ++i) {
        pool(G / H, H, a + i * G, p, m, s);
        real *__restrict row = u + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) row[j] = m[j] * exponential(logarithm(s[j]) / p[j]);
    }
    return 0;
}
