#section support_code_struct
/* Gradient of g nll with respect to the activations: g (softmax(a) - target). */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    for (npy_intp r = 0; r < R; ++r) {
        const real *__restrict a = activations + r * D, *__restrict t = target + r * D;
        real *__restrict da = d_activations + r * D;
        real largest = a[0];
        for (npy_intp j = 0; j < D; ++j) largest = a[j] > largest ? a[j] : largest;
#pragma GCC ivdep
        for (npy_intp j = 0; j < D; ++j) da[j] = exponential(a[j] - largest);
        const real scale = sum_of<real>(D, [=](npy_intp j) { return t[j]; }) /
                           sum_of<real>(D, [=](npy_intp j) { return da[j]; });
#pragma GCC ivdep
        for (npy_intp j = 0; j < D; ++j) da[j] = g_nll[r] * (scale * da[j] - t[j]);
    }
    return 0;
}
