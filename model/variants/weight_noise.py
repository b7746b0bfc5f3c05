r"""Adaptive weight noise: Gaussian weights in closed form, or one draw per sequence.

``weight_noise_fast`` is the paper's equations 5 and 6, ``weight_noise`` sampling (Graves 2011).
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
for the whole network, and how equations 5 and 6 continue over time (see
`fdrnn.model.ops.gaussian_weights`). It gives no numbers for this method.

With ``weight_noise`` every chunk of a minibatch runs in training through an ordinary network with
its own weights m + sqrt(s) e, e ~ N(0, 1), and the gradient goes through them to m and s. Graves
draws for every sequence; the sequences of training are chunks here. e depends on the trial's seed,
the epoch and the number of the minibatch alone. The products of its recurrence are those of a
vector with its chunk's matrix, so that a training step costs several times that of a variant that
can batch them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdrnn.model.activations import Activations
from fdrnn.model.randomness import standard_normal
from fdrnn.model.settings import LARGEST_INITIAL, Hyperparameters, require_positive
from fdrnn.model.variants.base import (
    PARAMETER_AXES,
    Built,
    Noise,
    State,
    Symbols,
    Variant,
    by_name,
    typical,
)
from fdrnn.model.variants.plain import PLAIN

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.initialization import Parameters
    from fdrnn.model.moments import Expression
    from fdrnn.model.packing import PackedChunks

LOG_VARIANCES: Mapping[str, str] = {
    "W_in": "log_variance_in",
    "W_rec": "log_variance_rec",
    "W_out": "log_variance_out",
}
"""Parameter of the logarithms of the variances, by the parameter of the means."""


@dataclass(frozen=True, kw_only=True)
class WeightNoiseHyperparameters(Hyperparameters):
    """Hyperparameters of a network with Gaussian weights of learned means and variances.

    Attributes
    ----------
    sigma2_noise
        Initial variance of every weight, from 1e-30 to 1e30. The initial means are those of other
        networks' weights.
    """

    sigma2_noise: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("sigma2_noise", self.sigma2_noise, LARGEST_INITIAL)


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
        self, hyperparameters: Any, n_features: int, n_outputs: int, init_scale: str, seed: int
    ) -> Parameters:
        """Draw the means as other networks' weights; every variance is `sigma2_noise`."""
        from fdrnn.model.initialization import initial_parameters

        means = initial_parameters(hyperparameters, n_features, n_outputs, init_scale, seed)
        logarithm = np.float32(math.log(hyperparameters.sigma2_noise))
        return means | {
            name: np.full_like(means[mean], logarithm) for mean, name in LOG_VARIANCES.items()
        }

    def scalar_values(
        self, hyperparameters: WeightNoiseHyperparameters, n_steps: float
    ) -> Mapping[str, float]:
        """Return the factor of the divergence."""
        return {"per_step": 1.0 / n_steps}

    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
        """Use the weights' distribution in training, their means in validation and test."""
        if noise is None:
            return PLAIN.activations(symbols, state, None)
        return self.noisy_activations(symbols, state, noise)

    def penalty(self, symbols: Symbols) -> Expression:
        """Build KL per predicted step."""
        return symbols.scalars["per_step"] * divergence(symbols.parameters)

    def noisy_activations(
        self, symbols: Symbols, state: State, noise: Mapping[str, Expression]
    ) -> Built:
        """Propagate mean and variance through both layers."""
        from fdrnn.model.ops import GaussianWeightsLayer, GaussianWeightsProduct, exponential

        p = symbols.parameters
        variances = {mean: exponential(p[name]) for mean, name in LOG_VARIANCES.items()}
        mean, variance, *_ = GaussianWeightsLayer()(
            symbols.x, symbols.n_rows, *state, symbols.zeros,
            p["W_in"], variances["W_in"], p["W_rec"], variances["W_rec"], p["b_h"],
        )  # fmt: skip
        moments = GaussianWeightsProduct()(mean, variance, p["W_out"], variances["W_out"], p["b_y"])
        return Activations(*moments), (mean,)


def divergence(parameters: Mapping[str, Expression]) -> Expression:
    """Build KL from the weights' distribution to the best prior, 0-d, in nats."""
    from fdrnn.model.ops import exponential, logarithm
    from fdrnn.model.toolchain import theano

    T = theano.tensor
    means = [parameters[name] for name in LOG_VARIANCES]
    logarithms = [parameters[name] for name in LOG_VARIANCES.values()]
    n_weights = T.cast(sum(mean.size for mean in means), means[0].dtype)
    half = T.constant(0.5, dtype=means[0].dtype)
    prior_mean = sum(T.sum(mean) for mean in means) / n_weights
    spread = sum(
        T.sum(exponential(log) + (mean - prior_mean) ** 2)
        for mean, log in zip(means, logarithms, strict=True)
    )
    prior_variance = spread / n_weights
    each = sum(T.sum(log) for log in logarithms)
    return half * (n_weights * logarithm(prior_variance) - each)


@dataclass(frozen=True, kw_only=True)
class WeightNoise(FastWeightNoise):
    """Drawn weights in training, means alone in validation and test."""

    noise: ClassVar[Mapping[str, tuple[str, int]]] = dict.fromkeys(LOG_VARIANCES, ("float32", 3))
    n_products: ClassVar[int] = 1

    def draw(
        self, rng: np.random.Generator, batch: PackedChunks, n_outputs: int, hyperparameters: Any
    ) -> Mapping[str, npt.NDArray[np.float32]]:
        """Draw e by the name of the means, (n_chunks, rows, columns)."""
        n_chunks, n_hidden = int(batch.n_rows[0]), hyperparameters.n_hidden
        shapes = {
            "W_in": (batch.x.shape[1], n_hidden),
            "W_rec": (n_hidden, n_hidden),
            "W_out": (n_hidden, n_outputs),
        }
        return {name: standard_normal(rng, (n_chunks, *shape)) for name, shape in shapes.items()}

    def noisy_activations(
        self, symbols: Symbols, state: State, noise: Mapping[str, Expression]
    ) -> Built:
        """Run every chunk through its own draw of the weights."""
        from fdrnn.model.ops import OwnWeightsLayer, OwnWeightsProduct, exponential
        from fdrnn.model.toolchain import theano

        T, p = theano.tensor, symbols.parameters
        half = T.constant(0.5, dtype=symbols.zeros.dtype)
        weights = {
            mean: p[mean] + exponential(half * p[name]) * noise[mean]
            for mean, name in LOG_VARIANCES.items()
        }
        mean = OwnWeightsLayer()(
            OwnWeightsProduct()(symbols.x, weights["W_in"]) + p["b_h"],
            symbols.n_rows,
            *state,
            weights["W_rec"],
        )
        return Activations(OwnWeightsProduct()(mean, weights["W_out"]) + p["b_y"]), (mean,)


VARIANTS = by_name(
    FastWeightNoise(
        name="weight_noise_fast",
        title="fast adaptive weight noise",
        typical=typical(WeightNoiseHyperparameters, sigma2_noise=1e-4),
    ),
    WeightNoise(
        name="weight_noise",
        title="adaptive weight noise",
        typical=typical(WeightNoiseHyperparameters, sigma2_noise=1e-4),
    ),
)
