#section support_code
/*
 * Forward pass of the LSTM layer over packed rows (see passes.c).
 *
 * The four gates are side by side in a row of 4 H columns: input, forget and output gate, then
 * the candidate. So one product serves all four, and the three sigmoids are one loop.
 */
namespace fdrnn {

/* Moments of the gates at pre-synaptic (a + b, v), all rows (n, 4 H). */
template <typename real>
inline void gate_moments(npy_intp n, npy_intp H, const real *__restrict b, const real *a_,
                         const real *v_, real *mean_, real *variance_) {
    const npy_intp G = 4 * H;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * G, *__restrict v = v_ + i * G;
        real *__restrict mean = mean_ + i * G, *__restrict variance = variance_ + i * G;
#pragma GCC ivdep
        for (npy_intp j = 0; j < 3 * H; ++j) {
            Moments<real> y = moments_of_sigmoid(a[j] + b[j], v[j]);
            mean[j] = y.mean;
            variance[j] = y.variance;
        }
#pragma GCC ivdep
        for (npy_intp j = 3 * H; j < G; ++j) {
            Moments<real> y = moments_of_tanh(a[j] + b[j], v[j]);
            mean[j] = y.mean;
            variance[j] = y.variance;
        }
    }
}

/* The gates of an ordinary layer, which replace a. */
template <typename real>
inline void gates_plain(npy_intp n, npy_intp H, const real *__restrict b, real *a_) {
    for (npy_intp i = 0; i < n; ++i) {
        real *__restrict a = a_ + i * 4 * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < 3 * H; ++j) a[j] = sigmoid(a[j] + b[j]);
#pragma GCC ivdep
        for (npy_intp j = 3 * H; j < 4 * H; ++j)
            a[j] = hyperbolic_tangent(a[j] + b[j]);
    }
}

/*
 * Cell, its tanh and the hidden state from the gates. Row i's previous cell is row
 * min(i, n_before - 1); c = (1 - p) mean^2 + variance is the variance input of the next step.
 */
template <typename real>
inline void cell_moments(npy_intp n, npy_intp n_before, npy_intp H, real p_keep,
                         const real *gate_mean, const real *gate_variance,
                         const real *before_mean, const real *before_variance, real *cell_mean_,
                         real *cell_variance_, real *tanh_mean_, real *tanh_variance_,
                         real *mean_, real *variance_, real *c_) {
    const real q = real(1) - p_keep;
    for (npy_intp i = 0; i < n; ++i) {
        const npy_intp parent = i < n_before ? i : n_before - 1;
        const real *__restrict gm = gate_mean + i * 4 * H, *__restrict gv = gate_variance + i * 4 * H;
        const real *__restrict bm = before_mean + parent * H;
        const real *__restrict bv = before_variance + parent * H;
        real *__restrict cm = cell_mean_ + i * H, *__restrict cv = cell_variance_ + i * H;
        real *__restrict tm = tanh_mean_ + i * H, *__restrict tv = tanh_variance_ + i * H;
        real *__restrict mean = mean_ + i * H, *__restrict variance = variance_ + i * H;
        real *__restrict c = c_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            Moments<real> in = {gm[j], gv[j]}, forget = {gm[H + j], gv[H + j]};
            Moments<real> out = {gm[2 * H + j], gv[2 * H + j]};
            Moments<real> candidate = {gm[3 * H + j], gv[3 * H + j]}, before = {bm[j], bv[j]};
            Moments<real> kept = times(forget, before), fresh = times(in, candidate);
            Moments<real> cell = {kept.mean + fresh.mean, kept.variance + fresh.variance};
            Moments<real> squashed = moments_of_tanh(cell.mean, cell.variance);
            Moments<real> h = times(out, squashed);
            cm[j] = cell.mean;
            cv[j] = cell.variance;
            tm[j] = squashed.mean;
            tv[j] = squashed.variance;
            mean[j] = h.mean;
            variance[j] = h.variance;
            c[j] = q * h.mean * h.mean + h.variance;
        }
    }
}

template <typename real>
inline void cell_plain(npy_intp n, npy_intp n_before, npy_intp H, const real *gates,
                       const real *before_, real *cell_, real *tanh_, real *h_) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict g = gates + i * 4 * H;
        const real *__restrict before = before_ + (i < n_before ? i : n_before - 1) * H;
        real *__restrict cell = cell_ + i * H, *__restrict squashed = tanh_ + i * H;
        real *__restrict h = h_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real y = g[H + j] * before[j] + g[j] * g[3 * H + j];
            real z = hyperbolic_tangent(y);
            cell[j] = y;
            squashed[j] = z;
            h[j] = g[2 * H + j] * z;
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
    ForwardMatrices<real> matrices;
    const npy_intp begin = n_rows[0] > S ? n_rows[0] : S;
    real *mean_before = workspace.get(begin * H);
    real *c_before = workspace.get(begin * H);
    if (!scale_matrices(R, D, H, G, stochastic, p_rec, p_rec, p_in, x, W_in, W_rec, workspace,
                        matrices))
        return -1;
    memcpy(mean_before, mean0, S * H * sizeof(real));
    if (stochastic) variance_input(S * H, p_rec, mean0, variance0, c_before);
    real *activations = stochastic ? a : gate_mean; /* without variances the gates replace a */
    forward_pass(
        rows, D, H, H, G, x, matrices, mean_before, c_before, activations, v, mean, c,
        [&](npy_intp n, npy_intp n_before, npy_intp row) {
            const npy_intp at = row * H, gates = row * G, earlier = (row - n_before) * H;
            const real *cell_before = row ? cell_mean + earlier : cell_mean0;
            if (!stochastic) {
                gates_plain(n, H, b, gate_mean + gates);
                cell_plain(n, n_before, H, gate_mean + gates, cell_before, cell_mean + at,
                           tanh_mean + at, mean + at);
                return;
            }
            gate_moments(n, H, b, a + gates, v + gates, gate_mean + gates, gate_variance + gates);
            cell_moments(n, n_before, H, p_rec, gate_mean + gates, gate_variance + gates,
                         cell_before, row ? cell_variance + earlier : cell_variance0,
                         cell_mean + at, cell_variance + at, tanh_mean + at, tanh_variance + at,
                         mean + at, variance + at, c + at);
        });
    return 0;
}
