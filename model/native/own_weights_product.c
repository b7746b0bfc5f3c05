#section support_code_struct
/*
 * Rows times the matrices of their sequences: row t B + k with matrix k, so that the rows of a
 * sequence are B rows apart.
 */
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    for (npy_intp k = 0; k < B; ++k)
        gemm("N", "N", (int)M, (int)(R / B), (int)N, real(1), W + k * N * M, (int)M, x + k * N,
             (int)(B * N), real(0), y + k * M, (int)(B * M));
    return 0;
}
