#section support_code
/*
 * Shared by every native op: BLAS, buffers, argument checks, vectorisable functions.
 *
 * Loops have `ivdep`: their arrays never overlap, but the vectoriser ignores `restrict` once a
 * function is inlined; without it the longer loops are scalar and several times slower.
 *
 * All matrices are C-contiguous. Every name is a template or an overload on `real`, which is
 * npy_float32 in training and npy_float64 where gradients are checked.
 */
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

extern "C" {
void sgemm_(const char *, const char *, const int *, const int *, const int *, const float *,
            const float *, const int *, const float *, const int *, const float *, float *,
            const int *);
void dgemm_(const char *, const char *, const int *, const int *, const int *, const double *,
            const double *, const int *, const double *, const int *, const double *, double *,
            const int *);
}

namespace fdrnn {

const npy_intp ROW_BLOCK = 256; /* rows worked on at a time, so that they stay in the cache */

/* Elements of a block whose pre-synaptic moments stay in the second-level cache until used. */
const npy_intp INPUT_BLOCK = 65536;

inline void gemm(const char *a, const char *b, int m, int n, int k, float alpha, const float *A,
                 int lda, const float *B, int ldb, float beta, float *C, int ldc) {
    sgemm_(a, b, &m, &n, &k, &alpha, A, &lda, B, &ldb, &beta, C, &ldc);
}
inline void gemm(const char *a, const char *b, int m, int n, int k, double alpha, const double *A,
                 int lda, const double *B, int ldb, double beta, double *C, int ldc) {
    dgemm_(a, b, &m, &n, &k, &alpha, A, &lda, B, &ldb, &beta, C, &ldc);
}

/* C (m, n) = A (m, k) B (k, n) + beta C, row-major. BLAS is column-major: C' = B' A'. */
template <typename real>
inline void product(npy_intp m, npy_intp n, npy_intp k, const real *A, const real *B, real beta,
                    real *C) {
    if (m == 0 || n == 0) return;
    gemm("N", "N", (int)n, (int)m, (int)k, real(1), B, (int)n, A, (int)k, beta, C, (int)n);
}

/* C (m, n) = A' B + beta C with A (k, m) and B (k, n), row-major: a weight gradient. */
template <typename real>
inline void product_at(npy_intp m, npy_intp n, npy_intp k, const real *A, const real *B, real beta,
                       real *C) {
    if (m == 0 || n == 0) return;
    if (k == 0) {
        /* Memory that was never written may hold NaN, which 0 does not take away. */
        if (beta == real(0)) memset(C, 0, (size_t)(m * n) * sizeof(real));
        else for (npy_intp i = 0; i < m * n; ++i) C[i] *= beta;
        return;
    }
    gemm("N", "T", (int)n, (int)m, (int)k, real(1), B, (int)n, A, (int)m, beta, C, (int)n);
}

/* A buffer kept between calls: grows, never shrinks; aligned to a cache line. */
template <typename real>
struct Buffer {
    real *data;
    npy_intp capacity;
    Buffer() : data(NULL), capacity(0) {}
    ~Buffer() { free(data); }
    /* NULL with a Python MemoryError set if there is no memory. */
    real *get(npy_intp size) {
        if (size < 1) size = 1;
        if (size > capacity) {
            free(data);
            data = NULL;
            capacity = 0;
            void *fresh = NULL;
            if (posix_memalign(&fresh, 64, (size_t)size * sizeof(real))) {
                PyErr_NoMemory();
                return NULL;
            }
            data = (real *)fresh;
            capacity = size;
        }
        return data;
    }
};

/* Buffers kept between calls, each of which requests them in the same order. */
template <typename real>
struct Workspace {
    Buffer<real> buffers[16];
    int used;
    bool failed; /* whether there was no memory; a Python MemoryError is set */
    Workspace() : used(0), failed(false) {}
    void restart() {
        used = 0;
        failed = false;
    }
    real *get(npy_intp size) {
        real *data = buffers[used++].get(size);
        failed = failed || !data;
        return data;
    }
};

typedef std::initializer_list<npy_intp> Shape;

/* An output array of this shape, reusing the one of the previous call where it fits. */
template <typename real>
inline real *output(PyArrayObject **array, int typenum, Shape shape) {
    const int ndim = (int)shape.size();
    bool fits = *array && PyArray_NDIM(*array) == ndim && PyArray_TYPE(*array) == typenum &&
                PyArray_IS_C_CONTIGUOUS(*array) && PyArray_ISBEHAVED(*array) &&
                PyArray_CompareLists(PyArray_DIMS(*array), shape.begin(), ndim);
    if (!fits) {
        Py_XDECREF(*array);
        *array = (PyArrayObject *)PyArray_SimpleNew(ndim, shape.begin(), typenum);
        if (!*array) return NULL;
    }
    return (real *)PyArray_DATA(*array);
}

/* 0 if the array is contiguous and of this shape; else -1 with a ValueError set. */
inline int expect(const char *op, const char *name, PyArrayObject *array, Shape shape) {
    if (!PyArray_IS_C_CONTIGUOUS(array) || !PyArray_ISBEHAVED(array)) {
        PyErr_Format(PyExc_ValueError, "%s: %s must be C-contiguous and aligned", op, name);
        return -1;
    }
    if (PyArray_CompareLists(PyArray_DIMS(array), shape.begin(), (int)shape.size())) return 0;
    PyObject *wanted = PyArray_IntTupleFromIntp((int)shape.size(), shape.begin());
    PyObject *got = PyArray_IntTupleFromIntp((int)shape.size(), PyArray_DIMS(array));
    if (wanted && got)
        PyErr_Format(PyExc_ValueError, "%s: %s must have shape %S, got %S", op, name, wanted, got);
    Py_XDECREF(wanted);
    Py_XDECREF(got);
    return -1;
}

/* 0 if a count is at least 1; else -1 with a ValueError set. */
inline int expect_positive(const char *op, const char *what, npy_intp count) {
    if (count >= 1) return 0;
    PyErr_Format(PyExc_ValueError, "%s: %s must be at least 1, got %zd", op, what,
                 (Py_ssize_t)count);
    return -1;
}

/* 0 if n_rows (T,) is positive and sums to the rows of x; else -1 with a ValueError set. */
inline int expect_packing(const char *op, PyArrayObject *n_rows, npy_intp total) {
    const npy_int64 *n = (const npy_int64 *)PyArray_DATA(n_rows);
    npy_intp sum = 0;
    if (expect_positive(op, "the number of steps in n_rows", PyArray_DIM(n_rows, 0))) return -1;
    for (npy_intp t = 0; t < PyArray_DIM(n_rows, 0); ++t) {
        if (n[t] < 1 || n[t] > total) {
            PyErr_Format(PyExc_ValueError,
                         "%s: n_rows must be between 1 and the rows of x (%zd), got %zd at "
                         "step %zd", op, (Py_ssize_t)total, (Py_ssize_t)n[t], (Py_ssize_t)t);
            return -1;
        }
        sum += n[t];
    }
    if (sum != total) {
        PyErr_Format(PyExc_ValueError, "%s: n_rows must sum to the rows of x, %zd, got %zd", op,
                     (Py_ssize_t)total, (Py_ssize_t)sum);
        return -1;
    }
    return 0;
}

template <typename real>
inline real scalar(PyArrayObject *array) {
    return *(const real *)PyArray_DATA(array);
}

/*
 * exp for arguments in [-87, 88] (clamped; NaN stays NaN), relative error below 4e-7 in single
 * precision: 2^n e^r, |r| <= ln 2 / 2, e^r by its Taylor polynomial of degree 7. The compiler may
 * merge the two steps of the reduction to r where the processor multiplies and adds in one: the
 * error is 8e-8 where it does not.
 */
inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float n = __builtin_rintf(x * 1.44269504f);
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float e = 1.0f / 5040.0f;
    e = e * r + 1.0f / 720.0f;
    e = e * r + 1.0f / 120.0f;
    e = e * r + 1.0f / 24.0f;
    e = e * r + 1.0f / 6.0f;
    e = e * r + 0.5f;
    e = e * r + 1.0f;
    e = e * r + 1.0f;
    /* The bits of 2^n; a NaN's integer is arbitrary, its product stays NaN. */
    int bits = ((int)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return e * scale;
}
inline double exponential(double x) { return std::exp(x); }

template <typename real>
inline real sigmoid(real x) {
    return real(1) / (real(1) + exponential(-x));
}

/*
 * log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), relative error below 1e-6 in single precision.
 * The logarithm of y in (1, 2] is 2 artanh(w), w = (y - 1) / (y + 1) <= 1/3, by its series.
 */
inline float softplus(float x) {
    float e = exponential(x < 0.0f ? x : -x);
    float w = e / (2.0f + e);
    float q = w * w;
    float s = 1.0f / 13.0f;
    s = s * q + 1.0f / 11.0f;
    s = s * q + 1.0f / 9.0f;
    s = s * q + 1.0f / 7.0f;
    s = s * q + 1.0f / 5.0f;
    s = s * q + 1.0f / 3.0f;
    s = s * q + 1.0f;
    return (x > 0.0f ? x : 0.0f) + 2.0f * w * s;
}
inline double softplus(double x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x))); }

/* out = u v, elementwise. */
template <typename real>
inline void multiplied(npy_intp size, const real *__restrict u, const real *__restrict v,
                       real *__restrict out) {
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i) out[i] = u[i] * v[i];
}

/* out (columns, rows) = W (rows, columns)', by tiles that stay in the first-level cache. */
template <typename real>
inline void transposed(npy_intp rows, npy_intp columns, const real *__restrict W,
                       real *__restrict out) {
    const npy_intp tile = 16;
    for (npy_intp i = 0; i < rows; i += tile)
        for (npy_intp j = 0; j < columns; j += tile)
            for (npy_intp k = i; k < i + tile && k < rows; ++k)
                for (npy_intp l = j; l < j + tile && l < columns; ++l)
                    out[l * rows + k] = W[k * columns + l];
}

/* Constants of the approximate moments of the logistic sigmoid; see moments.py. */
template <typename real>
struct SigmoidMoments {
    static constexpr real c = real(0.39269908169872414);      /* pi / 8 */
    static constexpr real alpha = real(1.1715728752538097);   /* 4 - 2 sqrt 2 */
    static constexpr real beta = real(0.88137358701954305);   /* -ln(sqrt 2 - 1) */
};

}  // namespace fdrnn
