"""The parts of the gradient of one weight matrix (see `fdrnn.model.gradients.decompose`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerDecomposition:
    """The parts of the gradient of one weight matrix, float64.

    Attributes
    ----------
    name
        The matrix: ``"W_in"``, ``"W_rec"`` or ``"W_out"``.
    weights
        W, shape (n_incoming, n_units).
    delta
        delta^a of every row and unit, shape (R, n_units). W_in and W_rec feed the same units, so
        theirs are the same.
    eta
        Sum over rows of eta^a, shape of W; not negative.
    loss_gradient
        Sum over rows of the local derivative of the training loss, equation 3.
    regularizer_gradient
        Sum over rows of 2 sgn(delta^a) eta^a w.
    full_gradient
        The gradient by back-propagation, of which the last two are the parts.
    """

    name: str
    weights: Array
    delta: Array
    eta: Array
    loss_gradient: Array
    regularizer_gradient: Array
    full_gradient: Array

    @property
    def residual(self) -> float:
        """Largest error of the sum of the parts, relative to the full gradient's largest entry."""
        error = np.abs(self.loss_gradient + self.regularizer_gradient - self.full_gradient).max()
        return float(error / max(np.abs(self.full_gradient).max(), np.finfo(np.float64).tiny))

    @property
    def loss_norm(self) -> float:
        """Norm of the training loss's gradient."""
        return float(np.linalg.norm(self.loss_gradient))

    @property
    def regularizer_norm(self) -> float:
        """Norm of the regulariser's gradient."""
        return float(np.linalg.norm(self.regularizer_gradient))

    @property
    def norm_ratio(self) -> float:
        """Norm of the regulariser's gradient divided by that of the training loss's."""
        return self.regularizer_norm / max(self.loss_norm, float(np.finfo(np.float64).tiny))

    @property
    def pull(self) -> float:
        """Coefficient of the regulariser's gradient R on W, <W, R> / <W, W>.

        Weight decay's is 2 lambda for all weights. Descent along R makes W smaller
        where it is positive, larger where it is negative.
        """
        return float(
            np.vdot(self.weights, self.regularizer_gradient)
            / max(np.vdot(self.weights, self.weights), np.finfo(np.float64).tiny)
        )

    @property
    def pulled_share(self) -> float:
        """Share of the weights that descent along R makes smaller; weight decay's is 1.

        Of those weights whose R is not 0; NaN where there is none, or R is not finite.
        """
        along = self.weights * self.regularizer_gradient
        if not np.isfinite(along).all():
            return math.nan
        n_acted_on = np.count_nonzero(along)
        return float(np.count_nonzero(along > 0) / n_acted_on) if n_acted_on else math.nan

    @property
    def shares(self) -> tuple[float, float, float]:
        """Shares of rows and units with delta^a < 0, = 0 and > 0; NaN where one is not finite."""
        if not np.isfinite(self.delta).all():
            return math.nan, math.nan, math.nan
        sign = np.sign(self.delta)
        negative, zero, positive = (float(np.mean(sign == value)) for value in (-1, 0, 1))
        return negative, zero, positive
