"""The network as compiled functions over shared parameters.

One `Network` of a variant serves any number of runs in a process: sizes, rates and step rates
are values of shared variables, so that nothing is compiled again.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.model.errors import ToolchainError
from fdrnn.model.initialization import Parameters
from fdrnn.model.moments import Expression
from fdrnn.model.ops import BernoulliOutput, RecurrentLayer
from fdrnn.model.optimizer import OptimizerState, rmsprop_nesterov
from fdrnn.model.packing import PackedBlock, PackedChunks
from fdrnn.model.settings import FastDropoutHyperparameters, Hyperparameters
from fdrnn.model.toolchain import first_line, theano
from fdrnn.model.variants import VARIANTS, Variant

T = theano.tensor
FloatArray = npt.NDArray[np.float32]

PARAMETER_AXES = {"W_in": 2, "W_rec": 2, "b_h": 1, "h0": 2, "W_out": 2, "b_y": 1}
_RATES = ("p_keep_input", "p_keep_hidden", "mean_factor", "p_keep_output")
_OPTIMIZER = ("step_rate", "momentum", "decay", "clip_norm")


class State:
    """Hidden moments from which a sequence goes on: arrays (n, H) of mean and variance."""

    def __init__(self, mean: FloatArray, variance: FloatArray) -> None:
        self.mean = mean
        self.variance = variance


RowFunction = Callable[[PackedChunks | PackedBlock, State], tuple[list[FloatArray], State]]
"""From packed rows and a state: arrays of one entry per row, and the state after the last step."""


class Network:
    """A recurrent network of one variant: parameters, training step and scoring.

    Parameters
    ----------
    variant
        What the cell computes.

    Attributes
    ----------
    variant
        The same.
    """

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self._parameters = _shared_arrays("")
        self._optimizer = OptimizerState(_shared_arrays("velocity "), _shared_arrays("square "))
        scalars = (*_RATES, *_OPTIMIZER)
        self._scalars = {name: theano.shared(np.float32(1), name=name) for name in scalars}
        self._fast_output = theano.shared(np.int8(1), name="fast_dropout_final_layer")
        # A shared variable, because Theano compiles an allocation anew in every process.
        self._no_variance = theano.shared(np.zeros((1, 1), np.float32), name="no variance")
        self._train = self._compile_train()
        self._score = self.row_function(lambda nll: [nll])

    # -- graph ---------------------------------------------------------------------------

    def _nll(
        self,
        parameters: Mapping[str, Expression],
        x: Expression,
        target: Expression,
        n_rows: Expression,
        mean0: Expression,
        variance0: Expression,
    ) -> tuple[Expression, Expression, Expression]:
        rates = self._scalars
        mean, variance, *_ = RecurrentLayer(self.variant.stochastic, self.variant.input_scale)(
            x,
            n_rows,
            mean0,
            variance0,
            parameters["W_in"],
            parameters["W_rec"],
            parameters["b_h"],
            rates["p_keep_input"],
            rates["p_keep_hidden"],
            rates["mean_factor"],
        )
        nll, _, _ = BernoulliOutput()(
            mean,
            variance,
            parameters["W_out"],
            parameters["b_y"],
            target,
            rates["p_keep_output"],
            self._fast_output,
        )
        return nll, mean, variance

    def _compile_train(self) -> Any:
        x, target = T.fmatrix("x"), T.fmatrix("target")
        weights, n_rows = T.fvector("weights"), T.lvector("n_rows")

        def loss_at(parameters: Mapping[str, Expression]) -> Expression:
            nll, _, _ = self._nll(
                parameters, x, target, n_rows, parameters["h0"], self._no_variance
            )
            return T.dot(weights, nll)

        loss, norm, updates = rmsprop_nesterov(
            loss_at,
            self._parameters,
            self._optimizer,
            *(self._scalars[name] for name in _OPTIMIZER),
        )
        return theano.function([x, target, weights, n_rows], [loss, norm], updates=updates)

    # -- values --------------------------------------------------------------------------

    def configure(
        self, hyperparameters: Hyperparameters, step_rate: float, clip_norm: float
    ) -> None:
        """Set dropout rates and the optimizer's numbers; `step_rate` is that of this epoch."""
        values = {
            "step_rate": step_rate,
            "momentum": hyperparameters.momentum,
            "decay": hyperparameters.decay,
            "clip_norm": clip_norm,
            **dict.fromkeys(_RATES, 1.0),
        }
        fast_output = False
        if isinstance(hyperparameters, FastDropoutHyperparameters):
            p_keep_hidden = 1.0 - hyperparameters.dropout_hidden_to_hidden
            fast_output = hyperparameters.fast_dropout_final_layer
            values |= {
                "p_keep_input": 1.0 - hyperparameters.dropout_input,
                "p_keep_hidden": p_keep_hidden,
                "mean_factor": hyperparameters.dropout_hidden_to_hidden
                if self.variant.drop_rate_scales_mean
                else p_keep_hidden,
                "p_keep_output": 1.0 - (hyperparameters.dropout_hidden_to_output or 0.0),
            }
        for name, value in values.items():
            self._scalars[name].set_value(np.float32(value))
        self._fast_output.set_value(np.int8(fast_output))

    def set_parameters(self, parameters: Parameters) -> None:
        """Copy these values in."""
        _copy_in(self._parameters, parameters)
        self._no_variance.set_value(np.zeros_like(parameters["h0"]))

    def parameters(self) -> Parameters:
        """Return a copy of the parameters."""
        return _copy_out(self._parameters)

    def set_optimizer(self, velocity: Parameters, mean_square: Parameters) -> None:
        """Copy this optimizer state in."""
        _copy_in(self._optimizer.velocity, velocity)
        _copy_in(self._optimizer.mean_square, mean_square)

    def optimizer(self) -> tuple[Parameters, Parameters]:
        """Return copies of velocity and mean square."""
        return _copy_out(self._optimizer.velocity), _copy_out(self._optimizer.mean_square)

    # -- computation ---------------------------------------------------------------------

    def train(self, batch: PackedChunks, padding: str) -> tuple[float, float]:
        """Make one update.

        Returns
        -------
        loss
            NLL in nats per predicted step under the padding rule, before the update; 0 for a
            masked batch that predicts nothing.
        gradient_norm
            Before clipping.
        """
        weights = batch.weights(padding)
        total = max(float(weights.sum(dtype=np.float64)), 1.0)
        loss, norm = self._train(batch.x, batch.target, weights / np.float32(total), batch.n_rows)
        return float(loss), float(norm)

    def initial_state(self) -> State:
        """Return the trained h0 as one row, without variance."""
        h0 = self._parameters["h0"].get_value()
        return State(h0, np.zeros_like(h0))

    def row_function(self, outputs: Callable[[Expression], Sequence[Expression]]) -> RowFunction:
        """Compile a function of packed rows and the state from which they go on.

        Parameters
        ----------
        outputs
            From the expression of the NLL per row, shape (R,), what to compute: itself or what
            stands before it in its graph.
        """
        x, target, n_rows = T.fmatrix("x"), T.fmatrix("target"), T.lvector("n_rows")
        mean0, variance0 = T.fmatrix("mean0"), T.fmatrix("variance0")
        nll, mean, variance = self._nll(self._parameters, x, target, n_rows, mean0, variance0)
        after = [theano.Out(mean, borrow=True), theano.Out(variance, borrow=True)]
        compiled = theano.function([x, target, n_rows, mean0, variance0], [*outputs(nll), *after])

        def run(rows: PackedChunks | PackedBlock, state: State) -> tuple[list[FloatArray], State]:
            before = state.variance if self.variant.stochastic else np.zeros_like(state.mean)
            *values, mean, variance = compiled(rows.x, rows.target, rows.n_rows, state.mean, before)
            # The arrays are the function's own buffers: what is kept of them is copied.
            last = slice(len(mean) - int(rows.n_rows[-1]), None)
            return values, State(mean[last].copy(), variance[last].copy())

        return run

    def score(self, rows: PackedChunks | PackedBlock, state: State) -> tuple[FloatArray, State]:
        """Score packed rows from a state.

        Returns
        -------
        nll
            float32, shape (R,): nats per row.
        state
            After the last step, one row for each of its rows.
        """
        (nll,), state = self._score(rows, state)
        return nll, state


@cache
def network(variant: str) -> Network:
    """Return the process's network of this variant, compiled at the first call.

    Raises
    ------
    ToolchainError
        If it cannot be compiled on this machine.
    """
    said = io.StringIO()
    try:
        # Theano prints whole C files when the compiler fails.
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return Network(VARIANTS[variant])
    except Exception as error:
        raise ToolchainError(
            f"the network cannot be compiled: {first_line(error)}; see that the compiler "
            f"{theano.config.cxx!r} works and that {theano.config.base_compiledir} has room"
        ) from error


def _shared_arrays(prefix: str) -> dict[str, Any]:
    return {
        name: theano.shared(np.zeros((1,) * axes, np.float32), name=prefix + name)
        for name, axes in PARAMETER_AXES.items()
    }


def _copy_in(variables: Mapping[str, Any], values: Parameters) -> None:
    for name, variable in variables.items():
        variable.set_value(values[name])


def _copy_out(variables: Mapping[str, Any]) -> Parameters:
    return {name: variable.get_value() for name, variable in variables.items()}
