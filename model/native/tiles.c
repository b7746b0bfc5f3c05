#section support_code
/*
 * The products of product.c: a tile of C, some rows by one panel, stays in registers. Compiled with
 * OpenMP, threads share the columns of C.
 */
#include <cfenv>
#ifdef _OPENMP
#include <omp.h>
#endif
namespace fdrnn {

/* Not copied for each call, which would compile as long again. */
#ifdef __clang__
#define FDRNN_ONCE __attribute__((noinline))
#else
#define FDRNN_ONCE __attribute__((noinline, noclone))
#endif

/* Rows of a tile of so many vectors: their sums, the vectors and one element of A fill the
 * registers. */
constexpr int tile_rows(int vectors) {
    return ((FDRNN_VECTOR_BYTES == 64 ? 32 : 16) - 1 - vectors) / vectors;
}
/* With fewer rows than these in a panel, multiply-adds wait for each other: two panels then. */
const int FULL_ROWS = 4;
/* Multiply-adds for which it takes another thread: many times what their meeting costs. */
#ifndef FDRNN_THREAD_WORK
#define FDRNN_THREAD_WORK 200000
#endif
/* Part of a panel that stays in the first-level cache. */
const npy_intp INNER_BYTES = 49152;

/*
 * C (M, P V vectors) = or += A (M, K) B for P panels of V vectors. Element (i, k) of A is
 * A[i row_step + k inner_step], rows of C are `ldc` apart.
 */
template <int M, int P, int V, typename real>
FDRNN_INLINE void tile(npy_intp K, const real *A, npy_intp row_step, npy_intp inner_step,
                       const real *B, npy_intp panel_step, bool add, real *C, npy_intp ldc) {
    typedef typename Vector<real>::type vector;
    constexpr int L = Vector<real>::lanes, N = P * V, HALF = 7;
    vector c[M][N];
    FDRNN_UNROLL
    for (int i = 0; i < M; ++i)
        FDRNN_UNROLL
        for (int n = 0; n < N; ++n) c[i][n] = add ? loaded(C + i * ldc + n * L) : vector{};
    /* Rows in two halves, whose distances from their first one fit into the registers. */
    const real *halves[2] = {A, A + HALF * row_step};
    asm("" : "+r"(halves[0]), "+r"(halves[1])); /* else they become one again */
    for (npy_intp k = 0; k < K; ++k) {
        vector a[M], b[N];
        /* First all vectors of the smaller side, then those of the other one by one. */
        if (M > N) {
            FDRNN_UNROLL
            for (int n = 0; n < N; ++n)
                b[n] = loaded(B + n / V * panel_step + (k * V + n % V) * L);
            FDRNN_UNROLL
            for (int i = 0; i < M; ++i) {
                a[i] = repeated(halves[i / HALF][i % HALF * row_step + k * inner_step]);
                FDRNN_UNROLL
                for (int n = 0; n < N; ++n) c[i][n] = fused<real>(a[i], b[n], c[i][n]);
            }
        } else {
            FDRNN_UNROLL
            for (int i = 0; i < M; ++i) a[i] = repeated(halves[i / HALF][i % HALF * row_step + k * inner_step]);
            FDRNN_UNROLL
            for (int n = 0; n < N; ++n) {
                b[n] = loaded(B + n / V * panel_step + (k * V + n % V) * L);
                FDRNN_UNROLL
                for (int i = 0; i < M; ++i) c[i][n] = fused<real>(a[i], b[n], c[i][n]);
            }
        }
    }
    FDRNN_UNROLL
    for (int i = 0; i < M; ++i)
        FDRNN_UNROLL
        for (int n = 0; n < N; ++n) memcpy(C + i * ldc + n * L, &c[i][n], sizeof(vector));
}

/* The tile of `rows` rows, 1 to M. */
template <int M, int P, int V, typename real>
FDRNN_INLINE void tile_of(npy_intp rows, npy_intp K, const real *A, npy_intp row_step,
                          npy_intp inner_step, const real *B, npy_intp panel_step, bool add,
                          real *C, npy_intp ldc) {
    if constexpr (M > 1)
        if (rows < M)
            return tile_of<M - 1, P, V>(rows, K, A, row_step, inner_step, B, panel_step, add, C,
                                        ldc);
    tile<M, P, V>(K, A, row_step, inner_step, B, panel_step, add, C, ldc);
}

/* The first `columns` of P panels: tiles of at most M rows, as equal as can be. */
template <int M, int P, int V, typename real>
FDRNN_ONCE void tiles(npy_intp rows, npy_intp columns, npy_intp K, const real *A, npy_intp row_step,
                  npy_intp inner_step, const real *B, npy_intp panel_step, bool add, real *C,
                  npy_intp ldc) {
    constexpr npy_intp width = P * V * Vector<real>::lanes;
    const bool whole = columns == width;
    const size_t size = columns * sizeof(real);
    real edge[M * width];
    if (!whole) memset(edge, 0, sizeof edge);
    npy_intp i = 0;
    for (npy_intp parts = (rows + M - 1) / M; parts > 0; --parts) {
        const npy_intp m = (rows - i) / parts;
        real *c = C + i * ldc;
        if (!whole && add)
            for (npy_intp r = 0; r < m; ++r) memcpy(edge + r * width, c + r * ldc, size);
        tile_of<M, P, V>(m, K, A + i * row_step, row_step, inner_step, B, panel_step, add,
                         whole ? c : edge, whole ? ldc : width);
        if (!whole)
            for (npy_intp r = 0; r < m; ++r) memcpy(c + r * ldc, edge + r * width, size);
        i += m;
    }
}

/* The columns of the vectors `v` to `end` of `packed_product`. */
template <typename real>
inline void product_columns(npy_intp v, npy_intp end, npy_intp rows, npy_intp n, npy_intp K,
                            const real *A, npy_intp row_step, npy_intp inner_step, const real *B,
                            bool add, real *C, npy_intp ldc) {
    const npy_intp L = Vector<real>::lanes, vectors = vectors_of<real>(n), begin = v;
    const npy_intp most = INNER_BYTES / (PANEL * FDRNN_VECTOR_BYTES);
    npy_intp k = 0;
    for (npy_intp parts = K < 1 ? 1 : (K + most - 1) / most; parts > 0; --parts) {
        const npy_intp depth = (K - k) / parts;
        const real *a = A + k * inner_step;
        const bool sum = add || k > 0;
        v = begin;
        for (npy_intp width; v < end; v += width) {
            width = panel_vectors(vectors, v);
            const npy_intp j = v * L, left = n - j;
            const real *b = B + j * K + k * width * L;
            if (rows < FULL_ROWS && end - v >= 2 * PANEL && vectors - v != 2 * PANEL + 1) {
                width = 2 * PANEL;
                tiles<FULL_ROWS - 1, 2, PANEL>(rows, left < width * L ? left : width * L, depth,
                                               a, row_step, inner_step, b, PANEL * L * K, sum,
                                               C + j, ldc);
            } else if (width == PANEL) {
                tiles<tile_rows(PANEL), 1, PANEL>(rows, left < width * L ? left : width * L,
                                                  depth, a, row_step, inner_step, b, 0, sum,
                                                  C + j, ldc);
            } else if (width == 3) {
                tiles<tile_rows(3), 1, 3>(rows, left, depth, a, row_step, inner_step, b, 0, sum,
                                          C + j, ldc);
            } else {
                tiles<tile_rows(PANEL), 1, 1>(rows, left, depth, a, row_step, inner_step, b, 0,
                                              sum, C + j, ldc);
            }
        }
        k += depth;
    }
}

/*
 * What the thread that enters a loop does with subnormal numbers and with rounding, for the threads
 * that share the loop: they keep what was set when the first loop started them.
 */
class Environment {
    fenv_t env;
    const bool shared;

public:
    explicit Environment(int threads) : shared(threads > 1) {
        if (shared) fegetenv(&env);
    }
    void enter() const {
        if (shared) fesetenv(&env);
    }
};

/* Threads for a product of so many multiply-adds that can be cut into `most` parts. */
inline int threads_for(npy_intp multiply_adds, npy_intp most) {
#ifdef _OPENMP
    const npy_intp useful = multiply_adds / FDRNN_THREAD_WORK;
    const npy_intp limit = useful < most ? useful : most, threads = omp_get_max_threads();
    return omp_in_parallel() || limit < 2 ? 1 : (int)(threads < limit ? threads : limit);
#else
    (void)multiply_adds, (void)most;
    return 1;
#endif
}

template <typename real>
void packed_product(npy_intp rows, npy_intp n, npy_intp K, const real *A, npy_intp row_step,
                    npy_intp inner_step, const real *B, bool add, real *C, npy_intp ldc) {
    const npy_intp vectors = vectors_of<real>(n), panels = vectors > 1 ? vectors / PANEL : 1;
    const int threads = threads_for(rows * n * K, panels);
    const Environment environment(threads);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int part = 0; part < threads; ++part) {
        environment.enter();
        const npy_intp last = part + 1 == threads ? vectors : (part + 1) * panels / threads * PANEL;
        product_columns(part * panels / threads * PANEL, last, rows, n, K, A, row_step, inner_step,
                        B, add, C, ldc);
    }
}

/*
 * The columns of A that make the rows of a tile are copied next to each other: in A they may share
 * few cache sets.
 */
template <typename real>
void product_of_transposed(npy_intp m, npy_intp n, npy_intp K, const real *A, npy_intp lda,
                           const real *B, npy_intp ldb, bool add, real *C, npy_intp ldc,
                           real *workspace) {
    constexpr npy_intp most = tile_rows(PANEL);
    const npy_intp parts = (m + most - 1) / most;
    const int threads = threads_for(m * n * GRADIENT_ROWS, parts);
    const Environment environment(threads);
    for (npy_intp k = 0; k == 0 || k < K; k += GRADIENT_ROWS) {
        const npy_intp depth = K - k < GRADIENT_ROWS ? K - k : GRADIENT_ROWS;
        pack(depth, n, B + k * ldb, ldb, (npy_intp)1, [](real x) { return x; }, workspace);
#pragma omp parallel for num_threads(threads) if (threads > 1)
        for (npy_intp part = 0; part < parts; ++part) {
            environment.enter();
            const npy_intp i = part * m / parts, rows = (part + 1) * m / parts - i;
            const real *a = A + k * lda + i;
            real strip[GRADIENT_ROWS * most];
            if (i + most <= m) /* of a constant size: one or two moves */
                for (npy_intp d = 0; d < depth; ++d)
                    memcpy(strip + d * most, a + d * lda, most * sizeof(real));
            else
                for (npy_intp d = 0; d < depth; ++d)
                    memcpy(strip + d * most, a + d * lda, rows * sizeof(real));
            packed_product(rows, n, depth, strip, (npy_intp)1, most, workspace, add || k > 0,
                           C + i * ldc, ldc);
        }
    }
}

#ifdef FDRNN_REAL /* the type of an object's products */
template void packed_product(npy_intp, npy_intp, npy_intp, const FDRNN_REAL *, npy_intp, npy_intp,
                             const FDRNN_REAL *, bool, FDRNN_REAL *, npy_intp);
template void product_of_transposed(npy_intp, npy_intp, npy_intp, const FDRNN_REAL *, npy_intp,
                                    const FDRNN_REAL *, npy_intp, bool, FDRNN_REAL *, npy_intp,
                                    FDRNN_REAL *);
#endif

}  // namespace fdrnn
