"""The network as compiled functions over shared parameters.

One `Network` of a variant and an output serves any number of runs in a process: sizes, rates and
step rates are values of shared variables, so that nothing is compiled again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.model.activations import Activations, FinalLayer
from fdrnn.model.initialization import Parameters, with_sparse_in_out
from fdrnn.model.moments import Expression
from fdrnn.model.optimizer import OptimizerState, look_ahead, rmsprop_nesterov
from fdrnn.model.outputs import OUTPUTS, Output
from fdrnn.model.outputs.base import OutputHyperparameters
from fdrnn.model.packing import PackedChunks, PackedRows
from fdrnn.model.settings import CommonHyperparameters, TrainingSettings
from fdrnn.model.subnormals import subnormals_as_zeros
from fdrnn.model.toolchain import compiled, theano
from fdrnn.model.variants import VARIANTS, Variant
from fdrnn.model.variants.base import Symbols

T = theano.tensor
FloatArray = npt.NDArray[np.float32]

_OPTIMIZER = ("step_rate", "momentum", "decay", "clip_norm")


@dataclass(frozen=True, eq=False)
class State:
    """The state from which sequences resume: arrays (n, width) in the order of `Variant.state`."""

    arrays: tuple[FloatArray, ...]


Outcome = Callable[
    [Activations | FinalLayer, Symbols, Mapping[str, Expression]], Sequence[Expression]
]
"""From activations, symbols and the arrays `Output.fixed`: the expressions to compute."""

RowFunction = Callable[[PackedRows, State], tuple[list[FloatArray], State]]
"""From packed rows and a state: arrays of one entry per row, and the state after the last step."""


class Network:
    """A recurrent network of one variant and one output: parameters, training step and scoring.

    Parameters
    ----------
    variant
        Builds the activations of the output units.
    output
        Builds the loss and the predictions from the activations.
    """

    def __init__(self, variant: Variant, output: Output) -> None:
        self.variant, self.output = variant, output
        axes = {**variant.parameter_axes, **output.parameter_axes}
        self._parameters = _shared_arrays(axes, "")
        self._optimizer = OptimizerState(
            _shared_arrays(axes, "velocity "), _shared_arrays(axes, "square ")
        )
        self._scalars = _shared_scalars({**variant.scalars, **output.scalars})
        # Not with those of a variant, which may have the same names.
        self._rates = _shared_scalars(dict.fromkeys(_OPTIMIZER, "float32"))
        # A shared variable, because Theano recompiles an allocation in every process.
        self._zeros = theano.shared(np.zeros((1, 1), np.float32), name="zeros")
        self._hyperparameters = variant.typical
        self._train = self._compile_train()
        self._score = self.row_function(lambda *network: [output.nll(*network)])

    # -- graph ---------------------------------------------------------------------------

    def _symbols(self, parameters: Mapping[str, Expression]) -> Symbols:
        return Symbols(
            parameters=parameters,
            scalars=self._scalars,
            x=T.fmatrix("x"),
            target=T.fmatrix("target"),
            n_rows=T.lvector("n_rows"),
            zeros=self._zeros,
        )

    def _compile_train(self) -> Any:
        variant, rates = self.variant, self._rates
        untrained = variant.untrained | self.output.untrained
        trained = {key: value for key, value in self._parameters.items() if key not in untrained}
        ahead = self._parameters | look_ahead(trained, self._optimizer, rates["momentum"])
        symbols = self._symbols(ahead)
        weights = T.fvector("weights")
        of_variant, of_output = _arrays(variant.noise), _arrays(self.output.noise)
        state = variant.initial_state(ahead, self._zeros)
        activations, _ = variant.activations(symbols, state, of_variant)
        nll = T.sum(weights * self.output.nll(activations, symbols, of_output))
        penalty = variant.penalty(symbols)
        norm, updates = rmsprop_nesterov(
            nll if penalty is None else nll + penalty,
            ahead,
            trained,
            self._optimizer,
            *(rates[name] for name in _OPTIMIZER),
        )
        noise = [*of_variant.values(), *of_output.values()]
        return compiled(
            [symbols.x, symbols.target, weights, symbols.n_rows, *noise],
            [nll, norm],
            updates=updates,
            # An output's noise is unused where the variant has no variances.
            on_unused_input="ignore",
        )

    # -- values --------------------------------------------------------------------------

    def configure(
        self,
        hyperparameters: CommonHyperparameters,
        step_rate: float,
        clip_norm: float,
        n_steps: float = 1.0,
        log_scale: float = 0.0,
    ) -> None:
        """Set the scalars of the variant, the output and the optimizer.

        Parameters
        ----------
        hyperparameters
            Of the variant's class.
        step_rate
            Step rate of this epoch.
        clip_norm
            Gradient norm above which the gradient is rescaled.
        n_steps
            Predicted steps of an epoch, for training; see `Variant.scalar_values`.
        log_scale
            For the NLL; see `Output.scalar_values`.
        """
        values = {
            **self.variant.scalar_values(hyperparameters, n_steps),
            **self.output.scalar_values(log_scale),
        }
        rates = {
            "step_rate": step_rate,
            "momentum": hyperparameters.momentum,
            "decay": hyperparameters.decay,
            "clip_norm": clip_norm,
        }
        _set(self._scalars, values)
        _set(self._rates, rates)
        self._hyperparameters = hyperparameters

    def initial_parameters(
        self,
        hyperparameters: CommonHyperparameters,
        of_output: OutputHyperparameters,
        n_features: int,
        settings: TrainingSettings,
        seed: int,
    ) -> Parameters:
        """Draw the initial parameters of variant and output from `seed` alone."""
        n_outputs = self.output.n_outputs(of_output, n_features)
        drawn = self.variant.initial_parameters(
            hyperparameters, n_features, n_outputs, settings.init_scale, seed
        )
        return {
            **with_sparse_in_out(drawn, settings.max_incoming_in_out, seed),
            **self.output.initial_parameters(of_output, n_features, settings, seed),
        }

    @property
    def shares_padding(self) -> bool:
        """Whether chunks of a training step can share the rows of their padding.

        A variant's draws differ between chunks there, and so do an output's where padding counts.
        """
        counts_noise = self.output.noise and self.output.counts_padding
        return not (self.variant.noise or counts_noise)

    def draw(self, rng: np.random.Generator, batch: PackedChunks) -> dict[str, npt.NDArray[Any]]:
        """Draw the random arrays of a training step, the variant's first."""
        n_outputs = len(self._parameters["b_y"].get_value(borrow=True))
        drawn = self.variant.draw(rng, batch, n_outputs, self._hyperparameters)
        return {**drawn, **self.output.draw(rng, batch)}

    def set_parameters(self, parameters: Parameters) -> None:
        """Copy parameters into the network."""
        _copy_in(self._parameters, parameters)
        self._zeros.set_value(np.zeros_like(parameters["h0"]))

    def parameters(self) -> Parameters:
        """Return a copy of the parameters."""
        return _copy_out(self._parameters)

    def set_optimizer(self, velocity: Parameters, mean_square: Parameters) -> None:
        """Copy an optimizer state into the network."""
        _copy_in(self._optimizer.velocity, velocity)
        _copy_in(self._optimizer.mean_square, mean_square)

    def optimizer(self) -> tuple[Parameters, Parameters]:
        """Return copies of velocity and mean square."""
        return _copy_out(self._optimizer.velocity), _copy_out(self._optimizer.mean_square)

    # -- computation ---------------------------------------------------------------------

    def train(
        self, batch: PackedChunks, padding: str, rng: np.random.Generator | None = None
    ) -> tuple[float, float]:
        """Make one update.

        Parameters
        ----------
        batch
            The minibatch.
        padding
            The padding rule of its loss.
        rng
            Generator of the noise; may be None for a network without.

        Returns
        -------
        loss
            NLL in nats per predicted step under the padding rule, without the variant's penalty,
            at the parameters where Nesterov's momentum takes the gradient, between the old and
            the new ones; 0 for a masked batch that predicts nothing.
        gradient_norm
            Of the whole loss, before clipping.
        """
        weights = batch.loss_weights(padding)
        total = max(float(weights.sum(dtype=np.float64)), 1.0)
        noise = {} if rng is None else self.draw(rng, batch)
        with subnormals_as_zeros():
            loss, norm = self._train(
                batch.x,
                batch.target,
                weights / np.float32(total),
                batch.n_rows,
                *(noise[name] for name in (*self.variant.noise, *self.output.noise)),
            )
        return float(loss), float(norm)

    def initial_state(self) -> State:
        """Return the state of one row with which sequences begin."""
        parameters = self.parameters()
        return State(self.variant.initial_state(parameters, np.zeros_like(parameters["h0"])))

    def row_function(self, outcome: Outcome) -> RowFunction:
        """Compile a function of packed rows and the state from which they resume.

        Parameters
        ----------
        outcome
            Builds the expressions to compute for every row.
        """
        symbols = self._symbols(self._parameters)
        begin = tuple(T.fmatrix(f"initial {name}") for name in self.variant.state)
        activations, end = self.variant.activations(symbols, begin, None)
        fixed = _arrays(self.output.fixed)
        computed = outcome(activations, symbols, fixed)
        compute = compiled(
            [symbols.x, symbols.target, symbols.n_rows, *begin, *fixed.values()],
            [*computed, *(theano.Out(array, borrow=True) for array in end)],
            on_unused_input="ignore",
        )

        def run(rows: PackedRows, state: State) -> tuple[list[FloatArray], State]:
            of_output = self.output.fixed_arrays(rows.x.shape[1])
            extra = (of_output[key] for key in fixed)
            with subnormals_as_zeros():
                found = compute(rows.x, rows.target, rows.n_rows, *state.arrays, *extra)
            values, after = found[: len(computed)], found[len(computed) :]
            # The arrays are the function's buffers: the rows to keep are copied.
            last = slice(len(rows.x) - int(rows.n_rows[-1]), None)
            return values, State(tuple(array[last].copy() for array in after))

        return run

    def score(self, rows: PackedRows, state: State) -> tuple[FloatArray, State]:
        """Score packed rows from a state.

        Returns
        -------
        nll
            float32, shape (R,): nats per row.
        state
            After the last step, one row for each of its rows.
        """
        (nll,), after = self._score(rows, state)
        return nll, after


@cache
def network(variant: str, output: str) -> Network:
    """Return the process's network of this variant and output, compiled at the first call.

    Raises
    ------
    ToolchainError
        If it cannot be compiled on this machine.
    """
    return Network(VARIANTS[variant], OUTPUTS[output])


def _shared_arrays(n_axes: Mapping[str, int], prefix: str) -> dict[str, Any]:
    return {
        name: theano.shared(np.zeros((1,) * axes, np.float32), name=prefix + name)
        for name, axes in n_axes.items()
    }


def _shared_scalars(dtypes: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: theano.shared(np.ones((), dtype)[()], name=name) for name, dtype in dtypes.items()
    }


def _set(scalars: Mapping[str, Any], values: Mapping[str, float]) -> None:
    for name, scalar in scalars.items():
        scalar.set_value(np.dtype(scalar.dtype).type(values[name]))


def _arrays(dtypes: Mapping[str, tuple[str, int]]) -> dict[str, Expression]:
    return {
        name: T.TensorType(dtype, (False,) * n_axes)(name)
        for name, (dtype, n_axes) in dtypes.items()
    }


def _copy_in(variables: Mapping[str, Any], values: Parameters) -> None:
    for name, variable in variables.items():
        variable.set_value(values[name])


def _copy_out(variables: Mapping[str, Any]) -> Parameters:
    return {name: variable.get_value() for name, variable in variables.items()}
