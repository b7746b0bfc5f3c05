#section support_code
/*
 * Forward pass of the recurrent layer with Gaussian weights over packed rows (see packing.py and
 * recurrence.c): equations 5 and 6, then the moments of tanh.
 *
 * `u` holds variance and mean^2 side by side; see gaussian.c.
 */
namespace fdrnn {

/* Moments of tanh at pre-synaptic (a + b, v), and the rows of u that they make. */
template <typename real>
inline void tanh_and_square(npy_intp n, npy_intp H, const real *__restrict b, const real *a_,
                            const real *v_, real *mean_, real *variance_, real *u_) {
    for (npy_intp i = 0; i < n; ++i) {
        const real *__restrict a = a_ + i * H, *__restrict v = v_ + i * H;
        real *__restrict mean = mean_ + i * H, *__restrict variance = variance_ + i * H;
        real *__restrict u = u_ + i * 2 * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) {
            Moments<real> y = moments_of_tanh(a[j] + b[j], v[j]);
            mean[j] = y.mean;
            variance[j] = y.variance;
            u[j] = y.variance;
            u[H + j] = y.mean * y.mean;
        }
    }
}

}  // namespace fdrnn

#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const Packing rows = {T, S, R, n_rows};
    const npy_intp begin = n_rows[0] > S ? n_rows[0] : S;
    real *mean_before = workspace.get(begin * H), *u_before = workspace.get(begin * 2 * H);
    real *rec_variance = workspace.get(2 * H * H), *x_squared = workspace.get(R * D);
    const ForwardMatrices<real> matrices = {{D, H, workspace}, {H, H, workspace},
                                            {D, H, workspace}, {2 * H, H, workspace}, x_squared};
    if (workspace.failed) return -1;
    variance_weights(H * H, W_rec_mean, W_rec_variance, rec_variance);
    matrices.in_mean.fill(W_in_mean);
    matrices.rec_mean.fill(W_rec_mean);
    matrices.in_variance.fill(W_in_variance);
    matrices.rec_variance.fill(rec_variance);
    scaled_square(R * D, x, real(1), x_squared);
    memcpy(mean_before, mean0, S * H * sizeof(real));
    side_by_side(S, H, mean0, variance0, u_before);
    forward_pass(rows, D, H, 2 * H, H, x, matrices, mean_before, u_before, a, v, mean, u,
                 [&](npy_intp n, npy_intp, npy_intp row) {
                     const npy_intp at = row * H;
                     tanh_and_square(n, H, b, a + at, v + at, mean + at, variance + at,
                                     u + 2 * at);
                 });
    return 0;
}
