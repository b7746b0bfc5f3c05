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
    for (npy_intp j = 0; j < H; ++j) a[j] = real(2) * sigmoid(real(2) * a[j]) - real(1);
}

}  // namespace fdrnn

#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    memcpy(h, a, R * H * sizeof(real));
    for (npy_intp k = 0; k < B; ++k) {
        const real *before = h0;
        for (npy_intp t = 0; t < T; ++t) {
            real *row = h + (t * B + k) * H;
            /* Column-major: W' times the column `before`. */
            gemv("N", (int)H, (int)H, real(1), W + k * H * H, (int)H, before, real(1), row);
            tanh_in_place(H, row);
            before = row;
        }
    }
    return 0;
}
