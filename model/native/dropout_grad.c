#section support_code_struct
/* Gradient of the recurrent layer of dropout.c, backwards over its packed rows. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const npy_intp widest = Packing{T, S, R, n_rows}.widest();
    const Packed<real> W_transposed(H, H, workspace);
    real *da = workspace.get(R * H);
    real *future = workspace.get(widest * H), *d_masked = workspace.get(widest * H);
    real *d_before = workspace.get(widest * H);
    if (workspace.failed) return -1;
    W_transposed.fill_transposed(W_rec);
    memset(d_b, 0, H * sizeof(real));
    npy_intp row = R;
    for (npy_intp t = T - 1; t >= 0; --t) {
        const npy_intp n = n_rows[t];
        row -= n;
        const npy_intp at = row * H;
        (t < T - 1 ? tanh_plain_gradient<true, real> : tanh_plain_gradient<false, real>)(
            n, H, real(2), mean + at, g_mean + at, future, da + at, d_b);
        /* The gradient of the rows that this step continues, each through its own mask. */
        W_transposed.multiply(n, da + at, false, d_masked);
        multiplied(n * H, d_masked, mask + at, d_before);
        gather_successors(t > 0 ? n_rows[t - 1] : S, n, H, d_before, t > 0 ? future : d_mean0);
    }
    product_at(H, H, R, masked, da, false, d_W_rec, workspace);
    product_at(D, H, R, x, da, false, d_W_in, workspace);
    return 0;
}
