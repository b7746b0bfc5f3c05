#section support_code_struct
/*
 * Forward pass of the recurrent layer over packed rows (see packing.py).
 *
 * Row i of step t continues row min(i, n_rows[t-1] - 1) of step t-1; at t = 0, of the initial
 * state. Rows may join (they continue the last row of the step before: the shared padding) and
 * end (the last ones of a step have no successor).
 */
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> inputs;

int APPLY_SPECIFIC(forward)(PyArrayObject *x_, PyArrayObject *n_rows_, PyArrayObject *mean0_,
                            PyArrayObject *variance0_, PyArrayObject *W_in_,
                            PyArrayObject *W_rec_, PyArrayObject *b_, PyArrayObject *p_in_,
                            PyArrayObject *p_rec_, PyArrayObject *mean_factor_,
                            PyArrayObject *noise_, PyArrayObject **mean_,
                            PyArrayObject **variance_, PyArrayObject **a_, PyArrayObject **v_,
                            PyArrayObject **c_, PARAMS_TYPE *params) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "Recurrence";
    const int cell = params->cell_index;
    const bool stochastic = has_variance_products(cell), passes = passes_variance(cell);
    const real s = (real)params->input_scale;
    if (expect(op, "x", x_, -1, -1) || expect(op, "W_rec", W_rec_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), D = PyArray_DIM(x_, 1), H = PyArray_DIM(W_rec_, 1);
    if (expect(op, "W_rec", W_rec_, H, H) || expect(op, "W_in", W_in_, D, H) ||
        expect_vector(op, "b", b_, H) || expect_packing(op, n_rows_, R) ||
        expect(op, "initial mean", mean0_, -1, H))
        return -1;
    const npy_intp S = PyArray_DIM(mean0_, 0);
    if ((passes && expect(op, "initial variance", variance0_, S, H)) ||
        (cell == SAMPLED && expect(op, "noise", noise_, R, H)))
        return -1;
    if (S < 1) {
        PyErr_Format(PyExc_ValueError, "%s: the initial state must have at least one row", op);
        return -1;
    }
    const npy_intp T = PyArray_DIM(n_rows_, 0), HH = H * H, DH = D * H;
    const npy_int64 *n_rows = (const npy_int64 *)PyArray_DATA(n_rows_);
    const real p_in = scalar<real>(p_in_), p_rec = scalar<real>(p_rec_);
    const real mean_factor = scalar<real>(mean_factor_);
    const real *x = (const real *)PyArray_DATA(x_);
    const real *b = (const real *)PyArray_DATA(b_);
    const real *W_in = (const real *)PyArray_DATA(W_in_);
    const real *W_rec = (const real *)PyArray_DATA(W_rec_);
    const real *noise = (const real *)PyArray_DATA(noise_);

    const npy_intp V = stochastic ? R : 0;
    real *mean = output<real>(mean_, type, 2, R, H);
    real *variance = output<real>(variance_, type, 2, V, H);
    real *a = output<real>(a_, type, 2, R, H);
    real *v = output<real>(v_, type, 2, V, H);
    real *c = output<real>(c_, type, 2, V, H);
    real *scaled_weights = weights.get(2 * HH + 2 * DH);
    const npy_intp widest = n_rows[0] > S ? n_rows[0] : S;
    real *workspace = inputs.get(R * D + 2 * widest * H);
    if (!mean || !variance || !a || !v || !c || !scaled_weights || !workspace) return -1;

    real *rec_mean = scaled_weights, *rec_variance = rec_mean + HH;
    real *in_mean = rec_variance + HH, *in_variance = in_mean + DH;
    real *x_squared = workspace, *mean_before = x_squared + R * D,
         *c_before = mean_before + widest * H;

    scaled(HH, W_rec, mean_factor, rec_mean);
    scaled(DH, W_in, p_in, in_mean);
    const bool noisy_input = stochastic && p_in < real(1);
    if (stochastic) scaled_square(HH, W_rec, p_rec, rec_variance);
    if (noisy_input) {
        scaled_square(DH, W_in, p_in * (real(1) - p_in), in_variance);
        scaled_square(R * D, x, real(1), x_squared);
    }

    if (!passes) memset(variance, 0, V * H * sizeof(real));

    /* The rows that step 0 continues: the initial state, its last row repeated. */
    memcpy(mean_before, PyArray_DATA(mean0_), S * H * sizeof(real));
    if (passes)
        variance_input(S * H, p_rec, mean_before, (const real *)PyArray_DATA(variance0_),
                       c_before);
    else if (stochastic)
        dropout_variance_input(S * H, p_rec, mean_before, c_before);
    real *before = mean_before, *c_of_before = c_before;
    const npy_intp block = INPUT_BLOCK / H;
    npy_intp n_before = S, row = 0, projected = 0;
    for (npy_intp t = 0; t < T; ++t) {
        const npy_intp n = n_rows[t];
        if (projected < row + n) {
            /* The input's part for this step and some to come, never of a part of a step. */
            npy_intp end = row + n;
            for (npy_intp u = t + 1; u < T && end + n_rows[u] <= row + block; ++u)
                end += n_rows[u];
            product(end - row, H, D, x + row * D, in_mean, real(0), a + row * H);
            if (noisy_input)
                product(end - row, H, D, x_squared + row * D, in_variance, real(0), v + row * H);
            else if (stochastic)
                memset(v + row * H, 0, (end - row) * H * sizeof(real));
            projected = end;
        }
        /* Joining rows get copies of the last row, written right behind it: there lies the
         * block of this step, which is still free (at t = 0, the rest of the workspace). */
        for (npy_intp i = n_before; i < n; ++i) {
            memcpy(before + i * H, before + (n_before - 1) * H, H * sizeof(real));
            if (stochastic)
                memcpy(c_of_before + i * H, c_of_before + (n_before - 1) * H, H * sizeof(real));
        }
        product(n, H, H, before, rec_mean, real(1), a + row * H);
        if (stochastic) product(n, H, H, c_of_before, rec_variance, real(1), v + row * H);
        transfer(cell, n, H, s, p_rec, b, a + row * H, v + row * H, noise + row * H,
                 mean + row * H, variance + row * H, c + row * H);
        before = mean + row * H;
        c_of_before = c + row * H;
        n_before = n;
        row += n;
    }
    return 0;
}
