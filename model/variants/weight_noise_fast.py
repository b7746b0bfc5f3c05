r"""Fast adaptive weight noise: Gaussian weights in closed form (equations 5 and 6).

Every entry of W_in, W_rec and W_out is Gaussian, independent of the others, with a mean m and a
variance s that are both learned; biases and initial state are ordinary parameters. As in Graves
2011, *Practical variational inference for neural networks*, the loss of a minibatch is its NLL
and its share of the divergence from a Gaussian prior, N(m_p, s_p), that all weights share:

.. math::

    L = \mathrm{NLL} + \frac{\mathrm{KL}}{\text{number of minibatches}}, \qquad
    \mathrm{KL} = \sum_w \tfrac{1}{2} \Big[ \log \frac{s_p}{s}
        + \frac{(m - m_p)^2 + s - s_p}{s_p} \Big]

The best prior has a closed form, m_p = mean of m and s_p = mean of s + (m - m_p)^2, with which KL
becomes :math:`\sum \tfrac{1}{2} \log (s_p / s)`. Its gradient is that with the prior held fixed,
because at the best prior the derivatives with respect to m_p and s_p vanish.

NLL is here the mean over predicted steps, as for every variant, so that a step rate means the
same; KL is divided by the predicted steps of an epoch accordingly. Variances are kept positive
by their logarithms. Validation and test use the means alone: an ordinary network.

What the paper leaves open and is decided here: which weights are noisy (the matrices), one prior
for the whole network, and how equations 5 and 6 go on over time (`fdrnn.model.ops.gaussian_weights`
says what they assume). It gives no numbers for this method.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdrnn.model.activations import Activations, FinalLayer
from fdrnn.model.settings import Hyperparameters, require_positive
from fdrnn.model.variants.base import PARAMETER_AXES, Symbols, Variant, typical

if TYPE_CHECKING:
    from fdrnn.model.initialization import Parameters
    from fdrnn.model.moments import Expression

LOG_VARIANCES: Mapping[str, str] = {
    "W_in": "log_variance_in",
    "W_rec": "log_variance_rec",
    "W_out": "log_variance_out",
}
"""Parameter of the logarithms of the variances, by the parameter of the means."""


@dataclass(frozen=True, kw_only=True)
class WeightNoiseHyperparameters(Hyperparameters):
    """Those of a network whose weights are Gaussian, with learned means and variances.

    Attributes
    ----------
    sigma2_noise
        Variance that every weight's distribution begins with, positive. The means begin as the
        weights of other networks do.
    """

    sigma2_noise: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("sigma2_noise", self.sigma2_noise)


@dataclass(frozen=True, kw_only=True)
class FastWeightNoise(Variant):
    """Means and variances of every unit in training, means alone in validation and test."""

    parameter_axes: ClassVar[Mapping[str, int]] = {
        **PARAMETER_AXES,
        **dict.fromkeys(LOG_VARIANCES.values(), 2),
    }
    scalars: ClassVar[Mapping[str, str]] = {"per_step": "float32"}
    state: ClassVar[tuple[str, ...]] = ("mean",)
    n_products: ClassVar[int] = 3

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, init_scale: str, seed: int
    ) -> Parameters:
        """Draw the means as other networks' weights; every variance is `sigma2_noise`."""
        from fdrnn.model.initialization import initial_parameters

        means = initial_parameters(hyperparameters, n_features, init_scale, seed)
        logarithm = np.float32(math.log(hyperparameters.sigma2_noise))
        return means | {
            name: np.full_like(means[mean], logarithm) for mean, name in LOG_VARIANCES.items()
        }

    def scalar_values(
        self, hyperparameters: WeightNoiseHyperparameters, n_steps: float
    ) -> Mapping[str, float]:
        """Return by what the divergence is multiplied."""
        return {"per_step": 1.0 / n_steps}

    def activations(
        self,
        symbols: Symbols,
        state: tuple[Expression, ...],
        noise: Mapping[str, Expression] | None,
    ) -> tuple[Activations | FinalLayer, tuple[Expression, ...]]:
        """Propagate mean and variance, or with the means of the weights means alone."""
        if noise is None:
            return self._of_means(symbols, state)
        return self._of_noise(symbols, state, noise)

    def penalty(self, symbols: Symbols) -> Expression:
        """Build KL per predicted step."""
        return symbols.scalars["per_step"] * divergence(symbols.parameters)

    def _of_means(
        self, symbols: Symbols, state: tuple[Expression, ...]
    ) -> tuple[Activations | FinalLayer, tuple[Expression, ...]]:
        from fdrnn.model.variants.plain import VARIANT as PLAIN

        return PLAIN.activations(symbols, state, None)

    def _of_noise(
        self, symbols: Symbols, state: tuple[Expression, ...], noise: Mapping[str, Expression]
    ) -> tuple[Activations, tuple[Expression, ...]]:
        from fdrnn.model.ops import GaussianWeightsLayer, GaussianWeightsProduct
        from fdrnn.model.toolchain import theano

        T, p = theano.tensor, symbols.parameters
        variances = {mean: T.exp(p[name]) for mean, name in LOG_VARIANCES.items()}
        mean, variance, *_ = GaussianWeightsLayer()(
            symbols.x,
            symbols.n_rows,
            *state,
            symbols.zeros,
            p["W_in"],
            variances["W_in"],
            p["W_rec"],
            variances["W_rec"],
            p["b_h"],
        )
        moments = GaussianWeightsProduct()(mean, variance, p["W_out"], variances["W_out"], p["b_y"])
        return Activations(*moments), (mean,)


def divergence(parameters: Mapping[str, Expression]) -> Expression:
    """Build KL from the weights' distribution to the best prior, 0-d, in nats."""
    from fdrnn.model.toolchain import theano

    T = theano.tensor
    means = [parameters[name] for name in LOG_VARIANCES]
    logarithms = [parameters[name] for name in LOG_VARIANCES.values()]
    n_weights = T.cast(sum(mean.size for mean in means), means[0].dtype)
    half = T.constant(0.5, dtype=means[0].dtype)
    prior_mean = sum(T.sum(mean) for mean in means) / n_weights
    spread = sum(
        T.sum(T.exp(logarithm) + (mean - prior_mean) ** 2)
        for mean, logarithm in zip(means, logarithms, strict=True)
    )
    prior_variance = spread / n_weights
    each = sum(T.sum(logarithm) for logarithm in logarithms)
    return half * (n_weights * T.log(prior_variance) - each)


VARIANT = FastWeightNoise(
    name="weight_noise_fast",
    title="fast adaptive weight noise",
    typical=typical(WeightNoiseHyperparameters, sigma2_noise=1e-4),
)
