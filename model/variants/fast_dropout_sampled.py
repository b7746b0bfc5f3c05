"""Fast dropout by sampling: one draw of each pre-synaptic activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fdrnn.model.settings import FastDropoutHyperparameters
from fdrnn.model.variants.base import Symbols
from fdrnn.model.variants.fast_dropout import TYPICAL, FastDropout

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.activations import Activations, FinalLayer
    from fdrnn.model.moments import Expression
    from fdrnn.model.packing import PackedChunks


@dataclass(frozen=True, kw_only=True)
class SampledFastDropout(FastDropout):
    """Training by a = E[a] + s sqrt(V[a]), s ~ N(0, 1) for each unit, step and chunk.

    What was drawn has no variance left, so V[a] = p_keep (1 - p_keep) x^2 W^2. The gradient is
    the pathwise one, whose part through V[a] is delta s c_i w_i / sqrt(V[a]),
    c_i = p_keep (1 - p_keep) x_i^2 (the paper's equation 4 is that of a single incoming weight);
    its mean over s is 0 where delta does not depend on s. The output layer is sampled likewise
    if it uses fast dropout. With all rates 0 this is an ordinary network, draws or not.

    Validation and test use the Gaussian approximation, the pass of `fast_dropout`, which needs no
    draws.
    """

    noise: ClassVar[Mapping[str, tuple[str, int]]] = {
        "hidden": ("float32", 2),
        "output": ("float32", 2),
    }

    def draw(
        self,
        rng: np.random.Generator,
        batch: PackedChunks,
        hyperparameters: FastDropoutHyperparameters,
    ) -> Mapping[str, npt.NDArray[np.float32]]:
        """Draw s of every hidden and every output unit."""
        n_rows, n_features = batch.x.shape
        return {
            "hidden": rng.standard_normal((n_rows, hyperparameters.n_hidden), np.float32),
            "output": rng.standard_normal((n_rows, n_features), np.float32),
        }

    def activations(
        self,
        symbols: Symbols,
        state: tuple[Expression, ...],
        noise: Mapping[str, Expression] | None,
    ) -> tuple[Activations | FinalLayer, tuple[Expression, ...]]:
        """Draw activations in training, propagate moments in validation and test."""
        if noise is None:
            return self.layers(symbols, state, self.cell)
        return self.layers(symbols, state, "sampled", noise["hidden"], noise["output"])


VARIANT = SampledFastDropout(name="fast_dropout_sampled", title="FD-RNN, sampled", typical=TYPICAL)
