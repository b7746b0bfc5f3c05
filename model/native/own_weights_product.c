#section support_code_struct
/*
 * Rows times the matrices of their sequences: row t B + k with matrix k, so that the rows of a
 * sequence are B rows apart.
 */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const Packed<real> packed(N, M, workspace);
    if (workspace.failed) return -1;
    for (npy_intp k = 0; k < B; ++k) {
        packed.fill(W + k * N * M);
        packed_product(R / B, M, N, x + k * N, B * N, (npy_intp)1, packed.panels, false, y + k * M,
                       B * M);
    }
    return 0;
}
