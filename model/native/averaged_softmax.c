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
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    real *a = workspace.get(D), *deviation = workspace.get(D);
    if (workspace.failed) return -1;
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
