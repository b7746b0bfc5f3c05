#section support_code_struct
/*
 * Recurrent layer with dropout masks, over packed rows: row r of a step computes
 * h_r = tanh(x_r W_in + u_r W_rec + b), u_r = mask_r h_before, where h_before is the row of the
 * step before that it continues (see packing.py). Each row has a mask of its own, also where
 * several continue one.
 */
fdrnn::Buffer<DTYPE_INPUT_0> block_buffer;

int APPLY_SPECIFIC(forward)(PyArrayObject *x_, PyArrayObject *n_rows_, PyArrayObject *mean0_,
                            PyArrayObject *W_in_, PyArrayObject *W_rec_, PyArrayObject *b_,
                            PyArrayObject *mask_, PyArrayObject **mean_, PyArrayObject **u_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "Dropout";
    if (expect(op, "x", x_, -1, -1) || expect(op, "W_rec", W_rec_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), D = PyArray_DIM(x_, 1), H = PyArray_DIM(W_rec_, 1);
    if (expect(op, "W_rec", W_rec_, H, H) || expect(op, "W_in", W_in_, D, H) ||
        expect_vector(op, "b", b_, H) || expect_packing(op, n_rows_, R) ||
        expect(op, "initial mean", mean0_, -1, H) || expect(op, "mask", mask_, R, H))
        return -1;
    const npy_intp T = PyArray_DIM(n_rows_, 0), S = PyArray_DIM(mean0_, 0);
    if (S < 1) {
        PyErr_Format(PyExc_ValueError, "%s: the initial state must have at least one row", op);
        return -1;
    }
    const npy_int64 *n_rows = (const npy_int64 *)PyArray_DATA(n_rows_);
    const real *x = (const real *)PyArray_DATA(x_), *b = (const real *)PyArray_DATA(b_);
    const real *W_in = (const real *)PyArray_DATA(W_in_);
    const real *W_rec = (const real *)PyArray_DATA(W_rec_);
    const real *mask = (const real *)PyArray_DATA(mask_);

    npy_intp widest = 1;
    for (npy_intp t = 0; t < T; ++t)
        if (n_rows[t] > widest) widest = n_rows[t];
    const npy_intp block = INPUT_BLOCK / H > widest ? INPUT_BLOCK / H : widest;
    real *mean = output<real>(mean_, type, 2, R, H);
    real *u = output<real>(u_, type, 2, R, H);
    real *a = block_buffer.get(block * H);
    if (!mean || !u || !a) return -1;

    const real *before = (const real *)PyArray_DATA(mean0_);
    npy_intp n_before = S, row = 0, begin = 0, projected = 0;
    for (npy_intp t = 0; t < T; ++t) {
        const npy_intp n = n_rows[t];
        if (projected < row + n) {
            /* The input's part for this step and some to come, never of a part of a step. */
            npy_intp end = row + n;
            for (npy_intp v = t + 1; v < T && end + n_rows[v] <= row + block; ++v)
                end += n_rows[v];
            product(end - row, H, D, x + row * D, W_in, real(0), a);
            begin = row;
            projected = end;
        }
        for (npy_intp i = 0; i < n; ++i) {
            const npy_intp parent = i < n_before ? i : n_before - 1;
            multiplied(H, before + parent * H, mask + (row + i) * H, u + (row + i) * H);
        }
        real *at = a + (row - begin) * H;
        product(n, H, H, u + row * H, W_rec, real(1), at);
        tanh_plain(n, H, real(2), b, at, mean + row * H);
        before = mean + row * H;
        n_before = n;
        row += n;
    }
    return 0;
}
