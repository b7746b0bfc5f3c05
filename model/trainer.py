"""Train a configuration: epochs, stopping, divergence, and a state from which to resume.

The order of the data depends on (seed, epoch) alone, a variant's noise on (seed, epoch, number of
the minibatch), so the state needs no random generator: a run restored from the state of its last
finished epoch continues with the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import astuple, replace

import numpy as np

from fdrnn.datasets import Dataset, chunk, log_scale, standardised
from fdrnn.model.checkpoint import Checkpoint, Progress
from fdrnn.model.errors import TrainingInterrupted
from fdrnn.model.evaluation import pack_for_validation, sequence_nll, validation_nll
from fdrnn.model.gradients.parts import LayerDecomposition
from fdrnn.model.gradients.recording import Recorder
from fdrnn.model.initialization import Parameters
from fdrnn.model.network import network
from fdrnn.model.outputs import DEFAULT_OUTPUT, require_kind, require_padding
from fdrnn.model.outputs.base import OutputHyperparameters
from fdrnn.model.packing import count_steps, pack_chunks
from fdrnn.model.randomness import data_order, noise_generator
from fdrnn.model.results import EpochRecord, TrialResult
from fdrnn.model.settings import CommonHyperparameters, TrainingSettings
from fdrnn.model.spectral import spectral_radius


def _never() -> bool:
    return False


class Trainer:
    """A training run of one configuration.

    Trainers share the compiled network of their variant and output, but no state: each loads its
    own into the network at the start of an epoch.

    Parameters
    ----------
    dataset
        The data; training and validation splits are cut into chunks, the test split stays
        whole, and real data are standardised by the training split.
    variant
        A name of `fdrnn.model.VARIANTS`.
    hyperparameters
        Of the variant's class.
    settings
        The settings of the study.
    seed
        Seed of the initial parameters, the order of the data and the noise, not negative.
    output
        A name of `fdrnn.model.OUTPUTS`.
    of_output
        Hyperparameters of the output's class; None for its typical ones.

    Raises
    ------
    OutputMismatchError
        If the output does not fit the data or the padding rule.

    Examples
    --------
    ::

        trainer = Trainer(dataset, "fast_dropout", hyperparameters, settings, seed=0)
        while not trainer.finished:
            record = trainer.run_epoch()
        print(trainer.result().test_nll_pooled)
    """

    def __init__(
        self,
        dataset: Dataset,
        variant: str,
        hyperparameters: CommonHyperparameters,
        settings: TrainingSettings,
        seed: int,
        output: str = DEFAULT_OUTPUT,
        of_output: OutputHyperparameters | None = None,
    ) -> None:
        require_kind(output, dataset.kind, dataset.name)
        require_padding(output, settings.padding)
        self._network = network(variant, output)
        of_output = of_output or self._network.output.typical
        for what, part, given in (
            (f"variant {variant!r}", self._network.variant, hyperparameters),
            (f"output {output!r}", self._network.output, of_output),
        ):
            if type(given) is not part.hyperparameters:
                raise TypeError(
                    f"{what} takes {part.hyperparameters.__name__}, got {type(given).__name__}"
                )
        self._hyperparameters = hyperparameters
        self._settings = settings
        self._seed = seed
        seen = standardised(dataset)
        self._test = seen.test
        self._chunks = chunk(seen.train, settings.chunk_length, settings.padding_side)
        self._validation = pack_for_validation(
            chunk(seen.valid, settings.chunk_length, settings.padding_side)
        )
        self._n_features = dataset.n_features
        self._log_scale = log_scale(dataset)
        run = (variant, hyperparameters, settings, seed, dataset.fingerprint)
        self._identity = repr(
            run if output == DEFAULT_OUTPUT else (*run, output, *astuple(of_output))
        )
        self._n_steps = count_steps(self._chunks, settings.padding)
        self._recorder = Recorder(
            self._network, seen.test, self._chunks, hyperparameters, settings, seed
        )
        parameters = self._network.initial_parameters(
            hyperparameters, of_output, dataset.n_features, settings, seed
        )
        self._state = Checkpoint(
            progress=Progress(),
            parameters=parameters,
            velocity={name: np.zeros_like(value) for name, value in parameters.items()},
            mean_square={name: np.ones_like(value) for name, value in parameters.items()},
            average=dict(parameters) if settings.parameter_average else {},
            best={},
        )

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return self._state.progress.epoch

    @property
    def best_valid_nll(self) -> float:
        """Lowest validation NLL so far under the study's padding rule; infinite before one."""
        return self._state.progress.best_valid_nll

    @property
    def finished(self) -> bool:
        """Whether patience or epochs are exhausted, or the run has diverged."""
        progress = self._state.progress
        return (
            progress.diverged
            or progress.epoch >= self._settings.max_epochs
            or progress.epoch - progress.best_epoch >= self._settings.patience
        )

    def state(self) -> bytes:
        """Return the state after the last finished epoch, for `restore`."""
        return self._state.to_bytes(self._identity)

    def restore(self, state: bytes) -> None:
        """Resume from a state of the same run.

        Raises
        ------
        CheckpointError
            If the state is damaged or of a run with another configuration, seed or data set.
        """
        self._state = Checkpoint.from_bytes(state, self._identity, self._state)

    def run_epoch(self, interrupted: Callable[[], bool] = _never) -> EpochRecord:
        """Train for one epoch and validate.

        Parameters
        ----------
        interrupted
            Called before each minibatch; true raises `TrainingInterrupted`.

        Raises
        ------
        TrainingInterrupted
            If `interrupted` returned true; the state is that before the epoch.
        """
        begin_s = time.perf_counter()
        before = self._state
        network, settings = self._network, self._settings
        epoch = before.progress.epoch + 1
        n_decays = max(epoch - 1 - settings.full_rate_epochs, 0)
        self._configure(self._hyperparameters.step_rate * settings.step_rate_decay**n_decays)
        network.set_parameters(before.parameters)
        network.set_optimizer(before.velocity, before.mean_square)
        average = {name: value.copy() for name, value in before.average.items()}
        losses, norms, steps = self._train(epoch, average, interrupted)
        progress = replace(
            before.progress, epoch=epoch, updates=before.progress.updates + len(losses)
        )

        parameters = network.parameters()
        velocity, mean_square = network.optimizer()
        if average:
            network.set_parameters(average)
        counted, masked = validation_nll(network, self._validation)
        measurements = self._recorder.measure(epoch, parameters)
        valid = settings.valid_nll(counted, masked)
        best = before.best
        # A weight whose mean square is infinite would never move again.
        arrays = (parameters, velocity, mean_square)
        finite = np.isfinite([losses[-1], norms[-1], valid]).all() and all(
            np.isfinite(value).all() for by_name in arrays for value in by_name.values()
        )
        if not finite or network.output.has_diverged(
            valid, progress.best_valid_nll, self._n_features
        ):
            progress = replace(progress, diverged=True)
        elif valid < progress.best_valid_nll:
            progress = replace(
                progress,
                best_epoch=epoch,
                best_valid_nll=valid,
                best_valid_nll_counted=counted,
                best_valid_nll_masked=masked,
            )
            best = {name: value.copy() for name, value in (average or parameters).items()}
        self._state = Checkpoint(progress, parameters, velocity, mean_square, average, best)
        recurrent = network.variant.recurrent_weights(parameters).astype(np.float64)
        return EpochRecord(
            epoch=epoch,
            train_nll=float(np.average(losses, weights=np.maximum(steps, 1e-12))),
            valid_nll_counted=counted,
            valid_nll_masked=masked,
            spectral_radius=spectral_radius(recurrent),
            spectral_radius_squared=spectral_radius(recurrent**2),
            gradient_norm=float(np.mean(norms)),
            measurements=measurements,
            seconds=time.perf_counter() - begin_s,
        )

    def _train(
        self, epoch: int, average: Parameters, interrupted: Callable[[], bool]
    ) -> tuple[list[float], list[float], list[float]]:
        """Train on the minibatches of an epoch until a number is not finite.

        Parameters
        ----------
        epoch
            The epoch, from 1.
        average
            The averaged parameters, which are updated; empty where none are kept.
        interrupted
            As for `run_epoch`.

        Returns
        -------
        losses, norms, steps
            Of each minibatch: loss, gradient norm and the weight of the loss, in steps.
        """
        network, settings = self._network, self._settings
        order = data_order(self._seed, epoch, len(self._chunks.starts))
        losses, norms, steps = [], [], []
        for number, begin in enumerate(range(0, len(order), settings.batch_size)):
            if interrupted():
                raise TrainingInterrupted
            index = order[begin : begin + settings.batch_size]
            batch = pack_chunks(self._chunks, index, network.shares_padding)
            rng = noise_generator(self._seed, epoch, number)
            loss, norm = network.train(batch, settings.padding, rng)
            losses.append(loss)
            norms.append(norm)
            steps.append(float(batch.loss_weights(settings.padding).sum(dtype=np.float64)))
            if not (math.isfinite(loss) and math.isfinite(norm)):
                break
            if average:
                self._update_average(average, self._state.progress.updates + len(losses))
        return losses, norms, steps

    def _configure(self, step_rate: float) -> None:
        self._network.configure(
            self._hyperparameters,
            step_rate,
            self._settings.clip_norm,
            self._n_steps,
            self._log_scale,
        )

    def decomposition(self, parameters: Parameters | None = None) -> tuple[LayerDecomposition, ...]:
        """Decompose the gradient on the first minibatch of the training chunks, in their order.

        Parameters
        ----------
        parameters
            Parameters of the gradient; None for those after the last finished epoch.

        Raises
        ------
        DecompositionError
            If the variant propagates no variances.
        """
        return self._recorder.decomposition(self.epoch, parameters or self._state.parameters)

    def _update_average(self, average: Parameters, updates: int) -> None:
        # The mean of all parameters so far, until its decay exceeds the setting.
        keep = np.float32(min(self._settings.parameter_average, 1.0 - 1.0 / updates))
        for name, value in self._network.parameters().items():
            average[name] += (np.float32(1.0) - keep) * (value - average[name])

    def result(self) -> TrialResult:
        """Score the test set at the best-validation parameters."""
        state, progress = self._state, self._state.progress
        sums, steps = np.zeros(0), np.zeros(0, np.int64)
        if state.best:
            self._configure(self._hyperparameters.step_rate)
            self._network.set_parameters(state.best)
            sums, steps = sequence_nll(self._network, self._test)
        return TrialResult(
            diverged=progress.diverged,
            n_epochs=progress.epoch,
            best_epoch=progress.best_epoch,
            valid_nll=progress.best_valid_nll,
            valid_nll_counted=progress.best_valid_nll_counted,
            valid_nll_masked=progress.best_valid_nll_masked,
            test_nll_sums=sums,
            test_steps=steps,
            parameters=state.best,
        )
