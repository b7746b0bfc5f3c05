"""Record the optional measurements of an epoch that `TrainingSettings.record` lists.

No measurement affects training: a study with records has the same bits as one without.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fdrnn.datasets.chunking import Chunks
from fdrnn.datasets.dataset import Sequences
from fdrnn.model.evaluation import sequence_nll
from fdrnn.model.gradients.decompose import decompose
from fdrnn.model.gradients.noise_term import N_DRAWS, noise_term
from fdrnn.model.gradients.parts import LayerDecomposition
from fdrnn.model.initialization import Parameters
from fdrnn.model.network import Network
from fdrnn.model.packing import pack_chunks
from fdrnn.model.randomness import noise_generator
from fdrnn.model.results import pooled_nll, sequence_mean_nll
from fdrnn.model.settings import CommonHyperparameters, TrainingSettings


@dataclass(frozen=True, eq=False)
class Recorder:
    """Measures the epochs of one training run.

    Attributes
    ----------
    network
        The compiled network of the run, with the parameters that validation uses when
        `measure` is called.
    test
        The test sequences as the network sees them, which are scored for ``"test_nll"``.
    chunks
        The training chunks; the gradient of their first minibatch, in their order, is
        decomposed.
    hyperparameters, settings, seed
        As of the run.
    """

    network: Network
    test: Sequences
    chunks: Chunks
    hyperparameters: CommonHyperparameters
    settings: TrainingSettings
    seed: int

    def measure(self, epoch: int, parameters: Parameters) -> dict[str, float]:
        """Return the measurements after an epoch by name.

        Parameters
        ----------
        epoch
            Number of the epoch.
        parameters
            The network's at the end of the epoch, before any average.

        Returns
        -------
        dict
            The measurements that `TrainingSettings.record` lists, and ``recording_seconds``,
            their wall time; empty where it lists nothing.
        """
        record = self.settings.record
        if not record:
            return {}
        begin_s = time.perf_counter()
        values = self._test_nll() if "test_nll" in record else {}
        if "recurrent_norm" in record:
            recurrent = self.network.variant.recurrent_weights(parameters)
            values["recurrent_norm"] = float(np.linalg.norm(recurrent.astype(np.float64)))
        if "decomposition" in record:
            values |= of_decomposition(self.decomposition(epoch, parameters))
        # A power of 2: the draws cost as much as several epochs.
        if "noise" in record and epoch & (epoch - 1) == 0:
            values |= self._noise(epoch, parameters)
        return values | {"recording_seconds": time.perf_counter() - begin_s}

    def decomposition(self, epoch: int, parameters: Parameters) -> tuple[LayerDecomposition, ...]:
        """Decompose the gradient; see `fdrnn.model.trainer.Trainer.decomposition`."""
        # No minibatch of an epoch has this number.
        return self._decompose(
            parameters, noise_generator(self.seed, epoch, len(self.chunks.starts))
        )

    def _noise(self, epoch: int, parameters: Parameters) -> dict[str, float]:
        rng = noise_generator(self.seed, epoch, len(self.chunks.starts) + 1)
        draws = [self._decompose(parameters, rng) for _ in range(N_DRAWS)]
        values = {}
        for layers in zip(*draws, strict=True):
            term = noise_term(
                layers[0].weights, np.stack([one.regularizer_gradient for one in layers])
            )
            for what in ("mean_by_error", "p_value", "scale_slope"):
                values[f"noise_{what}_{layers[0].name}"] = getattr(term, what)
        return values

    def _decompose(
        self, parameters: Parameters, rng: np.random.Generator
    ) -> tuple[LayerDecomposition, ...]:
        index = np.arange(min(self.settings.batch_size, len(self.chunks.starts)))
        batch = pack_chunks(self.chunks, index, share_padding=False)
        names = self.network.variant.name, self.network.output.name
        padding = self.settings.padding
        return decompose(*names, self.hyperparameters, parameters, batch, padding, rng)

    def _test_nll(self) -> dict[str, float]:
        sums, steps = sequence_nll(self.network, self.test)
        pooled, sequence_mean = pooled_nll(sums, steps), sequence_mean_nll(sums, steps)
        return {
            "test_nll_pooled": math.nan if pooled is None else pooled,
            "test_nll_sequence_mean": math.nan if sequence_mean is None else sequence_mean,
        }


def of_decomposition(layers: Sequence[LayerDecomposition]) -> dict[str, float]:
    """Return the measurements of a decomposition by name.

    For each matrix W the norms of the two parts, ``loss_gradient_norm_W`` and
    ``regularizer_gradient_norm_W``, their ratio ``regularizer_ratio_W``, and how the
    regulariser's part acts on the weights, ``pull_W`` and ``pulled_share_W`` as in
    `fdrnn.model.gradients.parts.LayerDecomposition`; for hidden and output
    units the shares of rows and units by the sign of delta^a, ``delta_negative_hidden`` and so on.
    """
    values: dict[str, float] = {}
    for layer in layers:
        values |= {
            f"loss_gradient_norm_{layer.name}": layer.loss_norm,
            f"regularizer_gradient_norm_{layer.name}": layer.regularizer_norm,
            f"regularizer_ratio_{layer.name}": layer.norm_ratio,
            f"pull_{layer.name}": layer.pull,
            f"pulled_share_{layer.name}": layer.pulled_share,
        }
        units = "output" if layer.name == "W_out" else "hidden"
        for sign, share in zip(("negative", "zero", "positive"), layer.shares, strict=True):
            values[f"delta_{sign}_{units}"] = share
    return values
