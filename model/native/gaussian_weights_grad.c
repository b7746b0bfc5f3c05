#section support_code
/* Gradient of the recurrent layer with Gaussian weights, backwards over the rows of
 * gaussian_weights.c. */
namespace fdrnn {

/*
 * (da, dv) from the gradients of mean and variance (n, H) and from those of the next step,
 * `future_mean` (n, H) and, through u = (variance, mean^2), `future_u` (n, 2 H), which the last
 * step ignores. `bias` (H,) accumulates the column sums of da.
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
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const Packing rows = {T, S, R, n_rows};
    const RecurrentGradient<real> of_mean(rows, H, H, da, workspace);
    const RecurrentGradient<real> of_variance(rows, 2 * H, H, dv, workspace);
    real *scratch = workspace.get(2 * H * H), *u0 = workspace.get(S * 2 * H);
    real *x_squared = workspace.get(R * D);
    if (workspace.failed) return -1;
    variance_weights(H * H, W_rec_mean, W_rec_variance, scratch);
    of_variance.W_transposed.fill_transposed(scratch);
    of_mean.W_transposed.fill_transposed(W_rec_mean);
    memset(d_b, 0, H * sizeof(real));
    backward_pass(rows, of_mean, &of_variance,
                  [&](npy_intp n, npy_intp, npy_intp row, bool has_future) {
                      const npy_intp at = row * H;
                      (has_future ? tanh_and_square_gradient<true, real>
                                  : tanh_and_square_gradient<false, real>)(
                          n, H, b, a + at, v + at, mean + at, variance + at, g_mean + at,
                          g_variance + at, of_mean.future, of_variance.future, da + at, dv + at,
                          d_b);
                  });

    of_mean.initial_state(rows, d_mean0);
    of_variance.initial_state(rows, of_variance.future);
    side_by_side_gradient(S, H, mean0, of_variance.future, d_mean0, d_variance0);
    side_by_side(S, H, mean0, variance0, u0);
    of_mean.weights(rows, mean, mean0, d_W_rec_mean, workspace);
    of_variance.weights(rows, u, u0, scratch, workspace);
    variance_weights_gradient(H * H, W_rec_mean, scratch, d_W_rec_mean, d_W_rec_variance);
    product_at(D, H, R, x, da, false, d_W_in_mean, workspace);
    scaled_square(R * D, x, real(1), x_squared);
    product_at(D, H, R, x_squared, dv, false, d_W_in_variance, workspace);
    return 0;
}
