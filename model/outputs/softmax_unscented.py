r"""Categorical classes by the unscented transform of the softmax (Julier and Uhlmann 1997).

The Gaussian of the D activations, E[a] = m and V[a] = v, is replaced by 2 D + 1 points of the
same mean and covariance, m and m +- d_j e_j with d_j = sqrt((D + k) v_j):

.. math::

    P(t) = \frac{k}{D + k}\, \mathrm{softmax}(m)_t
        + \frac{1}{2 (D + k)} \sum_{j} \sum_{\pm} \mathrm{softmax}(m \pm d_j e_j)_t,
    \qquad \mathrm{NLL} = -\log P(t)

in training and test alike. k = max(0, 3 - D): Julier and Uhlmann advise D + k = 3 for a Gaussian,
but a negative k is a negative weight, with which P may be no probability. P is correct up to
the second order in the deviations of a; at v = 0 it is the softmax.

One logit moves at a time, so with the log-odds l_j of class j under softmax(m) and
x_j = l_j, or -l_t for the target's own, the logarithm of softmax(m +- d_j e_j)_t is

.. math:: \log \mathrm{softmax}(m)_t + \mathrm{softplus}(x_j) - \mathrm{softplus}(x_j \pm d_j),
    \qquad \log \mathrm{softmax}(m)_t = -\mathrm{softplus}(x_t)

(for the target's own point the signs are exchanged, which does not change their sum). It takes D
terms for a row, not D^2, and stays exact where a class is almost certain.

The points are sqrt(D) standard deviations away, so that the transform is accurate only for small
variances or few classes. Divergence in nats of the class probabilities from those of 10^5 draws,
mean of 8 vectors with m ~ N(0, 4) and equal v; for comparison that of softmax(m), which ignores v,
and of `fdrnn.model.outputs.softmax_sampled`:

===  ====  =========  ==========  =======
D    v     unscented  softmax(m)  sampled
===  ====  =========  ==========  =======
3    0.1   0.0000     0.0002      0.0001
3    1     0.0002     0.016       0.0009
10   0.1   0.0000     0.0001      0.0003
10   1     0.002      0.016       0.002
33   0.1   0.0000     0.0001      0.0003
33   1     0.044      0.014       0.005
88   0.1   0.0002     0.0001      0.0004
88   1     0.22       0.011       0.005
===  ====  =========  ==========  =======

P is a distribution in any case, and the trained one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fdrnn.model.outputs.base import Array, Arrays
from fdrnn.model.outputs.softmax import CategoricalOutput, softmax

if TYPE_CHECKING:
    from fdrnn.model.activations import Moments
    from fdrnn.model.moments import Expression
    from fdrnn.model.variants.base import Symbols

GAUSSIAN_SPREAD = 3.0
"""D + k of Julier and Uhlmann for a Gaussian: the fourth moments agree as well."""


@dataclass(frozen=True, kw_only=True)
class UnscentedOutput(CategoricalOutput):
    """Class probabilities averaged over the sigma points."""

    def nll_of(self, moments: Moments, symbols: Symbols, noise: Arrays) -> Expression:
        """Build -log P(t)."""
        from fdrnn.model.ops import Softmax, UnscentedSoftmax

        mean, variance = moments
        if variance is None:
            return Softmax()(mean, symbols.target)
        return UnscentedSoftmax()(mean, variance, symbols.target)

    def probabilities(self, mean: Array, variance: Array | None) -> Array:
        """Return P of every class, from the points themselves."""
        if variance is None:
            return softmax(mean)
        n_and_k = max(float(mean.shape[1]), GAUSSIAN_SPREAD)
        rows = []
        for m, v in zip(mean, variance, strict=True):
            away = np.diag(np.sqrt(n_and_k * v))
            points = softmax(m + away).sum(axis=0) + softmax(m - away).sum(axis=0)
            centre = 2.0 * (n_and_k - len(m)) * softmax(m)
            rows.append((centre + points) / (2.0 * n_and_k))
        return np.array(rows).reshape(mean.shape)


OUTPUT = UnscentedOutput(name="softmax_unscented", title="softmax, unscented transform")
