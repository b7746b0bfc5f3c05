#section support_code
/*
 * Gradient of the recurrent layer, backwards over the packed rows of recurrence.c.
 *
 * It needs no exp: the derivatives are written in the post-synaptic moments that the forward
 * pass kept. `successor` holds for each row the sum of the pre-synaptic gradients of the rows
 * that continue it, so that the recurrent weight gradient is one product over all rows.
 */
namespace fdrnn {

/*
 * (da, dv) from (dmean, dvariance), through mean = 2 e1 - 1, variance = 4 max(e2 - e1^2, 0).
 * What the next step says comes as `future_mean`, and as `future_c` through
 * c = (1 - p) mean^2 + variance; both NULL at the last step. All are (n, H); `bias` (H,)
 * accumulates the column sums of da.
 */
template <bool has_future, typename real>
inline void tanh_moments_gradient(npy_intp n, npy_intp H, real s, real p_keep,
                                  const real *__restrict b, const real *a_, const real *v_,
                                  const real *mean_, const real *variance_, const real *g_mean_,
                                  const real *g_variance_, const real *future_mean_,
                                  const real *future_c_, real *da_, real *dv_,
                                  real *__restrict bias) {
    typedef SigmoidMoments<real> K;
    const real q2 = real(2) * (real(1) - p_keep);
    const real c1 = K::c * s * s, c2 = K::c * K::alpha * K::alpha * s * s;
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        const real *__restrict mean = mean_ + i * H, *__restrict variance = variance_ + i * H;
        const real *__restrict g_mean = g_mean_ + i * H;
        const real *__restrict g_variance = g_variance_ + i * H;
        const real *__restrict future_mean = future_mean_ + (has_future ? i * H : 0);
        const real *__restrict future_c = future_c_ + (has_future ? i * H : 0);
        real *__restrict da = da_ + i * H, *__restrict dv = dv_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real dmean = g_mean[j], dvariance = g_variance[j];
            if (has_future) {
                dmean += future_mean[j] + q2 * mean[j] * future_c[j];
                dvariance += future_c[j];
            }
            real m = s * (a[j] + b[j]);
            real k1 = real(1) / std::sqrt(real(1) + c1 * v[j]);
            real k2 = real(1) / std::sqrt(real(1) + c2 * v[j]);
            real e1 = real(0.5) * mean[j] + real(0.5);
            real e2 = real(0.25) * variance[j] + e1 * e1;
            /* Where the variance was floored at 0 its gradient is 0. */
            real dz = variance[j] > real(0) ? real(4) * dvariance : real(0);
            real g1 = (real(2) * dmean - real(2) * e1 * dz) * e1 * (real(1) - e1) * k1;
            real u = K::alpha * (m - K::beta);
            real g2 = dz * e2 * (real(1) - e2) * k2;
            real d = s * (g1 + K::alpha * g2);
            da[j] = d;
            dv[j] = real(-0.5) * (g1 * m * c1 * k1 * k1 + g2 * u * c2 * k2 * k2);
            bias[j] += d;
        }
    }
}

template <bool has_future, typename real>
inline void tanh_plain_gradient(npy_intp n, npy_intp H, real s, const real *mean_,
                                const real *g_mean_, const real *future_mean_, real *da_,
                                real *__restrict bias) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict mean = mean_ + i * H, *__restrict g_mean = g_mean_ + i * H;
        const real *__restrict future_mean = future_mean_ + (has_future ? i * H : 0);
        real *__restrict da = da_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            real dmean = has_future ? g_mean[j] + future_mean[j] : g_mean[j];
            real d = real(0.5) * s * (real(1) - mean[j] * mean[j]) * dmean;
            da[j] = d;
            bias[j] += d;
        }
    }
}

/* Through c = (1 - p) mean^2 + variance: dmean += 2 (1 - p) mean dc; dvariance = dc. */
template <typename real>
inline void variance_input_gradient(npy_intp size, real p_keep, const real *__restrict mean,
                                    const real *__restrict dc, real *__restrict dmean,
                                    real *__restrict dvariance) {
    const real q2 = real(2) * (real(1) - p_keep);
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i) {
        dmean[i] += q2 * mean[i] * dc[i];
        dvariance[i] = dc[i];
    }
}

/* successor (n_before, H): row j = sum of the rows of d (n, H) that continue row j. */
template <typename real>
inline void gather_successors(npy_intp n_before, npy_intp n, npy_intp H, const real *d,
                              real *successor) {
    const npy_intp direct = n < n_before ? n : n_before;
    memcpy(successor, d, direct * H * sizeof(real));
    if (direct < n_before)
        memset(successor + direct * H, 0, (n_before - direct) * H * sizeof(real));
    real *__restrict last = successor + (n_before - 1) * H;
    for (npy_intp i = n_before; i < n; ++i) {
        const real *__restrict joined = d + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) last[j] += joined[j];
    }
}

}  // namespace fdrnn

#section support_code_struct
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> rows_buffer;
fdrnn::Buffer<DTYPE_INPUT_0> step_buffer;

int APPLY_SPECIFIC(backward)(PyArrayObject *x_, PyArrayObject *n_rows_, PyArrayObject *mean0_,
                             PyArrayObject *variance0_, PyArrayObject *W_in_,
                             PyArrayObject *W_rec_, PyArrayObject *b_, PyArrayObject *p_in_,
                             PyArrayObject *p_rec_, PyArrayObject *mean_factor_,
                             PyArrayObject *mean_,
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
    const bool stochastic = params->stochastic;
    const real s = (real)params->input_scale;
    if (expect(op, "x", x_, -1, -1) || expect(op, "W_rec", W_rec_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), D = PyArray_DIM(x_, 1), H = PyArray_DIM(W_rec_, 1);
    const npy_intp V = stochastic ? R : 0;
    if (expect(op, "W_rec", W_rec_, H, H) || expect(op, "W_in", W_in_, D, H) ||
        expect_vector(op, "b", b_, H) || expect_packing(op, n_rows_, R) || expect(op, "initial mean", mean0_, -1, H) ||
        expect(op, "mean", mean_, R, H) || expect(op, "variance", variance_, V, H) ||
        expect(op, "a", a_, R, H) || expect(op, "v", v_, V, H) || expect(op, "c", c_, V, H) ||
        expect(op, "gradient of mean", g_mean_, R, H) ||
        expect(op, "gradient of variance", g_variance_, V, H))
        return -1;
    const npy_intp S = PyArray_DIM(mean0_, 0);
    if (expect(op, "initial variance", variance0_, stochastic ? S : -1, H)) return -1;
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
                tanh_moments_gradient<true>(n, H, s, p_rec, b, a + at, v + at, mean + at,
                                            variance + at, g_mean + at, g_variance + at,
                                            future_mean, future_c, da + at, dv + at, db);
            } else {
                tanh_plain_gradient<true>(n, H, s, mean + at, g_mean + at, future_mean, da + at,
                                          db);
            }
        } else if (stochastic) {
            tanh_moments_gradient<false, real>(n, H, s, p_rec, b, a + at, v + at, mean + at,
                                               variance + at, g_mean + at, g_variance + at, NULL,
                                               NULL, da + at, dv + at, db);
        } else {
            tanh_plain_gradient<false, real>(n, H, s, mean + at, g_mean + at, NULL, da + at, db);
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
    if (!stochastic) memset(dvariance0, 0, S0 * H * sizeof(real));
    if (stochastic) {
        gather_successors(S, n_rows[0], H, dv, first_variance);
        product(S, H, H, first_variance, rec_variance, real(0), future_c);
        variance_input_gradient(S * H, p_rec, mean0, future_c, dmean0, dvariance0);
        variance_input(S * H, p_rec, mean0, (const real *)PyArray_DATA(variance0_), c0);
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
