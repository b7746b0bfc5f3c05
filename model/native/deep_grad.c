#section support_code_struct
/* Gradient of the layers of layers.c, backwards over their packed rows. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const npy_intp L = B / H, N = K / H, size = R * H, square = H * H;
    const int cell = stochastic ? MOMENTS : PLAIN;
    const Packing rows = {T, S, R, n_rows};
    const auto mean_of = [=](npy_intp l) { return l == L - 1 ? mean : lower_mean + l * size; };
    const auto variance_of = [=](npy_intp l) {
        return l == L - 1 ? variance : lower_variance + l * size;
    };
    RecurrentGradient<real> of_mean[MOST_LAYERS], of_variance[MOST_LAYERS];
    MomentProduct<real> between[MOST_LAYERS]; /* of layers 1, 2, ... */
    for (npy_intp l = 0; l < N; ++l) {
        of_mean[l] = {rows, H, H, da + l * size, workspace};
        if (stochastic) of_variance[l] = {rows, H, H, dv + l * size, workspace};
    }
    for (npy_intp l = 1; l < L; ++l) between[l] = {H, stochastic, workspace};
    real *d_above = workspace.get(rows.widest() * H), *d_c_above = workspace.get(rows.widest() * H);
    real *initial_mean = workspace.get(S * H), *initial_c = workspace.get(S * H);
    real *d_initial = workspace.get(S * H), *d_initial_c = workspace.get(S * H);
    real *scratch = workspace.get(square), *c_below = workspace.get(L > 1 ? size : 0);
    if (workspace.failed) return -1;
    for (npy_intp l = 0; l < N; ++l) {
        const real *W = W_rec + l * square;
        of_mean[l].W_transposed.fill_transposed(W, scaled_by(p_keep_hidden));
        if (transition) of_mean[l].future = of_mean[0].future;
        if (!stochastic) continue;
        of_variance[l].W_transposed.fill_transposed(W, square_scaled_by(p_keep_hidden));
        if (transition) of_variance[l].future = of_variance[0].future;
    }
    for (npy_intp l = 1; l < L; ++l)
        between[l].fill_transposed(W_between + (l - 1) * square, p_keep_between);
    memset(d_b, 0, B * sizeof(real));

    backward_pass(rows, of_mean[0], stochastic ? &of_variance[0] : NULL, [&](
            npy_intp n, npy_intp n_before, npy_intp row, bool has_future) {
        const npy_intp at = row * H;
        for (npy_intp l = 1; has_future && l < N; ++l) {
            of_mean[l].read_next_step(n, row, transition);
            if (stochastic) of_variance[l].read_next_step(n, row, transition);
        }
        for (npy_intp l = L - 1; l >= 0; --l) {
            const npy_intp here = l * size + at;
            const bool top = l == L - 1, is_state = transition ? l == N - 1 : l < N;
            const npy_intp own = is_state ? l : 0;
            const bool read_next = has_future && is_state;
            (read_next ? transfer_gradient<true, real> : transfer_gradient<false, real>)(
                cell, n, H, real(2), p_keep_hidden, b + l * H, a + here, v + here,
                (const real *)NULL, mean_of(l) + at, variance_of(l) + at,
                top ? g_mean + at : d_above, top ? g_variance + at : d_c_above,
                of_mean[own].future, stochastic ? of_variance[own].future : NULL, da + here,
                dv + here, d_b + l * H);
            if (l > 0) {
                between[l].multiply(n, da + here, dv + here, false, d_above, d_c_above);
                if (stochastic)
                    mean_through_variance(n * H, p_keep_between, mean_of(l - 1) + at, d_c_above,
                                          d_above);
            }
            if (0 < l && l < N && row) {
                of_mean[l].gather(n_before, n, row);
                if (stochastic) of_variance[l].gather(n_before, n, row);
            }
        }
    });

    if (!stochastic) memset(d_variance0, 0, S0 * J * sizeof(real));
    for (npy_intp l = 0; l < N; ++l) {
        const npy_intp read = transition ? N - 1 : l, k = transition ? 0 : l;
        const bool add = transition && l > 0;
        initial_state_of(k, S, J, H, stochastic, p_keep_hidden, mean0, variance0, initial_mean,
                         initial_c);
        of_mean[l].initial_state(rows, d_initial, add);
        if (stochastic) of_variance[l].initial_state(rows, d_initial_c, add);
        recurrent_weight_gradient(rows, H, H, p_keep_hidden, p_keep_hidden, W_rec + l * square,
                                  of_mean[l], stochastic ? &of_variance[l] : NULL, mean_of(read),
                                  initial_mean, c + read * size, initial_c, scratch, workspace,
                                  d_W_rec + l * square);
        if (l < read) continue; /* other layers read the same state */
        if (stochastic)
            mean_through_variance(S * H, p_keep_hidden, initial_mean, d_initial_c, d_initial);
        for (npy_intp i = 0; i < S; ++i) {
            const npy_intp to = i * J + k * H;
            memcpy(d_mean0 + to, d_initial + i * H, H * sizeof(real));
            if (stochastic) memcpy(d_variance0 + to, d_initial_c + i * H, H * sizeof(real));
        }
    }
    for (npy_intp l = 1; l < L; ++l) {
        const real *below = mean_of(l - 1), *W = W_between + (l - 1) * square;
        real *d_W = d_W_between + (l - 1) * square;
        product_at(H, H, R, below, da + l * size, false, d_W, workspace);
        if (!stochastic) {
            rescale(square, p_keep_between, d_W);
            continue;
        }
        variance_input(size, p_keep_between, below, variance_of(l - 1), c_below);
        product_at(H, H, R, c_below, dv + l * size, false, scratch, workspace);
        weight_gradient(square, p_keep_between, p_keep_between, W, scratch, d_W);
    }
    return input_weight_gradient(R, D, H, p_keep_input, x, W_in, da, stochastic ? dv : NULL,
                                 workspace, d_W_in)
               ? 0
               : -1;
}
