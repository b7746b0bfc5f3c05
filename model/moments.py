r"""Moments of random variables through affine steps and transfer functions, symbolically.

Each function takes and returns Theano expressions of one shape, elementwise unless stated
otherwise: a mean, and a variance that is not negative. The native kernels compute the same; these
expressions are the readable form and the reference.

Accuracy of the approximations, largest absolute error against numerical integration for
means in [-10, 10] and variances in [0, 25] (the tests hold it):

=========  =======  ========
function   mean     variance
=========  =======  ========
sigmoid    0.016    0.027
tanh       0.035    0.109
rectifier  exact    exact
=========  =======  ========

The largest errors of the variances are at v = 0, where they should be 0: a unit without input
variance passes on up to 0.027 (sigmoid) and 0.108 (tanh), as in the paper's equations.

References
----------
Bayer et al. 2013, equations 1 and 2. Wang and Manning 2013, *Fast dropout training*, ICML.
"""

from __future__ import annotations

import math
from typing import Any

from fdrnn.model.toolchain import theano

T = theano.tensor

Expression = Any
"""A Theano expression: the library has no types."""

Moments = tuple[Expression, Expression]

SIGMOID_SLOPE = 4 - 2 * math.sqrt(2)
"""alpha in E[sig(x)^2] ~ sig(alpha (m - beta) / sqrt(1 + pi alpha^2 v / 8))."""

SIGMOID_SHIFT = -math.log(math.sqrt(2) - 1)
"""beta in E[sig(x)^2]."""


def _constant(value: float, like: Expression) -> Expression:
    # A Python float would turn a float32 graph into float64.
    return T.constant(value, dtype=like.dtype)


def affine(
    mean: Expression,
    variance: Expression,
    weights: Expression,
    bias: Expression,
    p_keep: Expression,
) -> Moments:
    """Return the moments of a = (d * x) W + b with Bernoulli d (equations 1 and 2).

    Parameters
    ----------
    mean, variance
        Moments of x, shape (..., n).
    weights
        W, shape (n, m).
    bias
        b, shape (m,).
    p_keep
        Probability that an element of d is 1: 1 - dropout rate, in (0, 1].

    Returns
    -------
    mean, variance
        Shape (..., m): p_keep mean W + b and
        (p_keep (1 - p_keep) mean^2 + p_keep variance) W^2, W^2 elementwise.
    """
    one = _constant(1.0, weights)
    noise = p_keep * (one - p_keep) * mean**2 + p_keep * variance
    return T.dot(p_keep * mean, weights) + bias, T.dot(noise, weights**2)


def sigmoid(mean: Expression, variance: Expression) -> Moments:
    """Return approximate moments of the logistic sigmoid of a Gaussian, both in [0, 1]."""
    eighth_pi = _constant(math.pi / 8, mean)
    one = _constant(1.0, mean)
    alpha = _constant(SIGMOID_SLOPE, mean)
    beta = _constant(SIGMOID_SHIFT, mean)
    first = T.nnet.sigmoid(mean / T.sqrt(one + eighth_pi * variance))
    second = T.nnet.sigmoid(alpha * (mean - beta) / T.sqrt(one + eighth_pi * alpha**2 * variance))
    return first, T.maximum(second - first**2, _constant(0.0, mean))


def tanh(mean: Expression, variance: Expression) -> Moments:
    """Return approximate moments of tanh(x) = 2 sig(2x) - 1 of a Gaussian."""
    two, four = _constant(2.0, mean), _constant(4.0, mean)
    first, second = sigmoid(two * mean, four * variance)
    return two * first - _constant(1.0, mean), four * second


def rectifier(mean: Expression, variance: Expression) -> Moments:
    """Return exact moments of max(x, 0) of a Gaussian; at variance 0 those of the constant."""
    tiny = _constant(1e-12, mean)
    zero, half, one = (_constant(value, mean) for value in (0.0, 0.5, 1.0))
    deviation = T.sqrt(T.maximum(variance, tiny))
    z = mean / deviation
    density = T.exp(-half * z**2) * _constant(1 / math.sqrt(2 * math.pi), mean)
    probability = half * (one + T.erf(z * _constant(math.sqrt(0.5), mean)))
    first = mean * probability + deviation * density
    second = (mean**2 + variance) * probability + mean * deviation * density
    return first, T.maximum(second - first**2, zero)
