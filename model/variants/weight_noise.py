"""Adaptive weight noise by sampling (Graves 2011): one draw of the weights per sequence.

The distribution of the weights, its loss and its test are those of
`fdrnn.model.variants.weight_noise_fast`; but in training every chunk of a minibatch runs through
an ordinary network with weights m + sqrt(s) e of its own, e ~ N(0, 1), and the gradient goes
through them to m and s. Graves draws for every sequence; the sequences of training are chunks
here. e depends on the trial's seed, the epoch and the number of the minibatch alone.

The products of the recurrence are those of a vector with its chunk's matrix, so that a training
step costs several times that of a variant that can batch them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdrnn.model.activations import Activations
from fdrnn.model.variants.base import Symbols, typical
from fdrnn.model.variants.weight_noise_fast import (
    LOG_VARIANCES,
    FastWeightNoise,
    WeightNoiseHyperparameters,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.moments import Expression
    from fdrnn.model.packing import PackedChunks


@dataclass(frozen=True, kw_only=True)
class WeightNoise(FastWeightNoise):
    """Drawn weights in training, means alone in validation and test."""

    noise: ClassVar[Mapping[str, tuple[str, int]]] = dict.fromkeys(LOG_VARIANCES, ("float32", 3))
    n_products: ClassVar[int] = 1

    def draw(
        self, rng: np.random.Generator, batch: PackedChunks, hyperparameters: Any
    ) -> Mapping[str, npt.NDArray[np.float32]]:
        """Draw e by the name of the means, (n_chunks, rows, columns)."""
        n_chunks, n_hidden = int(batch.n_rows[0]), hyperparameters.n_hidden
        shapes = {
            "W_in": (batch.x.shape[1], n_hidden),
            "W_rec": (n_hidden, n_hidden),
            "W_out": (n_hidden, batch.x.shape[1]),
        }
        return {
            name: rng.standard_normal((n_chunks, *shape), np.float32)
            for name, shape in shapes.items()
        }

    def _of_noise(
        self, symbols: Symbols, state: tuple[Expression, ...], noise: Mapping[str, Expression]
    ) -> tuple[Activations, tuple[Expression, ...]]:
        from fdrnn.model.ops import OwnWeightsLayer, OwnWeightsProduct
        from fdrnn.model.toolchain import theano

        T, p = theano.tensor, symbols.parameters
        half = T.constant(0.5, dtype=symbols.zeros.dtype)
        weights = {
            mean: p[mean] + T.exp(half * p[name]) * noise[mean]
            for mean, name in LOG_VARIANCES.items()
        }
        mean = OwnWeightsLayer()(
            OwnWeightsProduct()(symbols.x, weights["W_in"]) + p["b_h"],
            symbols.n_rows,
            *state,
            weights["W_rec"],
        )
        return Activations(OwnWeightsProduct()(mean, weights["W_out"]) + p["b_y"]), (mean,)


VARIANT = WeightNoise(
    name="weight_noise",
    title="adaptive weight noise",
    typical=typical(WeightNoiseHyperparameters, sigma2_noise=1e-4),
)
