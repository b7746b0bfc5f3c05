#section support_code_struct
/* NLL (R,) of one-hot targets. */
fdrnn::Buffer<DTYPE_INPUT_0> scratch;

int APPLY_SPECIFIC(forward)(PyArrayObject *mean_, PyArrayObject *variance_,
                            PyArrayObject *target_, PyArrayObject **nll_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const char *op = "UnscentedSoftmax";
    if (expect(op, "mean", mean_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(mean_, 0), D = PyArray_DIM(mean_, 1);
    if (expect(op, "variance", variance_, R, D) || expect(op, "target", target_, R, D)) return -1;
    const real *mean = (const real *)PyArray_DATA(mean_);
    const real *variance = (const real *)PyArray_DATA(variance_);
    const real *target = (const real *)PyArray_DATA(target_);
    real *nll = output<real>(nll_, TYPENUM_INPUT_0, 1, R, 0);
    real *x = scratch.get(2 * D);
    if (!nll || !x) return -1;
    Unscented<real> row;
    row.D = D;
    row.n = D > 3 ? real(D) : real(3);
    row.k = row.n - real(D);
    row.x = x;
    row.d = x + D;
    for (npy_intp r = 0; r < R; ++r) {
        row.read(mean + r * D, variance + r * D, target + r * D);
        nll[r] = row.nll();
    }
    return 0;
}
