r"""Measure the noise term of equation 4 over repeated draws at the same parameters.

The paper says of a sampled unit's regularisation term that it is a zero-centred Gaussian whose
scale does not depend on the weight, since with one incoming unit it is

.. math:: \frac{\partial J}{\partial \hat a}\, \sqrt{c_i}\, s, \qquad
    c_i = p (1 - p) E[x_i]^2 + p V[x_i].

A network can differ in both respects. The error signal
:math:`\partial J / \partial \hat a` depends on s itself, and then the mean is
:math:`\sqrt{V[a]}\, E[\partial^2 J / \partial \hat a^2]` times the rest (Stein's lemma) and not 0.
And with several incoming units the term is :math:`\partial J / \partial \hat a\; s\, c_i w_i /
\sqrt{V[a]}`, whose scale grows with the weight while the other units contribute most of V[a].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

N_DRAWS = 16
"""Draws that a study records."""

_N_FLIPS = 999
_N_SWEEPS = 50
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class NoiseTerm:
    """Mean and scale of the noise term of one weight matrix; NaN where there is no noise.

    Attributes
    ----------
    mean_by_error
        Norm of the mean over draws divided by that of its standard error; for a mean of 0 its
        square is 1 on average.
    p_value
        Of the hypothesis that the whole matrix of terms is distributed symmetrically about 0,
        against a mean that is not 0: the share of random signs of the draws, including all
        positive ones, whose sum has at least the norm of the sum of the draws. Exact under the
        hypothesis, however the weights' terms depend on each other.
    scale_slope
        Slope of the logarithm of a weight's standard deviation against that of its size, between
        weights of the same incoming unit and the same outgoing unit (the regression has an
        effect for each of both, since the scale may depend on them): 0 if the scale does not
        depend on the weight, 1 if it is proportional to it.
    """

    mean_by_error: float
    p_value: float
    scale_slope: float


def noise_term(weights: Array, draws: Array) -> NoiseTerm:
    """Measure the noise term of a weight matrix.

    Parameters
    ----------
    weights
        W, shape (n_incoming, n_units).
    draws
        The term in each draw, shape (n_draws, n_incoming, n_units), at least 2 draws.

    Returns
    -------
    NoiseTerm
        NaN throughout where the term is 0 in every draw (rate 0) or not finite.
    """
    n = len(draws)
    deviation = draws.std(axis=0, ddof=1)
    if not (np.isfinite(draws).all() and deviation.any()):
        return NoiseTerm(math.nan, math.nan, math.nan)
    error = np.linalg.norm(deviation) / math.sqrt(n)
    return NoiseTerm(
        mean_by_error=float(np.linalg.norm(draws.mean(axis=0)) / error),
        p_value=_p_value(draws.reshape(n, -1)),
        scale_slope=_scale_slope(np.abs(weights), deviation),
    )


def _p_value(draws: Array) -> float:
    gram = draws @ draws.T
    signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(_N_FLIPS, len(draws)))
    squares = np.einsum("fi,ij,fj->f", signs, gram, signs)
    # Rounding must not separate equal signs.
    reached = squares >= gram.sum() * (1 - 1e-9)
    return float((1 + reached.sum()) / (1 + _N_FLIPS))


def _scale_slope(size: Array, deviation: Array) -> float:
    known = (size > 0) & (deviation > 0)
    x, y = (_without_effects(value, known) for value in (size, deviation))
    square = float((x * x).sum())
    return float((x * y).sum()) / square if square > 0 else math.nan


def _without_effects(values: Array, known: npt.NDArray[Any]) -> Array:
    """Return the logarithms minus the effects of rows and columns, 0 where not known."""
    rest = np.where(known, np.log(np.where(known, values, 1.0)), 0.0)
    counts = [np.maximum(known.sum(axis=axis, keepdims=True), 1) for axis in (0, 1)]
    for _ in range(_N_SWEEPS):
        largest = 0.0
        for axis in (0, 1):
            effect = rest.sum(axis=axis, keepdims=True) / counts[axis]
            rest = np.where(known, rest - effect, 0.0)
            largest = max(largest, float(np.abs(effect).max()))
        if largest < _TOLERANCE:
            break
    return rest
