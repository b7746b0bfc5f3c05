#section support_code
/*
 * Gradient of the LSTM layer, backwards over the packed rows of lstm.c; it
 * needs no exp, like transfer_grad.c.
 */
namespace fdrnn {

/*
 * Through h = output * tanh(cell) and cell = forget * before + input * candidate, row by row.
 * Into `d_gate_*` (n, 4 H) go the gradients of the gates' moments, into `d_before_*` (n, H) those
 * of each row's previous cell. `future_*` (n, H) is the gradient of the hidden state from the next
 * step, which the last step ignores, `d_cell_*` (n, H) that of the cell.
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

/* (da, dv), which replace the gradients of the gates' moments; `bias` sums the rows of da. */
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

/* An ordinary layer's da (n, 4 H) and the gradient of the previous cells. */
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
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const npy_intp G = 4 * H;
    const Packing rows = {T, S, R, n_rows};
    const real p_in = stochastic ? p_keep_input : real(1);
    const real p_rec = stochastic ? p_keep_hidden : real(1);
    const RecurrentGradient<real> of_mean(rows, H, G, da, workspace);
    const RecurrentGradient<real> of_variance(rows, H, G, dv, workspace);
    const npy_intp size = rows.widest() * H;
    real *scratch = workspace.get(H * G), *c0 = workspace.get(S * H);
    real *cell_future = workspace.get(size), *cell_future_v = workspace.get(size);
    real *d_before = workspace.get(size), *d_before_v = workspace.get(size);
    if (workspace.failed) return -1;
    of_mean.W_transposed.fill_transposed(W_rec, scaled_by(p_rec));
    if (stochastic) of_variance.W_transposed.fill_transposed(W_rec, square_scaled_by(p_rec));
    memset(d_b, 0, G * sizeof(real));
    memset(cell_future, 0, size * sizeof(real));
    memset(cell_future_v, 0, size * sizeof(real));
    const RecurrentGradient<real> *spread = stochastic ? &of_variance : NULL;
    backward_pass(rows, of_mean, spread, [&](npy_intp n, npy_intp n_before, npy_intp row,
                                             bool has_future) {
        const npy_intp at = row * H, gates = row * G, earlier = (row - n_before) * H;
        const real *before = row ? cell_mean + earlier : cell_mean0;
        if (stochastic) {
            const real *before_v = row ? cell_variance + earlier : cell_variance0;
            (has_future ? cell_gradient<true, real> : cell_gradient<false, real>)(
                n, n_before, H, p_rec, gate_mean + gates, gate_variance + gates, cell_mean + at,
                cell_variance + at, tanh_mean + at, tanh_variance + at, before, before_v,
                mean + at, g_mean + at, g_variance + at, of_mean.future, of_variance.future,
                cell_future, cell_future_v, da + gates, dv + gates, d_before, d_before_v);
            gate_gradient(n, H, b, a + gates, v + gates, gate_mean + gates,
                          gate_variance + gates, da + gates, dv + gates, d_b);
            gather_successors(n_before, n, H, d_before_v, row ? cell_future_v : d_cell_variance0);
        } else {
            (has_future ? lstm_plain_gradient<true, real> : lstm_plain_gradient<false, real>)(
                n, n_before, H, gate_mean + gates, tanh_mean + at, before, g_mean + at,
                of_mean.future, cell_future, da + gates, d_before, d_b);
        }
        gather_successors(n_before, n, H, d_before, row ? cell_future : d_cell_mean0);
    });

    of_mean.initial_state(rows, d_mean0);
    if (stochastic) {
        of_variance.initial_state(rows, d_variance0);
        mean_through_variance(S * H, p_rec, mean0, d_variance0, d_mean0);
        variance_input(S * H, p_rec, mean0, variance0, c0);
    } else {
        memset(d_variance0, 0, S0 * H * sizeof(real));
        memset(d_cell_variance0, 0, S1 * H * sizeof(real));
    }
    recurrent_weight_gradient(rows, H, G, p_rec, p_rec, W_rec, of_mean, spread, mean, mean0, c, c0,
                              scratch, workspace, d_W_rec);
    return input_weight_gradient(R, D, G, p_in, x, W_in, da, stochastic ? dv : NULL, workspace,
                                 d_W_in)
               ? 0
               : -1;
}
