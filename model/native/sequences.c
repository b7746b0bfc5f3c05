#section support_code
/* Checks of the layers in which each of B sequences has its own matrix. */
namespace fdrnn {

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
