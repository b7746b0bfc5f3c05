#section support_code
/*
 * What layers share in which every sequence has a matrix of its own: products of a vector with a
 * matrix, and arrays (B, rows, columns) of the B sequences' matrices.
 */
extern "C" {
void sgemv_(const char *, const int *, const int *, const float *, const float *, const int *,
            const float *, const int *, const float *, float *, const int *);
void dgemv_(const char *, const int *, const int *, const double *, const double *, const int *,
            const double *, const int *, const double *, double *, const int *);
}

namespace fdrnn {

inline void gemv(const char *a, int m, int n, float alpha, const float *A, int lda, const float *x,
                 float beta, float *y) {
    const int one = 1;
    sgemv_(a, &m, &n, &alpha, A, &lda, x, &one, &beta, y, &one);
}
inline void gemv(const char *a, int m, int n, double alpha, const double *A, int lda,
                 const double *x, double beta, double *y) {
    const int one = 1;
    dgemv_(a, &m, &n, &alpha, A, &lda, x, &one, &beta, y, &one);
}

/* An output array of this shape, reusing the one of the previous call where it fits. */
template <typename real>
inline real *output_matrices(PyArrayObject **array, int typenum, npy_intp B, npy_intp rows,
                             npy_intp columns) {
    npy_intp shape[3] = {B, rows, columns};
    bool fits = *array && PyArray_NDIM(*array) == 3 && PyArray_TYPE(*array) == typenum &&
                PyArray_IS_C_CONTIGUOUS(*array) && PyArray_ISBEHAVED(*array) &&
                PyArray_CompareLists(PyArray_DIMS(*array), shape, 3);
    if (!fits) {
        Py_XDECREF(*array);
        *array = (PyArrayObject *)PyArray_SimpleNew(3, shape, typenum);
        if (!*array) return NULL;
    }
    return (real *)PyArray_DATA(*array);
}

/* 0 if the array is contiguous of shape (B, rows, columns); else -1 with a ValueError set. */
inline int expect_matrices(const char *op, const char *name, PyArrayObject *array, npy_intp B,
                           npy_intp rows, npy_intp columns) {
    if (PyArray_NDIM(array) != 3 || PyArray_DIM(array, 0) != B ||
        PyArray_DIM(array, 1) != rows || PyArray_DIM(array, 2) != columns ||
        !PyArray_IS_C_CONTIGUOUS(array) || !PyArray_ISBEHAVED(array)) {
        PyErr_Format(PyExc_ValueError, "%s: %s must be C-contiguous of shape (%zd, %zd, %zd)", op,
                     name, (Py_ssize_t)B, (Py_ssize_t)rows, (Py_ssize_t)columns);
        return -1;
    }
    return 0;
}

/* 0 if there are as many rows for each of B sequences; else -1 with a ValueError set. */
inline int expect_multiple(const char *op, npy_intp rows, npy_intp B) {
    if (B < 1 || rows % B) {
        PyErr_Format(PyExc_ValueError,
                     "%s: the rows of x, %zd, must be a multiple of the sequences, %zd", op,
                     (Py_ssize_t)rows, (Py_ssize_t)B);
        return -1;
    }
    return 0;
}

/* 0 if every step of n_rows has B rows; else -1 with a ValueError set. */
inline int expect_constant_packing(const char *op, PyArrayObject *n_rows, npy_intp B) {
    const npy_int64 *n = (const npy_int64 *)PyArray_DATA(n_rows);
    for (npy_intp t = 0; t < PyArray_DIM(n_rows, 0); ++t) {
        if (n[t] != B) {
            PyErr_Format(PyExc_ValueError,
                         "%s: every step must have one row for each of the %zd sequences, got "
                         "%zd at step %zd", op, (Py_ssize_t)B, (Py_ssize_t)n[t], (Py_ssize_t)t);
            return -1;
        }
    }
    return 0;
}

}  // namespace fdrnn
