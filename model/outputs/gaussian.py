r"""Independent Gaussian columns whose variance enters the loss: real values.

.. math::

    \mathrm{NLL} = \sum_j \tfrac{1}{2} \Big[ \log 2 \pi v_j + \frac{(x_j - E[a_j])^2}{v_j} \Big],
    \qquad v_j = V[a_j] + e^{s_j}

The first two moments of the activation are the prediction's (Bayer et al. 2013, section 2.2, and
the second case of Figure 1). The paper has V[a] alone; the learned s_j, a parameter of each
column, is the variance of noise in the data, without which a network that propagates no variances
would have none. It begins at 0, the variance of the standardised data. Without V[a], an s_j below
about -43 makes the gradient, which divides by the square of v_j, not finite, and the trial ends as
diverged.

The network sees standardised frames (`fdrnn.datasets.standardisation`). The NLL is that of the
frames in the units of the file: the logarithms of the columns' units are added. It is an NLL of
densities, so it may be negative, and another unit shifts it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdrnn.datasets import REAL
from fdrnn.model.outputs.base import Array, ArrayMoments, Arrays, Output

if TYPE_CHECKING:
    from fdrnn.model.activations import Moments
    from fdrnn.model.initialization import Parameters
    from fdrnn.model.moments import Expression
    from fdrnn.model.settings import TrainingSettings
    from fdrnn.model.variants.base import Symbols

LOG_VARIANCE = "log_variance_y"
"""Parameter s, shape (D,)."""

STANDARD_NLL = 0.5 * (1.0 + math.log(2.0 * math.pi))
"""Entropy of a standard Gaussian in nats: the NLL of a column predicted by its average."""


@dataclass(frozen=True, kw_only=True)
class GaussianOutput(Output):
    """Mean E[a] and variance V[a] + exp(s), column by column."""

    kind: ClassVar[str] = REAL
    parameter_axes: ClassVar[Mapping[str, int]] = {LOG_VARIANCE: 1}
    scalars: ClassVar[Mapping[str, str]] = {"log_scale": "float32"}

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, settings: TrainingSettings, seed: int
    ) -> Parameters:
        """Return s = 0 and b_y = 0: the average and variance of standardised data."""
        return {name: np.zeros(n_features, np.float32) for name in ("b_y", LOG_VARIANCE)}

    def scalar_values(self, log_scale: float) -> Mapping[str, float]:
        """Return the term added to the NLL of standardised frames."""
        return {"log_scale": log_scale}

    def nll_of(self, moments: Moments, symbols: Symbols, noise: Arrays) -> Expression:
        """Build the NLL in the units of the file."""
        from fdrnn.model.ops import exponential, logarithm
        from fdrnn.model.toolchain import theano

        mean, variance = moments
        T = theano.tensor
        half, two_pi = (T.constant(value, dtype=mean.dtype) for value in (0.5, 2.0 * math.pi))
        spread = exponential(symbols.parameters[LOG_VARIANCE])
        spread = spread if variance is None else variance + spread
        logarithms = T.sum(logarithm(two_pi * spread), axis=-1)
        squares = T.sum((symbols.target - mean) ** 2 / spread, axis=1)
        return half * (logarithms + squares) + symbols.scalars["log_scale"]

    def has_diverged(self, valid_nll: float, best: float, n_features: int) -> bool:
        """Return whether the NLL exceeds its best by a standard Gaussian's in every column.

        A multiple of the best is no bound: the best may be negative, and depends on the units.
        """
        return valid_nll > best + n_features * STANDARD_NLL

    def expectation(self, moments: ArrayMoments, parameters: Parameters, target: Array) -> Array:
        """Return the means."""
        return moments[0]

    def deviation(self, moments: ArrayMoments, parameters: Parameters) -> Array:
        """Return sqrt(V[a] + exp(s)) of every column."""
        mean, variance = moments
        spread = np.exp(parameters[LOG_VARIANCE].astype(np.float64))
        spread = spread if variance is None else variance + spread
        deviation: Array = np.sqrt(np.broadcast_to(spread, mean.shape))
        return deviation

    def variates(self, rng: np.random.Generator, n_steps: int, n_features: int) -> Array:
        """Draw standard Gaussian numbers."""
        return rng.standard_normal((n_steps, n_features))

    def realize(self, moments: ArrayMoments, parameters: Parameters, variates: Array) -> Array:
        """Draw every column on its own."""
        return moments[0] + self.deviation(moments, parameters) * variates


OUTPUT = GaussianOutput(name="gaussian", title="Gaussian")
