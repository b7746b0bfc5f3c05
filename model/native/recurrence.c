#section support_code_struct
/* Forward pass of the recurrent layer over packed rows (see passes.c). */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const bool stochastic = has_variance_products(cell_index);
    const bool passes = passes_variance(cell_index);
    const Packing rows = {T, S, R, n_rows};
    const real s = (real)input_scale;
    ForwardMatrices<real> matrices;
    const npy_intp begin = n_rows[0] > S ? n_rows[0] : S;
    real *mean_before = workspace.get(begin * H);
    real *c_before = workspace.get(begin * H);
    if (!scale_matrices(R, D, H, H, stochastic, mean_factor, p_keep_hidden, p_keep_input, x, W_in,
                        W_rec, workspace, matrices))
        return -1;
    if (!passes) memset(variance, 0, V * H * sizeof(real));
    memcpy(mean_before, mean0, S * H * sizeof(real));
    if (passes)
        variance_input(S * H, p_keep_hidden, mean0, variance0, c_before);
    else if (stochastic)
        dropout_variance_input(S * H, p_keep_hidden, mean0, c_before);
    forward_pass(rows, D, H, H, H, x, matrices, mean_before, c_before, a, v, mean, c,
                 [&](npy_intp n, npy_intp, npy_intp row) {
                     const npy_intp at = row * H;
                     transfer(cell_index, n, H, s, p_keep_hidden, b, a + at, v + at, noise + at,
                              mean + at, variance + at, c + at);
                 });
    return 0;
}
