#section support_code
/*
 * Matrix products, C = A B, with the same bits on every machine.
 *
 * An element of C is one chain of fused multiply-adds over k = 0, 1, ..., K - 1,
 *
 *     c = fma(A[i][k], B[k][j], c),
 *
 * that starts at 0, or at C[i][j] where the product is added to C. A product may therefore be cut
 * into products over parts of K, in order, and no bit depends on the number of rows, on blocks, on
 * the vector width or on the compiler. The rounding error of a chain is typically far below, and
 * with random signs within, 2 sqrt(K) units in the last place of its largest partial sum.
 *
 * B is packed once and multiplied often: into panels of two vectors of columns (the last one has
 * three where vectors are left over), whose rows follow each other in memory. The products are
 * defined in tiles.c, which takes seconds to compile: once, for all operations.
 */
namespace fdrnn {

/* Vectors of a panel. */
const int PANEL = 2;

/* Vectors of the panel that begins with the one `at` of `vectors`. */
constexpr npy_intp panel_vectors(npy_intp vectors, npy_intp at) {
    return vectors - at == 1 || vectors - at == 3 ? vectors - at : PANEL;
}

template <typename real>
inline npy_intp vectors_of(npy_intp n) {
    return (n + Vector<real>::lanes - 1) / Vector<real>::lanes;
}

/* Elements of a packed matrix of K rows and n columns. */
template <typename real>
inline npy_intp packed_size(npy_intp K, npy_intp n) {
    return K * vectors_of<real>(n) * Vector<real>::lanes;
}

/* Pack B (K, n), whose element (k, j) is map(B[k inner_step + j column_step]). */
template <typename real, typename Map>
inline void pack(npy_intp K, npy_intp n, const real *__restrict B, npy_intp inner_step,
                 npy_intp column_step, Map map, real *__restrict out) {
    const npy_intp L = Vector<real>::lanes, vectors = vectors_of<real>(n);
    for (npy_intp v = 0, width; v < vectors; v += width / L) {
        width = panel_vectors(vectors, v) * L;
        const npy_intp columns = n - v * L < width ? n - v * L : width;
        for (npy_intp k = 0; k < K; ++k, out += width) {
            const real *__restrict row = B + k * inner_step + v * L * column_step;
            if (column_step == 1) {
#pragma GCC ivdep
                for (npy_intp j = 0; j < columns; ++j) out[j] = map(row[j]);
            } else {
                for (npy_intp j = 0; j < columns; ++j) out[j] = map(row[j * column_step]);
            }
            for (npy_intp j = columns; j < width; ++j) out[j] = real(0);
        }
    }
}

/*
 * C (rows, n) = or += A (rows, K) B for a packed B. Element (i, k) of A is
 * A[i row_step + k inner_step], rows of C are `ldc` apart.
 */
template <typename real>
void packed_product(npy_intp rows, npy_intp n, npy_intp K, const real *A, npy_intp row_step,
                    npy_intp inner_step, const real *B, bool add, real *C, npy_intp ldc);

/* Rows of A' and B that are multiplied at a time, while C stays where it is. */
const npy_intp GRADIENT_ROWS = 256;

/* Elements of the workspace of `product_of_transposed`. */
template <typename real>
inline npy_intp transposed_workspace(npy_intp n) {
    return packed_size<real>(GRADIENT_ROWS, n);
}

/* C (m, n) = or += A' B with A (K, m) and B (K, n), rows `lda`, `ldb`, `ldc` apart. */
template <typename real>
void product_of_transposed(npy_intp m, npy_intp n, npy_intp K, const real *A, npy_intp lda,
                           const real *B, npy_intp ldb, bool add, real *C, npy_intp ldc,
                           real *workspace);

}  // namespace fdrnn
