#section support_code_struct
/* NLL of one-hot targets under softmax(a), log sum_j exp(a_j) - a_t; 0 for a row without class. */
int APPLY_SPECIFIC(forward)(PyArrayObject *a_, PyArrayObject *target_, PyArrayObject **nll_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const char *op = "Softmax";
    if (expect(op, "activations", a_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(a_, 0), D = PyArray_DIM(a_, 1);
    if (expect(op, "target", target_, R, D)) return -1;
    const real *activations = (const real *)PyArray_DATA(a_);
    const real *targets = (const real *)PyArray_DATA(target_);
    real *nll = output<real>(nll_, TYPENUM_INPUT_0, 1, R, 0);
    if (!nll) return -1;
    for (npy_intp r = 0; r < R; ++r) {
        const real *__restrict a = activations + r * D, *__restrict target = targets + r * D;
        real largest = a[0], sum = 0, own = 0, weight = 0;
        for (npy_intp j = 0; j < D; ++j) largest = a[j] > largest ? a[j] : largest;
#pragma GCC ivdep
        for (npy_intp j = 0; j < D; ++j) {
            sum += exponential(a[j] - largest);
            own += target[j] * (a[j] - largest);
            weight += target[j];
        }
        nll[r] = weight * std::log(sum) - own;
    }
    return 0;
}
