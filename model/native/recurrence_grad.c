#section support_code_struct
/* Gradient of the recurrent layer, backwards over the packed rows of recurrence.c. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const bool stochastic = has_variance_products(cell_index);
    const bool passes = passes_variance(cell_index);
    const Packing rows = {T, S, R, n_rows};
    const real s = (real)input_scale;
    const RecurrentGradient<real> of_mean(rows, H, H, da, workspace);
    const RecurrentGradient<real> of_variance(rows, H, H, dv, workspace);
    real *scratch = workspace.get(H * H), *c0 = workspace.get(S * H);
    if (workspace.failed) return -1;
    of_mean.W_transposed.fill_transposed(W_rec, scaled_by(mean_factor));
    if (stochastic)
        of_variance.W_transposed.fill_transposed(W_rec, square_scaled_by(p_keep_hidden));
    memset(d_b, 0, H * sizeof(real));
    const RecurrentGradient<real> *spread = stochastic ? &of_variance : NULL;
    backward_pass(rows, of_mean, spread, [&](npy_intp n, npy_intp, npy_intp row, bool has_future) {
        const npy_intp at = row * H;
        (has_future ? transfer_gradient<true, real> : transfer_gradient<false, real>)(
            cell_index, n, H, s, p_keep_hidden, b, a + at, v + at, noise + at, mean + at,
            variance + at, g_mean + at, g_variance + at, of_mean.future, of_variance.future,
            da + at, dv + at, d_b);
    });

    of_mean.initial_state(rows, d_mean0);
    memset(d_variance0, 0, S0 * H * sizeof(real));
    if (stochastic) {
        real *d_c0 = passes ? d_variance0 : of_variance.future;
        of_variance.initial_state(rows, d_c0);
        mean_through_variance(S * H, p_keep_hidden, mean0, d_c0, d_mean0);
        if (passes) variance_input(S * H, p_keep_hidden, mean0, variance0, c0);
        else dropout_variance_input(S * H, p_keep_hidden, mean0, c0);
    }
    recurrent_weight_gradient(rows, H, H, mean_factor, p_keep_hidden, W_rec, of_mean, spread, mean,
                              mean0, c, c0, scratch, workspace, d_W_rec);
    return input_weight_gradient(R, D, H, p_keep_input, x, W_in, da, stochastic ? dv : NULL,
                                 workspace, d_W_in)
               ? 0
               : -1;
}
