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
#pragma GCC ivdep
    for (npy_intp j = 0; j < D; ++j) a[j] = mean[j] + s[j] * deviation[j];
    real largest = a[0];
    for (npy_intp j = 0; j < D; ++j) largest = a[j] > largest ? a[j] : largest;
    const real sum = sum_of<real>(D, [=](npy_intp j) { return exponential(a[j] - largest); });
    return largest + logarithm(sum) - sum_of<real>(D, [=](npy_intp j) { return target[j] * a[j]; });
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
                total = total * exponential(drawn - least) + real(1);
                least = drawn;
            } else {
                total += exponential(least - drawn);
            }
        }
        nll[r] = least - logarithm(total / N);
    }
    return 0;
}
