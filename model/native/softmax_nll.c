#section support_code_struct
/* NLL of one-hot targets under softmax(a), log sum_j exp(a_j) - a_t; 0 for a row without class. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    for (npy_intp r = 0; r < R; ++r) {
        const real *__restrict a = activations + r * D, *__restrict t = target + r * D;
        real largest = a[0], sum = 0, own = 0, weight = 0;
        for (npy_intp j = 0; j < D; ++j) largest = a[j] > largest ? a[j] : largest;
#pragma GCC ivdep
        for (npy_intp j = 0; j < D; ++j) {
            sum += exponential(a[j] - largest);
            own += t[j] * (a[j] - largest);
            weight += t[j];
        }
        nll[r] = weight * std::log(sum) - own;
    }
    return 0;
}
