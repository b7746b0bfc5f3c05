"""Spectral radii of recurrent weight matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def spectral_radius(matrix: npt.NDArray[np.floating[Any]]) -> float:
    """Return the largest modulus of the eigenvalues of a square matrix; NaN if not finite.

    Examples
    --------
    >>> spectral_radius(np.array([[0.0, 2.0], [-2.0, 0.0]]))
    2.0
    """
    if not np.isfinite(matrix).all():
        return float("nan")
    return float(np.abs(np.linalg.eigvals(matrix)).max())
