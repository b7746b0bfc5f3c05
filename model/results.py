"""Results of training a network: one record per epoch and one result per run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """The numbers of one epoch of training; every NLL in nats per predicted step.

    Attributes
    ----------
    epoch
        1 for the first.
    train_nll
        Mean NLL over the epoch's minibatches, under the study's padding rule, at the
        parameters of each update: with a variant's noise, without its penalty.
    valid_nll_counted, valid_nll_masked
        Validation NLL at the end of the epoch with the zeros of short chunks counted (NaN where
        the output cannot predict them), and masked.
    spectral_radius, spectral_radius_squared
        Spectral radius of W_rec, or of a deep transition's linear map from state to state, and of
        its elementwise square.
    gradient_norm
        Mean over the minibatches of the Euclidean norm of the loss's gradient, a variant's
        penalty included, before clipping.
    seconds
        Wall time of the epoch: training, validation and these statistics.
    measurements
        The numbers that `TrainingSettings.record` lists, by name.
    """

    epoch: int
    train_nll: float
    valid_nll_counted: float
    valid_nll_masked: float
    spectral_radius: float
    spectral_radius_squared: float
    gradient_norm: float
    seconds: float
    measurements: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialResult:
    """The result of a training run, at its best-validation parameters.

    NLL are in nats per predicted step and infinite (test: None) where no epoch had a finite
    validation NLL, so that there are no best parameters.

    Attributes
    ----------
    diverged
        Whether a loss, gradient or parameter was not finite, or the validation NLL too far above
        its best (`fdrnn.model.outputs.Output.has_diverged`).
    n_epochs
        Epochs trained.
    best_epoch
        Epoch of the lowest validation NLL under the study's padding rule; 0 if none was finite.
    valid_nll
        That validation NLL, which selects.
    valid_nll_counted, valid_nll_masked
        Both validation NLL at `best_epoch`.
    test_nll_sums
        float64, shape (n_test,): NLL in nats summed over the predicted steps of each test
        sequence, in the data set's order; empty if there are no best parameters.
    test_steps
        int64, shape (n_test,): predicted steps (frames less one) of each test sequence.
    parameters
        Best-validation parameters by name, float32.
    """

    diverged: bool
    n_epochs: int
    best_epoch: int
    valid_nll: float
    valid_nll_counted: float
    valid_nll_masked: float
    test_nll_sums: npt.NDArray[np.float64]
    test_steps: npt.NDArray[np.int64]
    parameters: dict[str, npt.NDArray[np.float32]]

    @property
    def test_nll_pooled(self) -> float | None:
        """Test NLL averaged over all predicted steps of all sequences."""
        return pooled_nll(self.test_nll_sums, self.test_steps)

    @property
    def test_nll_sequence_mean(self) -> float | None:
        """Mean over sequences of the NLL per predicted step."""
        return sequence_mean_nll(self.test_nll_sums, self.test_steps)


def pooled_nll(sums: npt.NDArray[np.float64], steps: npt.NDArray[np.int64]) -> float | None:
    """Return the NLL per predicted step over all sequences; None if no step is predicted.

    Parameters
    ----------
    sums
        Shape (n,): nats summed over the predicted steps of each sequence.
    steps
        Shape (n,): numbers of predicted steps.
    """
    total = int(steps.sum())
    return float(sums.sum()) / total if total else None


def sequence_mean_nll(sums: npt.NDArray[np.float64], steps: npt.NDArray[np.int64]) -> float | None:
    """Return the mean over sequences of the NLL per predicted step.

    Sequences without a predicted step are left out; None if all are. Parameters as for
    `pooled_nll`.
    """
    scored = steps > 0
    if not scored.any():
        return None
    return float(np.mean(sums[scored] / steps[scored]))
