"""Spectral radii of recurrent weight matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackError, eigs

# Below this order a dense solve is as fast.
_LARGEST_DENSE = 128
# With one wanted eigenvalue, where several have nearly the largest modulus (an initial
# W_rec has them all on a disc) the iteration may settle on a smaller one.
_WANTED = 6
_BASIS = 80
# The project's matrices take up to 25 restarts, with 2,000 units 35. One whose eigenvalues have
# nearly the same modulus, such as an orthogonal one, would take minutes and fail in the end.
_MOST_RESTARTS = 100
_TOLERANCE = 1e-6
_MOST_POWERS = 100
_ROUNDING = 1e-12
_LEAST = 1e-200
_SMALL = 1e-6


def spectral_radius(matrix: npt.NDArray[np.floating[Any]], tolerance: float = _TOLERANCE) -> float:
    """Return the largest modulus of the eigenvalues of a square matrix; NaN if not finite.

    The eigenvalues are those of the diagonal blocks of the units that reach each other. A block of
    one unit has its diagonal element, so that nilpotent and defective matrices of units in a row,
    whose eigenvalues no iteration finds, have exact ones. A large block goes through ARPACK's
    implicitly restarted Arnoldi iteration, from a start vector that depends on the order alone, so
    that equal matrices have equal radii. The result agrees with a dense solve to a relative 1e-4,
    except on cycles of a hundred units and more, and on nearly orthogonal matrices, where it may be
    too small by 0.3 %; where the iteration fails, the dense solve is used. The radius of a
    nonnegative matrix, such as W^2, is its largest eigenvalue, which powers of the matrix bound
    from both sides.

    Parameters
    ----------
    matrix
        Shape (n, n).
    tolerance
        Relative accuracy at which the iteration stops; 0 is that of double precision.

    Examples
    --------
    >>> round(spectral_radius(np.array([[0.0, 2.0], [-2.0, 0.0]])), 9)
    2.0
    >>> spectral_radius(np.diag(np.ones(299), 1))
    0.0
    """
    if not np.isfinite(matrix).all():
        return float("nan")
    # Each unit reaches each other one.
    if matrix.all():
        return _irreducible_radius(matrix, tolerance)
    n_blocks, block_of = connected_components(csr_matrix(matrix), connection="strong")
    if n_blocks == 1:
        return _irreducible_radius(matrix, tolerance)
    sizes = np.bincount(block_of)
    radius = float(np.abs(np.diag(matrix)[sizes[block_of] == 1]).max(initial=0.0))
    for block in np.flatnonzero(sizes > 1):
        units = np.flatnonzero(block_of == block)
        radius = max(radius, _irreducible_radius(matrix[np.ix_(units, units)], tolerance))
    return radius


def _irreducible_radius(matrix: npt.NDArray[np.floating[Any]], tolerance: float) -> float:
    order = len(matrix)
    if order > _LARGEST_DENSE:
        if (matrix >= 0).all() and (bound := _nonnegative_radius(matrix, tolerance)) is not None:
            return bound
        start = np.random.default_rng(order).standard_normal(order)
        # ARPACK takes an error below 4e-11 for 0, however small the matrix.
        largest = float(np.abs(matrix).max())
        scale = largest if largest < _SMALL else 1.0
        try:
            values = eigs(
                matrix.astype(np.float64) / scale,
                k=_WANTED,
                ncv=_BASIS,
                v0=start,
                tol=tolerance,
                maxiter=_MOST_RESTARTS,
                return_eigenvectors=False,
            )
            return float(scale * np.abs(values).max())
        except ArpackError:
            pass
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def _nonnegative_radius(matrix: npt.NDArray[np.floating[Any]], tolerance: float) -> float | None:
    """Return the middle of Collatz and Wielandt's bounds; None where they stay apart.

    For every positive x, min (Ax)_i / x_i <= rho <= max (Ax)_i / x_i.
    """
    precise = matrix.astype(np.float64)
    x = np.ones(len(precise))
    for _ in range(_MOST_POWERS):
        y = precise @ x
        if not y.all():
            return None
        low, high = (y / x).min(), (y / x).max()
        if high - low <= max(tolerance, _ROUNDING) * high:
            return float((low + high) / 2)
        x = y / y.max()
        # A unit that vanishes beside the others has no quotient.
        if x.min() < _LEAST:
            return None
    return None
