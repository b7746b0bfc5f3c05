#section support_code_struct
/* Gradient of g nll with respect to the activations: g (softmax(a) - target). */
int APPLY_SPECIFIC(backward)(PyArrayObject *a_, PyArrayObject *target_, PyArrayObject *g_,
                             PyArrayObject **da_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const char *op = "SoftmaxGradient";
    if (expect(op, "activations", a_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(a_, 0), D = PyArray_DIM(a_, 1);
    if (expect(op, "target", target_, R, D) || expect_vector(op, "gradient of nll", g_, R))
        return -1;
    const real *activations = (const real *)PyArray_DATA(a_);
    const real *targets = (const real *)PyArray_DATA(target_);
    const real *g = (const real *)PyArray_DATA(g_);
    real *gradient = output<real>(da_, TYPENUM_INPUT_0, 2, R, D);
    if (!gradient) return -1;
    for (npy_intp r = 0; r < R; ++r) {
        const real *__restrict a = activations + r * D, *__restrict target = targets + r * D;
        real *__restrict da = gradient + r * D;
        real largest = a[0], sum = 0, weight = 0;
        for (npy_intp j = 0; j < D; ++j) largest = a[j] > largest ? a[j] : largest;
#pragma GCC ivdep
        for (npy_intp j = 0; j < D; ++j) {
            da[j] = exponential(a[j] - largest);
            sum += da[j];
            weight += target[j];
        }
        const real scale = weight / sum;
#pragma GCC ivdep
        for (npy_intp j = 0; j < D; ++j) da[j] = g[r] * (scale * da[j] - target[j]);
    }
    return 0;
}
