#section support_code
/*
 * Shared by every native op: buffers, products, argument checks.
 *
 * Loops have `ivdep`: their arrays never overlap, but the vectoriser ignores `restrict` once a
 * function is inlined; without it the longer loops are scalar and several times slower.
 *
 * All matrices are C-contiguous. Every name is a template or an overload on `real`, which is
 * npy_float32 in training and npy_float64 where gradients are checked.
 */
#include <cstdlib>
#include <initializer_list>

namespace fdrnn {

const npy_intp ROW_BLOCK = 256; /* rows worked on at a time, so that they stay in the cache */

/* Elements of a block whose pre-synaptic moments stay in the second-level cache until used. */
const npy_intp INPUT_BLOCK = 65536;

/* A buffer kept between calls: grows, never shrinks; aligned to a cache line. */
template <typename real>
struct Buffer {
    real *data;
    npy_intp capacity;
    Buffer() : data(NULL), capacity(0) {}
    ~Buffer() { free(data); }
    /* NULL if there is no memory. */
    real *get(npy_intp size) {
        if (size < 1) size = 1;
        if (size > capacity) {
            free(data);
            data = NULL;
            capacity = 0;
            void *fresh = NULL;
            if (posix_memalign(&fresh, 64, (size_t)size * sizeof(real))) return NULL;
            data = (real *)fresh;
            capacity = size;
        }
        return data;
    }
};

/* Buffers kept between calls, each of which requests them in the same order. */
template <typename real>
struct Workspace {
    Buffer<real> buffers[96]; /* deep_grad.c requests the most: 11 for each layer */
    Buffer<real> panels; /* of a weight gradient, each of which overwrites the previous */
    int used;
    bool failed; /* whether there was no memory */
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

/* What a matrix may become while it is packed: factor W, or factor W^2, elementwise. */
template <typename real>
inline auto scaled_by(real factor) {
    return [=](real w) { return factor * w; };
}
template <typename real>
inline auto square_scaled_by(real factor) {
    return [=](real w) { return factor * w * w; };
}

/* A matrix (K, n) that is packed once and multiplied often; see product.c. */
template <typename real>
struct Packed {
    npy_intp K, n;
    real *panels; /* NULL where there is no such matrix */
    Packed() : K(0), n(0), panels(NULL) {}
    Packed(npy_intp K_, npy_intp n_, Workspace<real> &workspace)
        : K(K_), n(n_), panels(workspace.get(packed_size<real>(K_, n_))) {}
    /* From W (K, n), or from W (n, K) transposed. */
    template <typename Map>
    void fill(const real *W, Map map) const {
        pack(K, n, W, n, (npy_intp)1, map, panels);
    }
    void fill(const real *W) const { fill(W, scaled_by(real(1))); }
    template <typename Map>
    void fill_transposed(const real *W, Map map) const {
        pack(K, n, W, (npy_intp)1, K, map, panels);
    }
    void fill_transposed(const real *W) const { fill_transposed(W, scaled_by(real(1))); }
    /* C (rows, n) = or += A (rows, K) times the matrix. */
    void multiply(npy_intp rows, const real *A, bool add, real *C) const {
        packed_product(rows, n, K, A, K, (npy_intp)1, panels, add, C, n);
    }
};

/* C (m, n) = or += A' B for A (K, m), B (K, n): a weight gradient. */
template <typename real>
inline void product_at(npy_intp m, npy_intp n, npy_intp K, const real *A, npy_intp lda,
                       const real *B, npy_intp ldb, bool add, real *C,
                       Workspace<real> &workspace) {
    real *panels = workspace.panels.get(transposed_workspace<real>(n));
    if (panels) product_of_transposed(m, n, K, A, lda, B, ldb, add, C, n, panels);
    else workspace.failed = true;
}
template <typename real>
inline void product_at(npy_intp m, npy_intp n, npy_intp K, const real *A, const real *B, bool add,
                       real *C, Workspace<real> &workspace) {
    product_at(m, n, K, A, m, B, n, add, C, workspace);
}

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

/* 0 if an array that is only read is contiguous and of this shape; else -1 with a ValueError. */
inline int expect(const char *op, const char *name, PyArrayObject *array, Shape shape) {
    if (!PyArray_ISCARRAY_RO(array)) {
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

/* out = u v, elementwise. */
template <typename real>
inline void multiplied(npy_intp size, const real *__restrict u, const real *__restrict v,
                       real *__restrict out) {
#pragma GCC ivdep
    for (npy_intp i = 0; i < size; ++i) out[i] = u[i] * v[i];
}

/* Constants of the approximate moments of the logistic sigmoid; see moments.py. */
template <typename real>
struct SigmoidMoments {
    static constexpr real c = real(0.39269908169872414);      /* pi / 8 */
    static constexpr real alpha = real(1.1715728752538097);   /* 4 - 2 sqrt 2 */
    static constexpr real beta = real(0.88137358701954305);   /* -ln(sqrt 2 - 1) */
};

}  // namespace fdrnn
