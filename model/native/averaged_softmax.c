#section support_code
/*
 * NLL of class probabilities that are averaged over draws of the pre-synaptic activations:
 * nll = -log (1 / N) sum_i softmax(mean + s_i sqrt(variance))_t, for one-hot targets.
 */
namespace fdrnn {

/* log sum_j exp(a_j) less the target's a, of a = mean + s * deviation; `a` is scratch. */
template <typename real>
inline real drawn_nll(npy_intp D, const real *__restrict mean, const real *__restrict deviation,
                      const real *__restrict s, const real *__restrict target,
                      real *__restrict a) {
    real largest = mean[0] + s[0] * deviation[0], own = 0, sum = 0;
#pragma GCC ivdep
    for (npy_intp j = 0; j < D; ++j) {
        a[j] = mean[j] + s[j] * deviation[j];
        own += target[j] * a[j];
    }
    for (npy_intp j = 0; j < D; ++j) largest = a[j] > largest ? a[j] : largest;
#pragma GCC ivdep
    for (npy_intp j = 0; j < D; ++j) sum += exponential(a[j] - largest);
    return largest + std::log(sum) - own;
}

}  // namespace fdrnn

#section support_code_struct
fdrnn::Buffer<DTYPE_INPUT_0> scratch;

int APPLY_SPECIFIC(forward)(PyArrayObject *mean_, PyArrayObject *variance_,
                            PyArrayObject *draws_, PyArrayObject *target_,
                            PyArrayObject **nll_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const char *op = "AveragedSoftmax";
    if (expect(op, "mean", mean_, -1, -1) || expect(op, "draws", draws_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(mean_, 0), D = PyArray_DIM(mean_, 1);
    const npy_intp N = PyArray_DIM(draws_, 0);
    if (N < 1) {
        PyErr_Format(PyExc_ValueError, "%s: there must be a draw, got none", op);
        return -1;
    }
    if (expect(op, "variance", variance_, R, D) || expect(op, "draws", draws_, N, D) ||
        expect(op, "target", target_, R, D))
        return -1;
    const real *mean = (const real *)PyArray_DATA(mean_);
    const real *variance = (const real *)PyArray_DATA(variance_);
    const real *draws = (const real *)PyArray_DATA(draws_);
    const real *target = (const real *)PyArray_DATA(target_);
    real *nll = output<real>(nll_, TYPENUM_INPUT_0, 1, R, 0);
    real *a = scratch.get(2 * D);
    if (!nll || !a) return -1;
    real *deviation = a + D;
    for (npy_intp r = 0; r < R; ++r) {
        const real *t = target + r * D;
#pragma GCC ivdep
        for (npy_intp j = 0; j < D; ++j) deviation[j] = std::sqrt(variance[r * D + j]);
        /* The sum of exp(-drawn) as exp(-least) total, so that no term that matters is lost. */
        real least = drawn_nll(D, mean + r * D, deviation, draws, t, a), total = 1;
        for (npy_intp i = 1; i < N; ++i) {
            const real drawn = drawn_nll(D, mean + r * D, deviation, draws + i * D, t, a);
            if (drawn < least) {
                total = total * std::exp(drawn - least) + real(1);
                least = drawn;
            } else {
                total += std::exp(least - drawn);
            }
        }
        nll[r] = least - std::log(total / N);
    }
    return 0;
}
