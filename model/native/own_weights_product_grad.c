#section support_code_struct
/* Gradient of own_weights_product.c. */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const int steps = (int)(R / B), of_x = (int)(B * N), of_y = (int)(B * M);
    for (npy_intp k = 0; k < B; ++k) {
        gemm("T", "N", (int)N, steps, (int)M, real(1), W + k * N * M, (int)M, g_y + k * M, of_y,
             real(0), d_x + k * N, of_x);
        gemm("N", "T", (int)M, (int)N, steps, real(1), g_y + k * M, of_y, x + k * N, of_x, real(0),
             d_W + k * N * M, (int)M);
    }
    return 0;
}
