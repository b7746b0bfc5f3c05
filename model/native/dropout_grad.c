#section support_code_struct
/* Gradient of the recurrent layer of dropout.c, backwards over its packed rows. */
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> rows_buffer;
fdrnn::Buffer<DTYPE_INPUT_0> step_buffer;

int APPLY_SPECIFIC(backward)(PyArrayObject *x_, PyArrayObject *n_rows_, PyArrayObject *mean0_,
                             PyArrayObject *W_in_, PyArrayObject *W_rec_, PyArrayObject *b_,
                             PyArrayObject *mask_, PyArrayObject *mean_, PyArrayObject *u_,
                             PyArrayObject *g_mean_, PyArrayObject **dmean0_,
                             PyArrayObject **dW_in_, PyArrayObject **dW_rec_,
                             PyArrayObject **db_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "DropoutGrad";
    if (expect(op, "x", x_, -1, -1) || expect(op, "W_rec", W_rec_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), D = PyArray_DIM(x_, 1), H = PyArray_DIM(W_rec_, 1);
    if (expect(op, "W_rec", W_rec_, H, H) || expect(op, "W_in", W_in_, D, H) ||
        expect_packing(op, n_rows_, R) || expect(op, "initial mean", mean0_, -1, H) ||
        expect(op, "mask", mask_, R, H) || expect(op, "mean", mean_, R, H) ||
        expect(op, "masked state", u_, R, H) || expect(op, "gradient of mean", g_mean_, R, H))
        return -1;
    const npy_intp T = PyArray_DIM(n_rows_, 0), S = PyArray_DIM(mean0_, 0);
    const npy_int64 *n_rows = (const npy_int64 *)PyArray_DATA(n_rows_);
    const real *x = (const real *)PyArray_DATA(x_);
    const real *mask = (const real *)PyArray_DATA(mask_);
    const real *mean = (const real *)PyArray_DATA(mean_), *u = (const real *)PyArray_DATA(u_);
    const real *g_mean = (const real *)PyArray_DATA(g_mean_);

    npy_intp widest = S;
    for (npy_intp t = 0; t < T; ++t)
        if (n_rows[t] > widest) widest = n_rows[t];
    real *dmean0 = output<real>(dmean0_, type, 2, S, H);
    real *dW_in = output<real>(dW_in_, type, 2, D, H);
    real *dW_rec = output<real>(dW_rec_, type, 2, H, H);
    real *db = output<real>(db_, type, 1, H, 0);
    real *W_transposed = weights.get(H * H);
    real *da = rows_buffer.get(R * H);
    real *future = step_buffer.get(3 * widest * H);
    if (!dmean0 || !dW_in || !dW_rec || !db || !W_transposed || !da || !future) return -1;
    real *du = future + widest * H, *masked = du + widest * H;

    transposed(H, H, (const real *)PyArray_DATA(W_rec_), W_transposed);
    memset(db, 0, H * sizeof(real));
    npy_intp row = R;
    for (npy_intp t = T - 1; t >= 0; --t) {
        const npy_intp n = n_rows[t];
        row -= n;
        const npy_intp at = row * H;
        if (t < T - 1)
            tanh_plain_gradient<true>(n, H, real(2), mean + at, g_mean + at, future, da + at, db);
        else
            tanh_plain_gradient<false, real>(n, H, real(2), mean + at, g_mean + at, NULL, da + at,
                                             db);
        /* What this step says to the rows that it continues, each through its own mask. */
        product(n, H, H, da + at, W_transposed, real(0), du);
        multiplied(n * H, du, mask + at, masked);
        if (t > 0)
            gather_successors(n_rows[t - 1], n, H, masked, future);
        else
            gather_successors(S, n, H, masked, dmean0);
    }
    product_at(H, H, R, u, da, real(0), dW_rec);
    product_at(D, H, R, x, da, real(0), dW_in);
    return 0;
}
