"""Independent Bernoulli columns with the mean of the logistic sigmoid: piano-rolls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import BINARY
from fdrnn.model.activations import FinalLayer
from fdrnn.model.outputs.base import Array, ArrayMoments, Arrays, Built, Output

if TYPE_CHECKING:
    from fdrnn.model.activations import Moments
    from fdrnn.model.initialization import Parameters
    from fdrnn.model.moments import Expression
    from fdrnn.model.variants.base import Symbols


@dataclass(frozen=True, kw_only=True)
class Bernoulli(Output):
    """P(x_j = 1) = E[sig(a_j)] ~ sig(E[a] / sqrt(1 + pi V[a] / 8)), column by column."""

    kind: ClassVar[str] = BINARY

    def nll_of(self, moments: Moments, symbols: Symbols, noise: Arrays) -> Expression:
        """Build the cross entropy, softplus(z) - x z with the probability sig(z)."""
        from fdrnn.model.ops import softplus
        from fdrnn.model.toolchain import theano

        mean, variance = moments
        T, z = theano.tensor, mean
        if variance is not None:
            one, eighth_pi = (T.constant(value, dtype=mean.dtype) for value in (1.0, math.pi / 8))
            z = mean / T.sqrt(one + eighth_pi * variance)
        return T.sum(softplus(z) - symbols.target * z, axis=1)

    def nll(self, activations: Built, symbols: Symbols, noise: Arrays) -> Expression:
        """Build the cross entropy, fused with an affine layer in one native operation."""
        if isinstance(activations, FinalLayer):
            return _fused(activations, symbols)[0]
        return super().nll(activations, symbols, noise)

    def presynaptic(self, activations: Built, symbols: Symbols) -> list[Expression]:
        """Build the moments with the operation of the loss, which is compiled already."""
        if isinstance(activations, FinalLayer):
            return _fused(activations, symbols)[1:]
        return super().presynaptic(activations, symbols)

    def expectation(self, moments: ArrayMoments, parameters: Parameters, target: Array) -> Array:
        """Return the probabilities of 1, in [0, 1]."""
        return _probabilities(*moments)

    def realize(
        self, moments: ArrayMoments, parameters: Parameters, variates: Array
    ) -> npt.NDArray[np.uint8]:
        """Draw every column on its own."""
        return (variates < _probabilities(*moments)).astype(np.uint8)


def _probabilities(mean: Array, variance: Array | None) -> Array:
    # Double precision: a float32 next to 1 is too coarse for the logarithm of its complement.
    from scipy.special import expit

    z = mean
    if variance is not None and len(variance):  # the native operation may have no rows of it
        z = mean / np.sqrt(1.0 + math.pi / 8 * variance)
    probabilities: Array = expit(z)
    return probabilities


def _fused(layer: FinalLayer, symbols: Symbols) -> list[Expression]:
    """Build NLL, E[a] and V[a] of an affine layer."""
    from fdrnn.model.ops import BernoulliOutput

    outputs: list[Expression] = BernoulliOutput(sampled=layer.noise is not None)(
        layer.mean, layer.variance, layer.W, layer.b, symbols.target, *layer.rates(), layer.noise
    )
    return outputs


OUTPUT = Bernoulli(name="bernoulli", title="Bernoulli")
