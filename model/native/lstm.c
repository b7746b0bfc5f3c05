#section support_code
/*
 * Forward pass of the LSTM layer over packed rows (see packing.py and recurrence.c).
 *
 * The four gates stand side by side in a row of 4 H columns: input, forget and output gate, then
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

/* The gates of an ordinary layer, in the place of a. */
template <typename real>
inline void gates_plain(npy_intp n, npy_intp H, const real *__restrict b, real *a_) {
    for (npy_intp i = 0; i < n; ++i) {
        real *__restrict a = a_ + i * 4 * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < 3 * H; ++j) a[j] = sigmoid(a[j] + b[j]);
#pragma GCC ivdep
        for (npy_intp j = 3 * H; j < 4 * H; ++j)
            a[j] = real(2) * sigmoid(real(2) * (a[j] + b[j])) - real(1);
    }
}

/*
 * Cell, its tanh and the hidden state from the gates. Row i's cell before is row
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
            real z = real(2) * sigmoid(real(2) * y) - real(1);
            cell[j] = y;
            squashed[j] = z;
            h[j] = g[2 * H + j] * z;
        }
    }
}

}  // namespace fdrnn

#section support_code_struct
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> inputs;

int APPLY_SPECIFIC(forward)(PyArrayObject *x_, PyArrayObject *n_rows_, PyArrayObject *mean0_,
                            PyArrayObject *variance0_, PyArrayObject *cell_mean0_,
                            PyArrayObject *cell_variance0_, PyArrayObject *W_in_,
                            PyArrayObject *W_rec_, PyArrayObject *b_, PyArrayObject *p_in_,
                            PyArrayObject *p_rec_, PyArrayObject **mean_,
                            PyArrayObject **variance_, PyArrayObject **cell_mean_,
                            PyArrayObject **cell_variance_, PyArrayObject **gate_mean_,
                            PyArrayObject **gate_variance_, PyArrayObject **tanh_mean_,
                            PyArrayObject **tanh_variance_, PyArrayObject **a_,
                            PyArrayObject **v_, PyArrayObject **c_, PARAMS_TYPE *params) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "LstmLayer";
    const bool stochastic = params->stochastic;
    if (expect(op, "x", x_, -1, -1) || expect(op, "W_rec", W_rec_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), D = PyArray_DIM(x_, 1), H = PyArray_DIM(W_rec_, 0);
    const npy_intp G = 4 * H, HG = H * G, DG = D * G;
    if (expect(op, "W_rec", W_rec_, H, G) || expect(op, "W_in", W_in_, D, G) ||
        expect_vector(op, "b", b_, G) || expect_packing(op, n_rows_, R) ||
        expect(op, "initial mean", mean0_, -1, H))
        return -1;
    const npy_intp S = PyArray_DIM(mean0_, 0);
    const npy_intp SV = stochastic ? S : -1; /* an ordinary layer looks at no variance */
    if (expect(op, "initial variance", variance0_, SV, H) ||
        expect(op, "initial cell mean", cell_mean0_, S, H) ||
        expect(op, "initial cell variance", cell_variance0_, SV, H))
        return -1;
    if (S < 1) {
        PyErr_Format(PyExc_ValueError, "%s: the initial state must have at least one row", op);
        return -1;
    }
    const npy_intp T = PyArray_DIM(n_rows_, 0);
    const npy_int64 *n_rows = (const npy_int64 *)PyArray_DATA(n_rows_);
    const real p_in = stochastic ? scalar<real>(p_in_) : real(1);
    const real p_rec = stochastic ? scalar<real>(p_rec_) : real(1);
    const real *x = (const real *)PyArray_DATA(x_), *b = (const real *)PyArray_DATA(b_);

    const npy_intp V = stochastic ? R : 0;
    real *mean = output<real>(mean_, type, 2, R, H);
    real *variance = output<real>(variance_, type, 2, V, H);
    real *cell_mean = output<real>(cell_mean_, type, 2, R, H);
    real *cell_variance = output<real>(cell_variance_, type, 2, V, H);
    real *gate_mean = output<real>(gate_mean_, type, 2, R, G);
    real *gate_variance = output<real>(gate_variance_, type, 2, V, G);
    real *tanh_mean = output<real>(tanh_mean_, type, 2, R, H);
    real *tanh_variance = output<real>(tanh_variance_, type, 2, V, H);
    real *a = output<real>(a_, type, 2, V, G);
    real *v = output<real>(v_, type, 2, V, G);
    real *c = output<real>(c_, type, 2, V, H);
    real *scaled_weights = weights.get(2 * HG + 2 * DG);
    const npy_intp widest = n_rows[0] > S ? n_rows[0] : S;
    real *workspace = inputs.get(R * D + 2 * widest * H);
    if (!mean || !variance || !cell_mean || !cell_variance || !gate_mean || !gate_variance ||
        !tanh_mean || !tanh_variance || !a || !v || !c || !scaled_weights || !workspace)
        return -1;
    if (!stochastic) a = gate_mean; /* nothing but the gates is kept */

    real *rec_mean = scaled_weights, *rec_variance = rec_mean + HG;
    real *in_mean = rec_variance + HG, *in_variance = in_mean + DG;
    real *x_squared = workspace, *mean_before = x_squared + R * D,
         *c_before = mean_before + widest * H;
    const real *W_in = (const real *)PyArray_DATA(W_in_);
    const real *W_rec = (const real *)PyArray_DATA(W_rec_);
    scaled(HG, W_rec, p_rec, rec_mean);
    scaled(DG, W_in, p_in, in_mean);
    const bool noisy_input = stochastic && p_in < real(1);
    if (stochastic) scaled_square(HG, W_rec, p_rec, rec_variance);
    if (noisy_input) {
        scaled_square(DG, W_in, p_in * (real(1) - p_in), in_variance);
        scaled_square(R * D, x, real(1), x_squared);
    }

    /* The rows that step 0 continues: the initial state, its last row repeated. */
    memcpy(mean_before, PyArray_DATA(mean0_), S * H * sizeof(real));
    if (stochastic)
        variance_input(S * H, p_rec, mean_before, (const real *)PyArray_DATA(variance0_),
                       c_before);
    real *before = mean_before, *c_of_before = c_before;
    const real *cell_before = (const real *)PyArray_DATA(cell_mean0_);
    const real *cell_variance_before = (const real *)PyArray_DATA(cell_variance0_);
    const npy_intp block = INPUT_BLOCK / G;
    npy_intp n_before = S, row = 0, projected = 0;
    for (npy_intp t = 0; t < T; ++t) {
        const npy_intp n = n_rows[t], at = row * H, gates = row * G;
        if (projected < row + n) {
            /* The input's part for this step and some to come, never of a part of a step. */
            npy_intp end = row + n;
            for (npy_intp u = t + 1; u < T && end + n_rows[u] <= row + block; ++u)
                end += n_rows[u];
            product(end - row, G, D, x + row * D, in_mean, real(0), a + gates);
            if (noisy_input)
                product(end - row, G, D, x_squared + row * D, in_variance, real(0), v + gates);
            else if (stochastic)
                memset(v + gates, 0, (end - row) * G * sizeof(real));
            projected = end;
        }
        /* Joining rows get copies of the last hidden row, written right behind it: there lies
         * the block of this step, which is free until the products have read it. */
        for (npy_intp i = n_before; i < n; ++i) {
            memcpy(before + i * H, before + (n_before - 1) * H, H * sizeof(real));
            if (stochastic)
                memcpy(c_of_before + i * H, c_of_before + (n_before - 1) * H, H * sizeof(real));
        }
        product(n, G, H, before, rec_mean, real(1), a + gates);
        if (stochastic) {
            product(n, G, H, c_of_before, rec_variance, real(1), v + gates);
            gate_moments(n, H, b, a + gates, v + gates, gate_mean + gates, gate_variance + gates);
            cell_moments(n, n_before, H, p_rec, gate_mean + gates, gate_variance + gates,
                         cell_before, cell_variance_before, cell_mean + at, cell_variance + at,
                         tanh_mean + at, tanh_variance + at, mean + at, variance + at, c + at);
        } else {
            gates_plain(n, H, b, a + gates);
            cell_plain(n, n_before, H, a + gates, cell_before, cell_mean + at, tanh_mean + at,
                       mean + at);
        }
        before = mean + at;
        c_of_before = c + at;
        cell_before = cell_mean + at;
        cell_variance_before = cell_variance + at;
        n_before = n;
        row += n;
    }
    return 0;
}
