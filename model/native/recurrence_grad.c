#section support_code_struct
/*
 * Gradient of the recurrent layer, backwards over the packed rows of recurrence.c.
 *
 * `successor` holds for each row the sum of the pre-synaptic gradients of the rows
 * that continue it, so that the recurrent weight gradient is one product over all rows.
 */
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> rows_buffer;
fdrnn::Buffer<DTYPE_INPUT_0> step_buffer;

int APPLY_SPECIFIC(backward)(PyArrayObject *x_, PyArrayObject *n_rows_, PyArrayObject *mean0_,
                             PyArrayObject *variance0_, PyArrayObject *W_in_,
                             PyArrayObject *W_rec_, PyArrayObject *b_, PyArrayObject *p_in_,
                             PyArrayObject *p_rec_, PyArrayObject *mean_factor_,
                             PyArrayObject *noise_, PyArrayObject *mean_,
                             PyArrayObject *variance_, PyArrayObject *a_, PyArrayObject *v_,
                             PyArrayObject *c_, PyArrayObject *g_mean_,
                             PyArrayObject *g_variance_, PyArrayObject **dmean0_,
                             PyArrayObject **dvariance0_, PyArrayObject **dW_in_,
                             PyArrayObject **dW_rec_, PyArrayObject **db_, PyArrayObject **da_,
                             PyArrayObject **dv_, PARAMS_TYPE *params) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "RecurrenceGrad";
    const int cell = params->cell_index;
    const bool stochastic = has_variance_products(cell), passes = passes_variance(cell);
    const real s = (real)params->input_scale;
    if (expect(op, "x", x_, -1, -1) || expect(op, "W_rec", W_rec_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), D = PyArray_DIM(x_, 1), H = PyArray_DIM(W_rec_, 1);
    const npy_intp V = stochastic ? R : 0;
    if (expect(op, "W_rec", W_rec_, H, H) || expect(op, "W_in", W_in_, D, H) ||
        expect_vector(op, "b", b_, H) || expect_packing(op, n_rows_, R) ||
        expect(op, "initial mean", mean0_, -1, H) || expect(op, "mean", mean_, R, H) ||
        expect(op, "variance", variance_, V, H) ||
        expect(op, "a", a_, R, H) || expect(op, "v", v_, V, H) || expect(op, "c", c_, V, H) ||
        expect(op, "gradient of mean", g_mean_, R, H) ||
        expect(op, "gradient of variance", g_variance_, V, H) ||
        (cell == SAMPLED && expect(op, "noise", noise_, R, H)))
        return -1;
    const npy_intp S = PyArray_DIM(mean0_, 0);
    if (expect(op, "initial variance", variance0_, passes ? S : -1, H)) return -1;
    const npy_intp S0 = PyArray_DIM(variance0_, 0);
    const npy_intp T = PyArray_DIM(n_rows_, 0), HH = H * H, DH = D * H;
    const npy_int64 *n_rows = (const npy_int64 *)PyArray_DATA(n_rows_);
    const real p_in = scalar<real>(p_in_), p_rec = scalar<real>(p_rec_);
    const real mean_factor = scalar<real>(mean_factor_);
    const real *x = (const real *)PyArray_DATA(x_);
    const real *mean0 = (const real *)PyArray_DATA(mean0_);
    const real *W_in = (const real *)PyArray_DATA(W_in_);
    const real *W_rec = (const real *)PyArray_DATA(W_rec_);
    const real *b = (const real *)PyArray_DATA(b_);
    const real *mean = (const real *)PyArray_DATA(mean_);
    const real *variance = (const real *)PyArray_DATA(variance_);
    const real *a = (const real *)PyArray_DATA(a_), *v = (const real *)PyArray_DATA(v_);
    const real *c = (const real *)PyArray_DATA(c_);
    const real *g_mean = (const real *)PyArray_DATA(g_mean_);
    const real *g_variance = (const real *)PyArray_DATA(g_variance_);
    const real *noise = (const real *)PyArray_DATA(noise_);

    npy_intp widest = S;
    bool constant = true;
    for (npy_intp t = 0; t < T; ++t) {
        if (n_rows[t] > widest) widest = n_rows[t];
        if (n_rows[t] != n_rows[0]) constant = false;
    }
    real *dmean0 = output<real>(dmean0_, type, 2, S, H);
    real *dvariance0 = output<real>(dvariance0_, type, 2, S0, H);
    real *dW_in = output<real>(dW_in_, type, 2, D, H);
    real *dW_rec = output<real>(dW_rec_, type, 2, H, H);
    real *db = output<real>(db_, type, 1, H, 0);
    real *da = output<real>(da_, type, 2, R, H);
    real *dv = output<real>(dv_, type, 2, V, H);
    real *kept = weights.get(3 * HH + DH);
    real *rows = rows_buffer.get(R * D + S * H + (constant ? 0 : 2 * R * H));
    real *step = step_buffer.get(2 * widest * H + 2 * S * H);
    if (!dmean0 || !dvariance0 || !dW_in || !dW_rec || !db || !da || !dv || !kept || !rows ||
        !step)
        return -1;

    /* Transposed once, so that every step's products read their weights in memory order. */
    real *rec_mean = kept, *rec_variance = rec_mean + HH, *scratch = rec_variance + HH;
    real *scratch_in = scratch + HH;
    real *x_squared = rows, *c0 = x_squared + R * D;
    real *successors = c0 + S * H;
    real *future_mean = step, *future_c = future_mean + widest * H,
         *first_mean = future_c + widest * H, *first_variance = first_mean + S * H;
    scaled(HH, W_rec, mean_factor, scratch);
    transposed(H, H, scratch, rec_mean);
    if (stochastic) {
        scaled_square(HH, W_rec, p_rec, scratch);
        transposed(H, H, scratch, rec_variance);
    }
    memset(db, 0, H * sizeof(real));

    npy_intp row = R;
    for (npy_intp t = T - 1; t >= 0; --t) {
        const npy_intp n = n_rows[t], size = n * H;
        row -= n;
        const npy_intp at = row * H;
        if (t < T - 1) {
            /* What the successors of these rows say: gradients of a and v of step t + 1. */
            const real *next_mean = constant ? da + at + size : successors + at;
            product(n, H, H, next_mean, rec_mean, real(0), future_mean);
            if (stochastic) {
                const real *next_variance =
                    constant ? dv + at + size : successors + R * H + at;
                product(n, H, H, next_variance, rec_variance, real(0), future_c);
            }
            transfer_gradient<true>(cell, n, H, s, p_rec, b, a + at, v + at, noise + at,
                                    mean + at, variance + at, g_mean + at, g_variance + at,
                                    future_mean, future_c, da + at, dv + at, db);
        } else {
            transfer_gradient<false, real>(cell, n, H, s, p_rec, b, a + at, v + at, noise + at,
                                           mean + at, variance + at, g_mean + at,
                                           g_variance + at, NULL, NULL, da + at, dv + at, db);
        }
        if (!constant && t > 0) {
            const npy_intp n_before = n_rows[t - 1], before = (row - n_before) * H;
            gather_successors(n_before, n, H, da + at, successors + before);
            if (stochastic)
                gather_successors(n_before, n, H, dv + at, successors + R * H + before);
        }
    }

    /* Initial state: its rows are continued by step 0. */
    gather_successors(S, n_rows[0], H, da, first_mean);
    product(S, H, H, first_mean, rec_mean, real(0), dmean0);
    memset(dvariance0, 0, S0 * H * sizeof(real));
    if (stochastic) {
        gather_successors(S, n_rows[0], H, dv, first_variance);
        product(S, H, H, first_variance, rec_variance, real(0), future_c);
        mean_through_variance(S * H, p_rec, mean0, future_c, dmean0);
        if (passes) {
            memcpy(dvariance0, future_c, S * H * sizeof(real));
            variance_input(S * H, p_rec, mean0, (const real *)PyArray_DATA(variance0_), c0);
        } else {
            dropout_variance_input(S * H, p_rec, mean0, c0);
        }
    }

    /* Weights: one product over all rows that have a successor, plus the initial rows. */
    const npy_intp last = n_rows[T - 1], with_successor = R - last;
    const real *next_mean = constant ? da + last * H : successors;
    product_at(H, H, with_successor, mean, next_mean, real(0), dW_rec);
    product_at(H, H, S, mean0, first_mean, real(1), dW_rec);
    product_at(D, H, R, x, da, real(0), dW_in);
    if (stochastic) {
        const real *next_variance = constant ? dv + last * H : successors + R * H;
        product_at(H, H, with_successor, c, next_variance, real(0), scratch);
        product_at(H, H, S, c0, first_variance, real(1), scratch);
        weight_gradient(HH, mean_factor, p_rec, W_rec, scratch, dW_rec);
        if (p_in < real(1)) {
            scaled_square(R * D, x, real(1), x_squared);
            product_at(D, H, R, x_squared, dv, real(0), scratch_in);
            weight_gradient(DH, p_in, p_in * (real(1) - p_in), W_in, scratch_in, dW_in);
        } else {
            rescale(DH, p_in, dW_in);
        }
    } else {
        rescale(HH, mean_factor, dW_rec);
        rescale(DH, p_in, dW_in);
    }
    return 0;
}
