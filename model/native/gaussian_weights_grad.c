#section support_code
/* Gradient of the recurrent layer with Gaussian weights, backwards over the rows of
 * gaussian_weights.c; see recurrence_grad.c for the order of work. */
namespace fdrnn {

/*
 * (da, dv) from the gradients of mean and variance (n, H) and from what the next step says, as
 * `future_mean` (n, H) and through u = (variance, mean^2) as `future_u` (n, 2 H); both NULL at
 * the last step. `bias` (H,) accumulates the column sums of da.
 */
template <bool has_future, typename real>
inline void tanh_and_square_gradient(npy_intp n, npy_intp H, const real *__restrict b,
                                     const real *a_, const real *v_, const real *mean_,
                                     const real *variance_, const real *g_mean_,
                                     const real *g_variance_, const real *future_mean_,
                                     const real *future_u_, real *da_, real *dv_,
                                     real *__restrict bias) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        const real *__restrict mean = mean_ + i * H, *__restrict variance = variance_ + i * H;
        const real *__restrict g_mean = g_mean_ + i * H;
        const real *__restrict g_variance = g_variance_ + i * H;
        const real *__restrict future_mean = future_mean_ + (has_future ? i * H : 0);
        const real *__restrict future_u = future_u_ + (has_future ? i * 2 * H : 0);
        real *__restrict da = da_ + i * H, *__restrict dv = dv_ + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            Moments<real> y = {mean[j], variance[j]}, dy = {g_mean[j], g_variance[j]};
            if (has_future) {
                dy.mean += future_mean[j] + real(2) * mean[j] * future_u[H + j];
                dy.variance += future_u[j];
            }
            Moments<real> d = gradient_of_tanh(a[j] + b[j], v[j], y, dy);
            da[j] = d.mean;
            dv[j] = d.variance;
            bias[j] += d.mean;
        }
    }
}

}  // namespace fdrnn

#section support_code_struct
fdrnn::Buffer<DTYPE_INPUT_0> weights;
fdrnn::Buffer<DTYPE_INPUT_0> rows_buffer;
fdrnn::Buffer<DTYPE_INPUT_0> step_buffer;

int APPLY_SPECIFIC(backward)(PyArrayObject *x_, PyArrayObject *n_rows_, PyArrayObject *mean0_,
                             PyArrayObject *variance0_, PyArrayObject *M_in_,
                             PyArrayObject *S_in_, PyArrayObject *M_rec_, PyArrayObject *S_rec_,
                             PyArrayObject *b_, PyArrayObject *mean_, PyArrayObject *variance_,
                             PyArrayObject *a_, PyArrayObject *v_, PyArrayObject *u_,
                             PyArrayObject *g_mean_, PyArrayObject *g_variance_,
                             PyArrayObject **dmean0_, PyArrayObject **dvariance0_,
                             PyArrayObject **dM_in_, PyArrayObject **dS_in_,
                             PyArrayObject **dM_rec_, PyArrayObject **dS_rec_,
                             PyArrayObject **db_, PyArrayObject **da_, PyArrayObject **dv_) {
    using namespace fdrnn;
    typedef DTYPE_INPUT_0 real;
    const int type = TYPENUM_INPUT_0;
    const char *op = "GaussianWeightsLayerGradient";
    if (expect(op, "x", x_, -1, -1) || expect(op, "mean of W_rec", M_rec_, -1, -1)) return -1;
    const npy_intp R = PyArray_DIM(x_, 0), D = PyArray_DIM(x_, 1), H = PyArray_DIM(M_rec_, 1);
    if (expect(op, "mean of W_rec", M_rec_, H, H) ||
        expect(op, "variance of W_rec", S_rec_, H, H) || expect(op, "mean of W_in", M_in_, D, H) ||
        expect(op, "variance of W_in", S_in_, D, H) || expect_vector(op, "b", b_, H) ||
        expect_packing(op, n_rows_, R) || expect(op, "initial mean", mean0_, -1, H) ||
        expect(op, "mean", mean_, R, H) || expect(op, "variance", variance_, R, H) ||
        expect(op, "a", a_, R, H) || expect(op, "v", v_, R, H) || expect(op, "u", u_, R, 2 * H) ||
        expect(op, "gradient of mean", g_mean_, R, H) ||
        expect(op, "gradient of variance", g_variance_, R, H))
        return -1;
    const npy_intp S = PyArray_DIM(mean0_, 0);
    if (expect(op, "initial variance", variance0_, S, H)) return -1;
    const npy_intp T = PyArray_DIM(n_rows_, 0), HH = H * H, DH = D * H;
    const npy_int64 *n_rows = (const npy_int64 *)PyArray_DATA(n_rows_);
    const real *x = (const real *)PyArray_DATA(x_), *mean0 = (const real *)PyArray_DATA(mean0_);
    const real *variance0 = (const real *)PyArray_DATA(variance0_);
    const real *M_rec = (const real *)PyArray_DATA(M_rec_);
    const real *b = (const real *)PyArray_DATA(b_), *mean = (const real *)PyArray_DATA(mean_);
    const real *variance = (const real *)PyArray_DATA(variance_);
    const real *a = (const real *)PyArray_DATA(a_), *v = (const real *)PyArray_DATA(v_);
    const real *u = (const real *)PyArray_DATA(u_);
    const real *g_mean = (const real *)PyArray_DATA(g_mean_);
    const real *g_variance = (const real *)PyArray_DATA(g_variance_);

    npy_intp widest = S;
    bool constant = true;
    for (npy_intp t = 0; t < T; ++t) {
        if (n_rows[t] > widest) widest = n_rows[t];
        if (n_rows[t] != n_rows[0]) constant = false;
    }
    real *dmean0 = output<real>(dmean0_, type, 2, S, H);
    real *dvariance0 = output<real>(dvariance0_, type, 2, S, H);
    real *dM_in = output<real>(dM_in_, type, 2, D, H);
    real *dS_in = output<real>(dS_in_, type, 2, D, H);
    real *dM_rec = output<real>(dM_rec_, type, 2, H, H);
    real *dS_rec = output<real>(dS_rec_, type, 2, H, H);
    real *db = output<real>(db_, type, 1, H, 0);
    real *da = output<real>(da_, type, 2, R, H);
    real *dv = output<real>(dv_, type, 2, R, H);
    real *kept = weights.get(5 * HH);
    real *rows = rows_buffer.get(R * D + 2 * S * H + (constant ? 0 : 2 * R * H));
    real *step = step_buffer.get(3 * widest * H + 2 * S * H);
    if (!dmean0 || !dvariance0 || !dM_in || !dS_in || !dM_rec || !dS_rec || !db || !da || !dv ||
        !kept || !rows || !step)
        return -1;

    /* Transposed once, so that every step's products read their weights in memory order. */
    real *rec_mean = kept, *rec_variance = rec_mean + HH, *scratch = rec_variance + 2 * HH;
    real *x_squared = rows, *u0 = x_squared + R * D;
    real *successors = u0 + 2 * S * H, *successors_v = successors + R * H;
    real *future_mean = step, *future_u = future_mean + widest * H;
    real *first_mean = future_u + 2 * widest * H, *first_variance = first_mean + S * H;
    variance_weights(HH, M_rec, (const real *)PyArray_DATA(S_rec_), scratch);
    transposed(2 * H, H, scratch, rec_variance);
    transposed(H, H, M_rec, rec_mean);
    memset(db, 0, H * sizeof(real));

    npy_intp row = R;
    for (npy_intp t = T - 1; t >= 0; --t) {
        const npy_intp n = n_rows[t];
        row -= n;
        const npy_intp at = row * H;
        if (t < T - 1) {
            /* What the successors of these rows say: gradients of a and v of step t + 1. */
            product(n, H, H, constant ? da + at + n * H : successors + at, rec_mean, real(0),
                    future_mean);
            product(n, 2 * H, H, constant ? dv + at + n * H : successors_v + at, rec_variance,
                    real(0), future_u);
            tanh_and_square_gradient<true>(n, H, b, a + at, v + at, mean + at, variance + at,
                                           g_mean + at, g_variance + at, future_mean, future_u,
                                           da + at, dv + at, db);
        } else {
            tanh_and_square_gradient<false, real>(n, H, b, a + at, v + at, mean + at,
                                                  variance + at, g_mean + at, g_variance + at,
                                                  NULL, NULL, da + at, dv + at, db);
        }
        if (!constant && t > 0) {
            const npy_intp n_before = n_rows[t - 1], earlier = (row - n_before) * H;
            gather_successors(n_before, n, H, da + at, successors + earlier);
            gather_successors(n_before, n, H, dv + at, successors_v + earlier);
        }
    }

    /* Initial state: its rows are continued by step 0. */
    gather_successors(S, n_rows[0], H, da, first_mean);
    gather_successors(S, n_rows[0], H, dv, first_variance);
    product(S, H, H, first_mean, rec_mean, real(0), dmean0);
    product(S, 2 * H, H, first_variance, rec_variance, real(0), future_u);
    side_by_side_gradient(S, H, mean0, future_u, dmean0, dvariance0);
    side_by_side(S, H, mean0, variance0, u0);

    /* Weights: one product over all rows that have a successor, plus the initial rows. */
    const npy_intp last = n_rows[T - 1], with_successor = R - last;
    product_at(H, H, with_successor, mean, constant ? da + last * H : successors, real(0),
               dM_rec);
    product_at(H, H, S, mean0, first_mean, real(1), dM_rec);
    product_at(2 * H, H, with_successor, u, constant ? dv + last * H : successors_v, real(0),
               scratch);
    product_at(2 * H, H, S, u0, first_variance, real(1), scratch);
    variance_weights_gradient(HH, M_rec, scratch, dM_rec, dS_rec);
    product_at(D, H, R, x, da, real(0), dM_in);
    scaled_square(R * D, x, real(1), x_squared);
    product_at(D, H, R, x_squared, dv, real(0), dS_in);
    return 0;
}
