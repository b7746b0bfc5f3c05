#section support_code
/*
 * Gradient of the LSTM layer, backwards over the packed rows of lstm.c; like recurrence_grad.c
 * it needs no exp, and `successors` makes the recurrent weight gradient one product.
 */
namespace fdrnn {

/*
 * Through h = output * tanh(cell) and cell = forget * before + input * candidate, row by row.
 * Into `d_gate_*` (n, 4 H) go the gradients of the gates' moments, into `d_before_*` (n, H) those
 * of each row's cell before. `future_*` (n, H) is what the next step says of the hidden state
 * (NULL at the last step), `d_cell_*` (n, H) what it says of the cell.
 */
template <bool has_future, typename real>
inline void cell_gradient(npy_intp n, npy_intp n_before, npy_intp H, real p_keep,
                          const real *gate_mean, const real *gate_variance,
                          const real *cell_mean, const real *cell_variance,
                          const real *tanh_mean, const real *tanh_variance,
                          const real *before_mean, const real *before_variance,
                          const real *mean_, const real *g_mean_, const real *g_variance_,
                          const real *future_mean_, const real *future_c_,
                          const real *d_cell_mean, const real *d_cell_variance,
                          real *d_gate_mean, real *d_gate_variance, real *d_before_mean,
                          real *d_before_variance) {
    const real q2 = real(2) * (real(1) - p_keep);
    for (npy_intp i = 0; i < n; ++i) {
        const npy_intp parent = i < n_before ? i : n_before - 1;
        const real *__restrict gm = gate_mean + i * 4 * H, *__restrict gv = gate_variance + i * 4 * H;
        const real *__restrict cm = cell_mean + i * H, *__restrict cv = cell_variance + i * H;
        const real *__restrict tm = tanh_mean + i * H, *__restrict tv = tanh_variance + i * H;
        const real *__restrict bm = before_mean + parent * H;
        const real *__restrict bv = before_variance + parent * H;
        const real *__restrict mean = mean_ + i * H, *__restrict g_mean = g_mean_ + i * H;
        const real *__restrict g_variance = g_variance_ + i * H;
        const real *__restrict future_mean = future_mean_ + (has_future ? i * H : 0);
        const real *__restrict future_c = future_c_ + (has_future ? i * H : 0);
        const real *__restrict dcm = d_cell_mean + i * H, *__restrict dcv = d_cell_variance + i * H;
        real *__restrict dgm = d_gate_mean + i * 4 * H, *__restrict dgv = d_gate_variance + i * 4 * H;
        real *__restrict dbm = d_before_mean + i * H, *__restrict dbv = d_before_variance + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            Moments<real> in = {gm[j], gv[j]}, forget = {gm[H + j], gv[H + j]};
            Moments<real> out = {gm[2 * H + j], gv[2 * H + j]};
            Moments<real> candidate = {gm[3 * H + j], gv[3 * H + j]}, before = {bm[j], bv[j]};
            Moments<real> squashed = {tm[j], tv[j]};
            Moments<real> dh = {g_mean[j], g_variance[j]};
            if (has_future) {
                dh.mean += future_mean[j] + q2 * mean[j] * future_c[j];
                dh.variance += future_c[j];
            }
            Moments<real> d_out = times_gradient(out, squashed, dh);
            Moments<real> d_cell = gradient_of_tanh(cm[j], cv[j], squashed,
                                                    times_gradient(squashed, out, dh));
            d_cell.mean += dcm[j];
            d_cell.variance += dcv[j];
            Moments<real> d_in = times_gradient(in, candidate, d_cell);
            Moments<real> d_candidate = times_gradient(candidate, in, d_cell);
            Moments<real> d_forget = times_gradient(forget, before, d_cell);
            Moments<real> d_before = times_gradient(before, forget, d_cell);
            dgm[j] = d_in.mean;
            dgv[j] = d_in.variance;
            dgm[H + j] = d_forget.mean;
            dgv[H + j] = d_forget.variance;
            dgm[2 * H + j] = d_out.mean;
            dgv[2 * H + j] = d_out.variance;
            dgm[3 * H + j] = d_candidate.mean;
            dgv[3 * H + j] = d_candidate.variance;
            dbm[j] = d_before.mean;
            dbv[j] = d_before.variance;
        }
    }
}

/* (da, dv) in the place of the gradients of the gates' moments; `bias` sums the rows of da. */
template <typename real>
inline void gate_gradient(npy_intp n, npy_intp H, const real *__restrict b, const real *a_,
                          const real *v_, const real *mean_, const real *variance_, real *da_,
                          real *dv_, real *__restrict bias) {
    const npy_intp G = 4 * H;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * G, *__restrict v = v_ + i * G;
        const real *__restrict mean = mean_ + i * G, *__restrict variance = variance_ + i * G;
        real *__restrict da = da_ + i * G, *__restrict dv = dv_ + i * G;
#pragma GCC ivdep
        for (npy_intp j = 0; j < 3 * H; ++j) {
            Moments<real> y = {mean[j], variance[j]}, dy = {da[j], dv[j]};
            Moments<real> d = gradient_of_sigmoid(a[j] + b[j], v[j], y, dy);
            da[j] = d.mean;
            dv[j] = d.variance;
            bias[j] += d.mean;
        }
#pragma GCC ivdep
        for (npy_intp j = 3 * H; j < G; ++j) {
            Moments<real> y = {mean[j], variance[j]}, dy = {da[j], dv[j]};
            Moments<real> d = gradient_of_tanh(a[j] + b[j], v[j], y, dy);
            da[j] = d.mean;
            dv[j] = d.variance;
            bias[j] += d.mean;
        }
    }
}

/* All of the above for an ordinary layer: da (n, 4 H) and the gradient of the cells before. */
template <bool has_future, typename real>
inline void lstm_plain_gradient(npy_intp n, npy_intp n_before, npy_intp H, const real *gates,
                                const real *tanh_, const real *before_, const real *g_,
                                const real *future_, const real *d_cell_, real *da_,
                                real *d_before_, real *__restrict bias) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict gate = gates + i * 4 * H, *__restrict squashed = tanh_ + i * H;
        const real *__restrict before = before_ + (i < n_before ? i : n_before - 1) * H;
        const real *__restrict g = g_ + i * H, *__restrict d_cell = d_cell_ + i * H;
        const real *__restrict future = future_ + (has_future ? i * H : 0);
        real *__restrict da = da_ + i * 4 * H, *__restrict d_before = d_before_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real in = gate[j], forget = gate[H + j], out = gate[2 * H + j];
            real candidate = gate[3 * H + j], z = squashed[j];
            real dh = has_future ? g[j] + future[j] : g[j];
            real dc = d_cell[j] + dh * out * (real(1) - z * z);
            real d_in = dc * candidate * in * (real(1) - in);
            real d_forget = dc * before[j] * forget * (real(1) - forget);
            real d_out = dh * z * out * (real(1) - out);
            real d_candidate = dc * in * (real(1) - candidate * candidate);
            d_before[j] = dc * forget;
            da[j] = d_in;
            da[H + j] = d_forget;
            da[2 * H + j] = d_out;
            da[3 * H + j] = d_candidate;
            bias[j] += d_in;
            bias[H + j] += d_forget;
            bias[2 * H + j] += d_out;
            bias[3 * H + j] += d_candidate;
        }
    }
}

}  // namespace fdrnn

#section support_code_struct
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> rows_buffer;
fdrnn::Buffer<DTYPE_INPUT_0> step_buffer;

int APPLY_SPECIFIC(backward)(PyArrayObject *x_, PyArrayObject *n_rows_, PyArrayObject *mean0_,
                             PyArrayObject *variance0_, PyArrayObject *cell_mean0_,
                             PyArrayObject *cell_variance0_, PyArrayObject *W_in_,
                             PyArrayObject *W_rec_, PyArrayObject *b_, PyArrayObject *p_in_,
                             PyArrayObject *p_rec_, PyArrayObject *mean_,
                             PyArrayObject *variance_, PyArrayObject *cell_mean_,
                             PyArrayObject *cell_variance_, PyArrayObject *gate_mean_,
                             PyArrayObject *gate_variance_, PyArrayObject *tanh_mean_,
                             PyArrayObject *tanh_variance_, PyArrayObject *a_, PyArrayObject *v_,
                             PyArrayObject *c_, PyArrayObject *g_mean_,
                             PyArrayObject *g_variance_, PyArrayObject **dmean0_,
                             PyArrayObject **dvariance0_, PyArrayObject **dcell_mean0_,
                             PyArrayObject **dcell_variance0_, PyArrayObject **dW_in_,
                             PyArrayObject **dW_rec_, PyArrayObject **db_, PyArrayObject **da_,
                             PyArrayObject **dv_, PARAMS_TYPE *params) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "LstmLayerGradient";
    const bool stochastic = params->stochastic;
    if (expect(op, "x", x_, -1, -1) || expect(op, "W_rec", W_rec_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), D = PyArray_DIM(x_, 1), H = PyArray_DIM(W_rec_, 0);
    const npy_intp V = stochastic ? R : 0, G = 4 * H, HG = H * G, DG = D * G;
    if (expect(op, "W_rec", W_rec_, H, G) || expect(op, "W_in", W_in_, D, G) ||
        expect_vector(op, "b", b_, G) || expect_packing(op, n_rows_, R) ||
        expect(op, "initial mean", mean0_, -1, H) || expect(op, "mean", mean_, R, H) ||
        expect(op, "cell mean", cell_mean_, R, H) ||
        expect(op, "cell variance", cell_variance_, V, H) ||
        expect(op, "gate mean", gate_mean_, R, G) ||
        expect(op, "gate variance", gate_variance_, V, G) ||
        expect(op, "tanh mean", tanh_mean_, R, H) ||
        expect(op, "tanh variance", tanh_variance_, V, H) || expect(op, "a", a_, V, G) ||
        expect(op, "v", v_, V, G) || expect(op, "c", c_, V, H) ||
        expect(op, "gradient of mean", g_mean_, R, H) ||
        expect(op, "gradient of variance", g_variance_, V, H))
        return -1;
    const npy_intp S = PyArray_DIM(mean0_, 0);
    const npy_intp SV = stochastic ? S : -1; /* an ordinary layer looks at no variance */
    if (expect(op, "initial variance", variance0_, SV, H) ||
        expect(op, "initial cell mean", cell_mean0_, S, H) ||
        expect(op, "initial cell variance", cell_variance0_, SV, H))
        return -1;
    const npy_intp S0 = PyArray_DIM(variance0_, 0), S1 = PyArray_DIM(cell_variance0_, 0);
    const npy_intp T = PyArray_DIM(n_rows_, 0);
    const npy_int64 *n_rows = (const npy_int64 *)PyArray_DATA(n_rows_);
    const real p_in = stochastic ? scalar<real>(p_in_) : real(1);
    const real p_rec = stochastic ? scalar<real>(p_rec_) : real(1);
    const real *x = (const real *)PyArray_DATA(x_), *mean0 = (const real *)PyArray_DATA(mean0_);
    const real *cell_mean0 = (const real *)PyArray_DATA(cell_mean0_);
    const real *cell_variance0 = (const real *)PyArray_DATA(cell_variance0_);
    const real *W_in = (const real *)PyArray_DATA(W_in_);
    const real *W_rec = (const real *)PyArray_DATA(W_rec_), *b = (const real *)PyArray_DATA(b_);
    const real *mean = (const real *)PyArray_DATA(mean_);
    const real *cell_mean = (const real *)PyArray_DATA(cell_mean_);
    const real *cell_variance = (const real *)PyArray_DATA(cell_variance_);
    const real *gate_mean = (const real *)PyArray_DATA(gate_mean_);
    const real *gate_variance = (const real *)PyArray_DATA(gate_variance_);
    const real *tanh_mean = (const real *)PyArray_DATA(tanh_mean_);
    const real *tanh_variance = (const real *)PyArray_DATA(tanh_variance_);
    const real *a = (const real *)PyArray_DATA(a_), *v = (const real *)PyArray_DATA(v_);
    const real *c = (const real *)PyArray_DATA(c_);
    const real *g_mean = (const real *)PyArray_DATA(g_mean_);
    const real *g_variance = (const real *)PyArray_DATA(g_variance_);

    npy_intp widest = S;
    bool constant = true;
    for (npy_intp t = 0; t < T; ++t) {
        if (n_rows[t] > widest) widest = n_rows[t];
        if (n_rows[t] != n_rows[0]) constant = false;
    }
    real *dmean0 = output<real>(dmean0_, type, 2, S, H);
    real *dvariance0 = output<real>(dvariance0_, type, 2, S0, H);
    real *dcell_mean0 = output<real>(dcell_mean0_, type, 2, S, H);
    real *dcell_variance0 = output<real>(dcell_variance0_, type, 2, S1, H);
    real *dW_in = output<real>(dW_in_, type, 2, D, G);
    real *dW_rec = output<real>(dW_rec_, type, 2, H, G);
    real *db = output<real>(db_, type, 1, G, 0);
    real *da = output<real>(da_, type, 2, R, G);
    real *dv = output<real>(dv_, type, 2, V, G);
    real *kept = weights.get(3 * HG + DG);
    real *rows = rows_buffer.get(R * D + S * H + (constant ? 0 : 2 * R * G));
    real *step = step_buffer.get(6 * widest * H + 2 * S * G);
    if (!dmean0 || !dvariance0 || !dcell_mean0 || !dcell_variance0 || !dW_in || !dW_rec || !db ||
        !da || !dv || !kept || !rows || !step)
        return -1;

    /* Transposed once, so that every step's products read their weights in memory order. */
    real *rec_mean = kept, *rec_variance = rec_mean + HG, *scratch = rec_variance + HG;
    real *scratch_in = scratch + HG;
    real *x_squared = rows, *c0 = x_squared + R * D, *successors = c0 + S * H;
    real *successors_v = successors + R * G;
    const npy_intp WH = widest * H;
    real *future_mean = step, *future_c = future_mean + WH;
    real *cell_future = future_c + WH, *cell_future_v = cell_future + WH;
    real *d_before = cell_future_v + WH, *d_before_v = d_before + WH;
    real *first_mean = d_before_v + WH, *first_variance = first_mean + S * G;
    scaled(HG, W_rec, p_rec, scratch);
    transposed(H, G, scratch, rec_mean);
    if (stochastic) {
        scaled_square(HG, W_rec, p_rec, scratch);
        transposed(H, G, scratch, rec_variance);
    }
    memset(db, 0, G * sizeof(real));
    memset(cell_future, 0, 2 * WH * sizeof(real));

    npy_intp row = R;
    for (npy_intp t = T - 1; t >= 0; --t) {
        const npy_intp n = n_rows[t], n_before = t > 0 ? n_rows[t - 1] : S;
        row -= n;
        const npy_intp at = row * H, gates = row * G;
        const real *before = t > 0 ? cell_mean + at - n_before * H : cell_mean0;
        const real *before_v = t > 0 ? cell_variance + at - n_before * H : cell_variance0;
        const bool has_future = t < T - 1;
        if (has_future) {
            /* What the successors of these rows say: gradients of a and v of step t + 1. */
            const real *next = constant ? da + gates + n * G : successors + gates;
            product(n, H, G, next, rec_mean, real(0), future_mean);
            if (stochastic) {
                const real *next_v = constant ? dv + gates + n * G : successors_v + gates;
                product(n, H, G, next_v, rec_variance, real(0), future_c);
            }
        }
        if (stochastic) {
            (has_future ? cell_gradient<true, real> : cell_gradient<false, real>)(
                n, n_before, H, p_rec, gate_mean + gates, gate_variance + gates, cell_mean + at,
                cell_variance + at, tanh_mean + at, tanh_variance + at, before, before_v,
                mean + at, g_mean + at, g_variance + at, future_mean, future_c, cell_future,
                cell_future_v, da + gates, dv + gates, d_before, d_before_v);
            gate_gradient(n, H, b, a + gates, v + gates, gate_mean + gates,
                          gate_variance + gates, da + gates, dv + gates, db);
        } else {
            (has_future ? lstm_plain_gradient<true, real> : lstm_plain_gradient<false, real>)(
                n, n_before, H, gate_mean + gates, tanh_mean + at, before, g_mean + at,
                future_mean, cell_future, da + gates, d_before, db);
        }
        gather_successors(n_before, n, H, d_before, t > 0 ? cell_future : dcell_mean0);
        if (stochastic)
            gather_successors(n_before, n, H, d_before_v, t > 0 ? cell_future_v : dcell_variance0);
        if (!constant && t > 0) {
            const npy_intp earlier = (row - n_before) * G;
            gather_successors(n_before, n, G, da + gates, successors + earlier);
            if (stochastic)
                gather_successors(n_before, n, G, dv + gates, successors_v + earlier);
        }
    }

    /* Initial state: its rows are continued by step 0. */
    gather_successors(S, n_rows[0], G, da, first_mean);
    product(S, H, G, first_mean, rec_mean, real(0), dmean0);
    if (stochastic) {
        gather_successors(S, n_rows[0], G, dv, first_variance);
        product(S, H, G, first_variance, rec_variance, real(0), dvariance0);
        mean_through_variance(S * H, p_rec, mean0, dvariance0, dmean0);
        variance_input(S * H, p_rec, mean0, (const real *)PyArray_DATA(variance0_), c0);
    } else {
        memset(dvariance0, 0, S0 * H * sizeof(real));
        memset(dcell_variance0, 0, S1 * H * sizeof(real));
    }

    /* Weights: one product over all rows that have a successor, plus the initial rows. */
    const npy_intp last = n_rows[T - 1], with_successor = R - last;
    product_at(H, G, with_successor, mean, constant ? da + last * G : successors, real(0),
               dW_rec);
    product_at(H, G, S, mean0, first_mean, real(1), dW_rec);
    product_at(D, G, R, x, da, real(0), dW_in);
    if (stochastic) {
        product_at(H, G, with_successor, c, constant ? dv + last * G : successors_v, real(0),
                   scratch);
        product_at(H, G, S, c0, first_variance, real(1), scratch);
        weight_gradient(HG, p_rec, p_rec, W_rec, scratch, dW_rec);
        if (p_in < real(1)) {
            scaled_square(R * D, x, real(1), x_squared);
            product_at(D, G, R, x_squared, dv, real(0), scratch_in);
            weight_gradient(DG, p_in, p_in * (real(1) - p_in), W_in, scratch_in, dW_in);
        } else {
            rescale(DG, p_in, dW_in);
        }
    }
    return 0;
}
