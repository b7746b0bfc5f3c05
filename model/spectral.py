"""Spectral radii of recurrent weight matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import ArpackError, eigs

# Below this order a dense solve is as fast.
_LARGEST_DENSE = 128
# One wanted eigenvalue is not enough: where several have nearly the largest modulus (an initial
# W_rec has them all on a disc) the iteration may settle on a smaller one.
_WANTED = 6
_BASIS = 80
_TOLERANCE = 1e-6


def spectral_radius(matrix: npt.NDArray[np.floating[Any]]) -> float:
    """Return the largest modulus of the eigenvalues of a square matrix; NaN if not finite.

    Large matrices go through ARPACK's implicitly restarted Arnoldi iteration, from a start
    vector that depends on the order alone, so that equal matrices have equal radii. The result
    agrees with a dense solve to a relative 1e-4; where the iteration fails, the
    dense solve is used.

    Examples
    --------
    >>> spectral_radius(np.array([[0.0, 2.0], [-2.0, 0.0]]))
    2.0
    """
    if not np.isfinite(matrix).all():
        return float("nan")
    order = len(matrix)
    if order > _LARGEST_DENSE:
        start = np.random.default_rng(order).standard_normal(order)
        try:
            values = eigs(
                matrix.astype(np.float64),
                k=_WANTED,
                ncv=_BASIS,
                v0=start,
                tol=_TOLERANCE,
                return_eigenvectors=False,
            )
            return float(np.abs(values).max())
        except ArpackError:
            pass
    return float(np.abs(np.linalg.eigvals(matrix)).max())
