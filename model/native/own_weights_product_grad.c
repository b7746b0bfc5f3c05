#section support_code_struct
/* Gradient of own_weights_product.c. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const Packed<real> transposed(M, N, workspace);
    if (workspace.failed) return -1;
    for (npy_intp k = 0; k < B; ++k) {
        transposed.fill_transposed(W + k * N * M);
        packed_product(R / B, N, M, g_y + k * M, B * M, (npy_intp)1, transposed.panels, false,
                       d_x + k * N, B * N);
        product_at(N, M, R / B, x + k * N, B * N, g_y + k * M, B * M, false, d_W + k * N * M,
                   workspace);
    }
    return 0;
}
