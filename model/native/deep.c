#section support_code_struct
/* Forward pass of the layers of layers.c. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const npy_intp L = B / H, N = K / H, size = R * H, begin = n_rows[0] > S ? n_rows[0] : S;
    const int cell = stochastic ? MOMENTS : PLAIN;
    const Packing rows = {T, S, R, n_rows};
    const auto mean_of = [=](npy_intp l) { return l == L - 1 ? mean : lower_mean + l * size; };
    const auto variance_of = [=](npy_intp l) {
        return l == L - 1 ? variance : lower_variance + l * size;
    };
    real *initial_mean[MOST_LAYERS], *initial_c[MOST_LAYERS]; /* by state, with room for step 0 */
    for (npy_intp k = 0; k < J / H; ++k) {
        initial_mean[k] = workspace.get(begin * H);
        initial_c[k] = workspace.get(begin * H);
    }
    real *c_below = workspace.get(rows.widest() * H);
    MomentProduct<real> between[MOST_LAYERS], recurrent[MOST_LAYERS]; /* of layers 1, 2, ... */
    for (npy_intp l = 1; l < L; ++l) between[l] = {H, stochastic, workspace};
    for (npy_intp l = 1; l < N; ++l) recurrent[l] = {H, stochastic, workspace};
    ForwardMatrices<real> matrices;
    if (!scale_matrices(R, D, H, H, stochastic, p_keep_hidden, p_keep_hidden, p_keep_input, x, W_in,
                        W_rec, workspace, matrices))
        return -1;
    const npy_intp square = H * H;
    for (npy_intp l = 1; l < L; ++l)
        between[l].fill(W_between + (l - 1) * square, p_keep_between);
    for (npy_intp l = 1; l < N; ++l) recurrent[l].fill(W_rec + l * square, p_keep_hidden);
    for (npy_intp k = 0; k < J / H; ++k)
        initial_state_of(k, S, J, H, stochastic, p_keep_hidden, mean0, variance0, initial_mean[k],
                         initial_c[k]);

    const npy_intp read_first = transition ? N - 1 : 0;
    forward_pass(
        rows, D, H, H, H, x, matrices, initial_mean[0], initial_c[0], a, v, mean_of(read_first),
        c + read_first * size, [&](npy_intp n, npy_intp n_before, npy_intp row) {
            const npy_intp at = row * H;
            for (npy_intp l = 0; l < L; ++l) {
                real *a_l = a + l * size + at, *v_l = v + l * size + at;
                if (l > 0) {
                    const real *below = mean_of(l - 1) + at;
                    if (stochastic)
                        variance_input(n * H, p_keep_between, below, variance_of(l - 1) + at,
                                       c_below);
                    between[l].multiply(n, below, c_below, false, a_l, v_l);
                }
                if (0 < l && l < N) {
                    const npy_intp read = transition ? N - 1 : l, k = transition ? 0 : l;
                    const npy_intp before = at - n_before * H;
                    real *mean_before = row ? mean_of(read) + before : initial_mean[k];
                    real *c_before = row ? c + read * size + before : initial_c[k];
                    repeat_last(n_before, n, H, mean_before);
                    if (stochastic) repeat_last(n_before, n, H, c_before);
                    recurrent[l].multiply(n, mean_before, c_before, true, a_l, v_l);
                }
                transfer(cell, n, H, real(2), p_keep_hidden, b + l * H, a_l, v_l,
                         (const real *)NULL, mean_of(l) + at, variance_of(l) + at,
                         c + l * size + at);
            }
        });
    return 0;
}
