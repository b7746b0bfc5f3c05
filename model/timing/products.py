"""The matrix products of one training step, the lower bound of its time.

Plain ``sgemm`` calls of the linked BLAS on row-major matrices, unpacked, called as the native
operations call them:

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

Each is computed `Variant.n_products` times: twice for fast dropout, for means and variances. G is
`Variant.n_gates`, 1 except for gated cells.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fdrnn.model.blas import linked_blas

Matrix = npt.NDArray[np.float32]


def training_step_products(
    batch_size: int,
    n_hidden: int,
    n_steps: int,
    n_features: int,
    n_products: int = 2,
    n_gates: int = 1,
) -> Callable[[], None]:
    """Return a function that computes the products of one step, on random matrices."""
    blas = linked_blas()
    sgemm = getattr(ctypes.CDLL(str(blas.library)), f"{blas.prefix}sgemm_")
    rng = np.random.default_rng(0)
    n_rows = n_steps * batch_size

    def matrix(rows: int, columns: int) -> Matrix:
        return rng.standard_normal((rows, columns), dtype=np.float32)

    def product(a: Matrix, b: Matrix) -> Callable[[], None]:
        return _sgemm(sgemm, b"N", a, b, np.empty((len(a), b.shape[1]), np.float32))

    def product_of_transposed(a: Matrix, b: Matrix) -> Callable[[], None]:
        return _sgemm(sgemm, b"T", a, b, np.empty((a.shape[1], b.shape[1]), np.float32))

    n_columns = n_gates * n_hidden
    forward = product(matrix(batch_size, n_hidden), matrix(n_hidden, n_columns))
    backward = product(matrix(batch_size, n_columns), matrix(n_columns, n_hidden))
    hidden, gradient = matrix(n_rows, n_hidden), matrix(n_rows, n_columns)
    x, z = matrix(n_rows, n_features), matrix(n_rows, n_features)
    of_all_rows = [
        product_of_transposed(hidden, gradient),
        product(x, matrix(n_features, n_columns)),
        product_of_transposed(x, gradient),
        product(hidden, matrix(n_hidden, n_features)),
        product(z, matrix(n_features, n_hidden)),
        product_of_transposed(hidden, z),
    ]

    def products() -> None:
        for call in (forward, backward):
            for _ in range(n_products * n_steps):
                call()
        for call in of_all_rows:
            for _ in range(n_products):
                call()

    return products


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

    def call() -> None:
        sgemm(b"N", transposed, columns, rows, inner, one, at_b, of_b, at_a, of_a, zero, at_c, of_b)

    return call
