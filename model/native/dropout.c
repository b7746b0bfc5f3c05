#section support_code_struct
/*
 * Recurrent layer with dropout masks, over packed rows (see passes.c): row r of a step computes
 * h_r = tanh(x_r W_in + masked_r W_rec + b), masked_r = mask_r h_before, where h_before is the row
 * of the previous step that it continues. Each row has its own mask, also where several continue
 * one.
 */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const Packing rows = {T, S, R, n_rows};
    const npy_intp widest = rows.widest();
    const npy_intp block = INPUT_BLOCK / H > widest ? INPUT_BLOCK / H : widest;
    real *a = workspace.get(block * H);
    const Packed<real> in(D, H, workspace), rec(H, H, workspace);
    if (workspace.failed) return -1;
    in.fill(W_in);
    rec.fill(W_rec);
    const real *before = mean0;
    npy_intp n_before = S, row = 0, begin = 0, projected = 0;
    for (npy_intp t = 0; t < T; ++t) {
        const npy_intp n = n_rows[t];
        if (projected < row + n) {
            begin = row;
            projected = rows.block_end(t, row, block);
            in.multiply(projected - row, x + row * D, false, a);
        }
        for (npy_intp i = 0; i < n; ++i) {
            const npy_intp parent = i < n_before ? i : n_before - 1;
            multiplied(H, before + parent * H, mask + (row + i) * H, masked + (row + i) * H);
        }
        real *at = a + (row - begin) * H;
        rec.multiply(n, masked + row * H, true, at);
        tanh_plain(n, H, real(2), b, at, mean + row * H);
        before = mean + row * H;
        n_before = n;
        row += n;
    }
    return 0;
}
