#section support_code
/*
 * Forward pass of the recurrent layer with Gaussian weights over packed rows (see packing.py and
 * recurrence.c): equations 5 and 6, then the moments of tanh.
 *
 * `u` holds variance and mean^2 side by side; see gaussian.c.
 */
namespace fdrnn {

/* Moments of tanh at pre-synaptic (a + b, v), and the rows of u that they make. */
template <typename real>
inline void tanh_and_square(npy_intp n, npy_intp H, const real *__restrict b, const real *a_,
                            const real *v_, real *mean_, real *variance_, real *u_) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        real *__restrict mean = mean_ + i * H, *__restrict variance = variance_ + i * H;
        real *__restrict u = u_ + i * 2 * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            Moments<real> y = moments_of_tanh(a[j] + b[j], v[j]);
            mean[j] = y.mean;
            variance[j] = y.variance;
            u[j] = y.variance;
            u[H + j] = y.mean * y.mean;
        }
    }
}

}  // namespace fdrnn

#section support_code_struct
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> inputs;

int APPLY_SPECIFIC(forward)(PyArrayObject *x_, PyArrayObject *n_rows_, PyArrayObject *mean0_,
                            PyArrayObject *variance0_, PyArrayObject *M_in_,
                            PyArrayObject *S_in_, PyArrayObject *M_rec_, PyArrayObject *S_rec_,
                            PyArrayObject *b_, PyArrayObject **mean_, PyArrayObject **variance_,
                            PyArrayObject **a_, PyArrayObject **v_, PyArrayObject **u_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "GaussianWeightsLayer";
    if (expect(op, "x", x_, -1, -1) || expect(op, "mean of W_rec", M_rec_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), D = PyArray_DIM(x_, 1), H = PyArray_DIM(M_rec_, 1);
    if (expect(op, "mean of W_rec", M_rec_, H, H) ||
        expect(op, "variance of W_rec", S_rec_, H, H) || expect(op, "mean of W_in", M_in_, D, H) ||
        expect(op, "variance of W_in", S_in_, D, H) || expect_vector(op, "b", b_, H) ||
        expect_packing(op, n_rows_, R) || expect(op, "initial mean", mean0_, -1, H))
        return -1;
    const npy_intp S = PyArray_DIM(mean0_, 0);
    if (expect(op, "initial variance", variance0_, S, H)) return -1;
    if (S < 1) {
        PyErr_Format(PyExc_ValueError, "%s: the initial state must have at least one row", op);
        return -1;
    }
    const npy_intp T = PyArray_DIM(n_rows_, 0), HH = H * H;
    const npy_int64 *n_rows = (const npy_int64 *)PyArray_DATA(n_rows_);
    const real *x = (const real *)PyArray_DATA(x_), *b = (const real *)PyArray_DATA(b_);
    const real *M_in = (const real *)PyArray_DATA(M_in_);
    const real *S_in = (const real *)PyArray_DATA(S_in_);
    const real *M_rec = (const real *)PyArray_DATA(M_rec_);
    const real *S_rec = (const real *)PyArray_DATA(S_rec_);
    const real *mean0 = (const real *)PyArray_DATA(mean0_);

    real *mean = output<real>(mean_, type, 2, R, H);
    real *variance = output<real>(variance_, type, 2, R, H);
    real *a = output<real>(a_, type, 2, R, H);
    real *v = output<real>(v_, type, 2, R, H);
    real *u = output<real>(u_, type, 2, R, 2 * H);
    real *rec_variance = weights.get(2 * HH);
    const npy_intp widest = n_rows[0] > S ? n_rows[0] : S;
    real *workspace = inputs.get(R * D + 3 * widest * H);
    if (!mean || !variance || !a || !v || !u || !rec_variance || !workspace) return -1;
    real *x_squared = workspace, *mean_before = x_squared + R * D,
         *u_before = mean_before + widest * H;

    variance_weights(HH, M_rec, S_rec, rec_variance);
    scaled_square(R * D, x, real(1), x_squared);
    /* The rows that step 0 continues: the initial state, its last row repeated. */
    memcpy(mean_before, mean0, S * H * sizeof(real));
    side_by_side(S, H, mean0, (const real *)PyArray_DATA(variance0_), u_before);
    real *before = mean_before, *u_of_before = u_before;
    const npy_intp block = INPUT_BLOCK / H;
    npy_intp n_before = S, row = 0, projected = 0;
    for (npy_intp t = 0; t < T; ++t) {
        const npy_intp n = n_rows[t], at = row * H;
        if (projected < row + n) {
            /* The input's part for this step and some to come, never of a part of a step. */
            npy_intp end = row + n;
            for (npy_intp s = t + 1; s < T && end + n_rows[s] <= row + block; ++s)
                end += n_rows[s];
            product(end - row, H, D, x + row * D, M_in, real(0), a + at);
            product(end - row, H, D, x_squared + row * D, S_in, real(0), v + at);
            projected = end;
        }
        /* Joining rows get copies of the last row, written right behind it: there lies the
         * block of this step, which is still free (at t = 0, the rest of the workspace). */
        for (npy_intp i = n_before; i < n; ++i) {
            memcpy(before + i * H, before + (n_before - 1) * H, H * sizeof(real));
            memcpy(u_of_before + i * 2 * H, u_of_before + (n_before - 1) * 2 * H,
                   2 * H * sizeof(real));
        }
        product(n, H, H, before, M_rec, real(1), a + at);
        product(n, H, 2 * H, u_of_before, rec_variance, real(1), v + at);
        tanh_and_square(n, H, b, a + at, v + at, mean + at, variance + at, u + 2 * at);
        before = mean + at;
        u_of_before = u + 2 * at;
        n_before = n;
        row += n;
    }
    return 0;
}
