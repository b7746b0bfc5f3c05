#section support_code
/*
 * Forward pass of a recurrent layer in which every sequence has its own matrix.
 *
 * Rows are time-major with as many rows at every step as there are sequences: row t B + k is step t
 * of sequence k. Sequences are computed one after the other, each step by one product of a vector
 * with the sequence's matrix, which stays in the cache.
 */
namespace fdrnn {

template <typename real>
inline void tanh_in_place(npy_intp H, real *__restrict a) {
#pragma GCC ivdep
    for (npy_intp j = 0; j < H; ++j) a[j] = hyperbolic_tangent(a[j]);
}

}  // namespace fdrnn

#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const Packed<real> packed(H, H, workspace);
    if (workspace.failed) return -1;
    memcpy(h, a, R * H * sizeof(real));
    for (npy_intp k = 0; k < B; ++k) {
        packed.fill(W + k * H * H);
        const real *before = h0;
        for (npy_intp t = 0; t < T; ++t) {
            real *row = h + (t * B + k) * H;
            packed.multiply(1, before, true, row);
            tanh_in_place(H, row);
            before = row;
        }
    }
    return 0;
}
