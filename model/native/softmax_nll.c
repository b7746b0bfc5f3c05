#section support_code_struct
/* NLL of one-hot targets under softmax(a), log sum_j exp(a_j) - a_t; 0 for a row without class. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    for (npy_intp r = 0; r < R; ++r) {
        const real *__restrict a = activations + r * D, *__restrict t = target + r * D;
        real largest = a[0];
        for (npy_intp j = 0; j < D; ++j) largest = a[j] > largest ? a[j] : largest;
        const real sum = sum_of<real>(D, [=](npy_intp j) { return exponential(a[j] - largest); });
        const real own = sum_of<real>(D, [=](npy_intp j) { return t[j] * (a[j] - largest); });
        nll[r] = sum_of<real>(D, [=](npy_intp j) { return t[j]; }) * logarithm(sum) - own;
    }
    return 0;
}
