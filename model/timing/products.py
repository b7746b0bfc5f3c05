"""The matrix products of one training step, the lower bound of its time.

Plain ``sgemm`` calls of SciPy's OpenBLAS on row-major matrices, unpacked, one for each product of
the native operations, which have their own:

==========================  =====================================  =======
product                     shapes                                 calls
==========================  =====================================  =======
recurrence                  (B, H) x (H, G H)                      2 T
its gradients               (B, G H) x (G H, H)                    2 T
its weight gradients        (T B, H)' x (T B, G H)                 2
input layer                 (T B, D) x (D, G H)                    2
its weight gradients        (T B, D)' x (T B, G H)                 2
output layer                (T B, H) x (H, D)                      2
its gradients               (T B, D) x (D, H)                      2
its weight gradients        (T B, H)' x (T B, D)                   2
==========================  =====================================  =======

Our own kernel makes the same; see `fdrnn.model.timing.kernel`. Two of each for fast dropout, as
means and variances have products of their own; as many as `Variant.n_products` for others. G is
`Variant.n_gates`, 1 except for gated cells. The first three are made for each of as many matrices
as `Variant.n_matrices` counts.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.linalg import cython_blas

from fdrnn.model.timing.kernel import kernel

Matrix = npt.NDArray[np.float32]


def training_step_products(
    batch_size: int,
    n_hidden: int,
    n_steps: int,
    n_features: int,
    n_products: int = 2,
    n_gates: int = 1,
    n_matrices: int = 1,
    ours: bool = False,
) -> Callable[[], None]:
    """Return a function that makes the products of one step, on random matrices.

    Parameters
    ----------
    batch_size, n_hidden, n_steps, n_features
        B, H, T, D.
    n_products, n_gates, n_matrices
        `Variant.n_products`, `Variant.n_gates`, `Variant.n_matrices`.
    ours
        Whether to make them with ``native/product.c``, which packs a matrix of the recurrence once,
        instead of OpenBLAS.
    """
    rng = np.random.default_rng(0)
    n_rows = n_steps * batch_size

    def matrix(rows: int, columns: int) -> Matrix:
        return rng.standard_normal((rows, columns), dtype=np.float32)

    product = _packed if ours else _unpacked(b"N")
    product_of_transposed = _of_transposed if ours else _unpacked(b"T")
    n_columns = n_gates * n_hidden
    hidden, gradient = matrix(n_rows, n_hidden), matrix(n_rows, n_columns)
    x, z = matrix(n_rows, n_features), matrix(n_rows, n_features)
    recurrence = [
        (
            product(matrix(batch_size, n_hidden), matrix(n_hidden, n_columns), n_steps),
            product(matrix(batch_size, n_columns), matrix(n_columns, n_hidden), n_steps),
            product_of_transposed(hidden, gradient, 1),
        )
        for _ in range(n_matrices)
    ]
    calls = [
        *(call for calls in recurrence for call in calls),
        product(x, matrix(n_features, n_columns), 1),
        product_of_transposed(x, gradient, 1),
        product(hidden, matrix(n_hidden, n_features), 1),
        product(z, matrix(n_features, n_hidden), 1),
        product_of_transposed(hidden, z, 1),
    ]

    def products() -> None:
        for call in calls:
            for _ in range(n_products):
                call()

    return products


def operations(batch_size: int, n_hidden: int, n_steps: int, n_features: int) -> int:
    """Return the additions and multiplications of these products, for one gate."""
    per_row = n_hidden * (3 * n_hidden + 5 * n_features)
    # An addition and a multiplication, of mean and of variance.
    return 2 * 2 * n_steps * batch_size * per_row


def _pointer(array: Matrix) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def _packed(a: Matrix, b: Matrix, n_times: int) -> Callable[[], None]:
    (m, K), n = a.shape, b.shape[1]
    sizes = [ctypes.c_ssize_t(size) for size in (m, n, K)]
    panels = np.empty(kernel().size_packed(sizes[2], sizes[1]), np.float32)
    c = np.empty((m, n), np.float32)
    pointers = [_pointer(array) for array in (a, panels, c)]

    def call() -> None:
        kernel().pack_matrix(sizes[2], sizes[1], _pointer(b), _pointer(panels))
        for _ in range(n_times):
            kernel().multiply(*sizes, *pointers)

    return call


def _of_transposed(a: Matrix, b: Matrix, n_times: int) -> Callable[[], None]:
    (K, m), n = a.shape, b.shape[1]
    sizes = [ctypes.c_ssize_t(size) for size in (m, n, K)]
    workspace = np.empty(kernel().size_workspace(sizes[1]), np.float32)
    arrays = (a, b, np.empty((m, n), np.float32), workspace)

    def call() -> None:
        for _ in range(n_times):
            kernel().multiply_transposed(*sizes, *map(_pointer, arrays))

    return call


def _unpacked(transposed: bytes) -> Callable[[Matrix, Matrix, int], Callable[[], None]]:
    sgemm = _scipy_sgemm()

    def product(a: Matrix, b: Matrix, n_times: int) -> Callable[[], None]:
        n_rows = len(a) if transposed == b"N" else a.shape[1]
        call = _sgemm(sgemm, transposed, a, b, np.empty((n_rows, b.shape[1]), np.float32))

        def calls() -> None:
            for _ in range(n_times):
                call()

        return calls

    return product


def _scipy_sgemm() -> Callable[..., None]:
    """Return the function behind SciPy's, without the checks and copies of its Python interface."""
    capsule = ctypes.py_object(cython_blas.__pyx_capi__["sgemm"])
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetPointer.restype = (
        ctypes.c_char_p,
        ctypes.c_void_p,
    )
    name = ctypes.c_char_p(api.PyCapsule_GetName(capsule))
    pointer = api.PyCapsule_GetPointer(capsule, name)
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(pointer)


def _sgemm(
    sgemm: Callable[..., None], transposed: bytes, a: Matrix, b: Matrix, c: Matrix
) -> Callable[[], None]:
    # BLAS is column-major: it computes c' = b' a', and reads a row-major matrix as its transpose.
    n_columns, n_rows = c.shape[1], c.shape[0]
    n_inner = a.shape[1] if transposed == b"N" else a.shape[0]
    sizes = [ctypes.c_int(n) for n in (n_columns, n_rows, n_inner, n_columns, a.shape[1])]
    columns, rows, inner, of_b, of_a = (ctypes.byref(size) for size in sizes)
    one, zero = ctypes.byref(ctypes.c_float(1)), ctypes.byref(ctypes.c_float(0))
    at_a, at_b, at_c = (array.ctypes.data_as(ctypes.c_void_p) for array in (a, b, c))
    plain, as_said = (ctypes.c_char_p(text) for text in (b"N", transposed))

    def call() -> None:
        sgemm(plain, as_said, columns, rows, inner, one, at_b, of_b, at_a, of_a, zero, at_c, of_b)

    return call
