r"""Decompose the gradient into a training loss's and a regulariser's part (section 2.2.2).

For a weight w_i into a unit with pre-synaptic activation a, at one row (step of a sequence),

.. math::

    \frac{\partial J}{\partial w_i}
      = \underbrace{\frac{\partial J}{\partial E[a]} \frac{\partial E[a]}{\partial w_i}}_{L^a}
      + \underbrace{2 \,\mathrm{sgn}(\delta^a)\, \eta^a_i w_i}_{R^a_{approx}}, \qquad
    \delta^a = \frac{\partial J}{\partial V[a]}, \quad
    \eta^a_i = |\delta^a| \frac{\partial V[a]}{\partial w_i^2}

(equation 3 and those after it). Weights are shared by all rows, so the matrices here are sums
over rows. The native layers' gradients yield dJ/dE[a] and delta^a row by row; everything else is
computed here, in double precision, from the equations, so that its sum is a check of the
layers' weight gradients.

A variant whose activations are drawn decomposes likewise: its delta^a is that of the
draw, dJ/da s / (2 sqrt V[a]), and 2 sgn(delta^a) eta^a w the noise term of equation 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.model.activations import FinalLayer
from fdrnn.model.gradients.parts import LayerDecomposition
from fdrnn.model.initialization import Parameters
from fdrnn.model.ops import LstmLayer, RecurrentLayer
from fdrnn.model.ops.native import Gradient, named
from fdrnn.model.outputs import OUTPUTS, Output
from fdrnn.model.packing import PackedChunks
from fdrnn.model.subnormals import subnormals_as_zeros
from fdrnn.model.toolchain import compiled, theano
from fdrnn.model.variants import VARIANTS, Variant, require_decomposition
from fdrnn.model.variants.base import Symbols

T = theano.tensor
Array = npt.NDArray[np.float64]


def decompose(
    variant: str,
    output: str,
    hyperparameters: Any,
    parameters: Parameters,
    batch: PackedChunks,
    padding: str,
    rng: np.random.Generator,
) -> tuple[LayerDecomposition, ...]:
    """Decompose the gradient of the mean NLL per predicted step of a batch.

    Parameters
    ----------
    variant, output
        Names of `fdrnn.model.VARIANTS` and `fdrnn.model.OUTPUTS`.
    hyperparameters
        Of the variant's class.
    parameters
        The network's.
    batch
        Rows, as many at every step (chunks that share no padding).
    padding
        The padding rule of the loss.
    rng
        Generator of the noise, if there is any.

    Returns
    -------
    tuple of LayerDecomposition
        One for each weight matrix whose layer has variances: W_out is missing where the final
        layer is ordinary.

    Raises
    ------
    DecompositionError
        If the variant propagates no variances.
    ToolchainError
        If its graph cannot be compiled on this machine, even where the network's can.
    """
    require_decomposition(variant)
    weights = batch.loss_weights(padding).astype(np.float64)
    weights /= max(weights.sum(), 1.0)
    of_variant, of_output = VARIANTS[variant], OUTPUTS[output]
    noise = {
        **of_variant.draw(rng, batch, len(parameters["b_y"]), hyperparameters),
        **of_output.draw(rng, batch),
    }
    scalars = {
        **of_variant.scalar_values(hyperparameters, 1.0), **of_output.scalar_values(0.0)
    }  # fmt: skip
    # A network that has diverged is an ordinary outcome: its parts are NaN, without a warning.
    with np.errstate(over="ignore", invalid="ignore"):
        return _graph(variant, output)(parameters, scalars, noise, batch, weights)


_NAMES = ("W_in", "W_rec", "W_out")


class _Graph:
    """The gradient of a network in double precision, and its parts."""

    def __init__(self, variant: Variant, output: Output) -> None:
        axes = {**variant.parameter_axes, **output.parameter_axes}
        self._parameters = {key: _tensor("float64", n) for key, n in axes.items()}
        dtypes = {**variant.scalars, **output.scalars}
        self._scalars = {key: _tensor(dtype, 0) for key, dtype in dtypes.items()}
        of_variant, of_output = (
            {key: _tensor(dtype, n) for key, (dtype, n) in part.noise.items()}
            for part in (variant, output)
        )
        self._noise = {**of_variant, **of_output}
        x, target, zeros = (_tensor("float64", 2) for _ in range(3))
        n_rows, weights = _tensor("int64", 1), _tensor("float64", 1)
        symbols = Symbols(self._parameters, self._scalars, x, target, n_rows, zeros)
        state = variant.initial_state(self._parameters, zeros)
        layer, _ = variant.activations(symbols, state, of_variant)
        if not isinstance(layer, FinalLayer):
            raise TypeError(f"variant {variant.name!r} has no affine output layer to take apart")
        nll = output.nll(layer, symbols, of_output)
        gradients = theano.grad(T.sum(weights * nll), [self._parameters[key] for key in _NAMES])
        self._hidden = _hidden_expressions(gradients)
        self._output = _output_expressions(layer, output, symbols, weights, of_output)
        inputs = [*self._parameters.values(), *self._scalars.values(), *self._noise.values()]
        self._function = compiled(
            [*inputs, x, target, n_rows, zeros, weights],
            [*gradients, *self._hidden.values(), *self._output.values()],
            on_unused_input="ignore",
        )

    def __call__(
        self,
        parameters: Parameters,
        scalars: Mapping[str, float],
        noise: Mapping[str, npt.NDArray[Any]],
        batch: PackedChunks,
        weights: Array,
    ) -> tuple[LayerDecomposition, ...]:
        with subnormals_as_zeros():
            values = self._function(
                *(parameters[key].astype(np.float64) for key in self._parameters),
                *(np.dtype(value.dtype).type(scalars[key]) for key, value in self._scalars.items()),
                *(noise[key].astype(value.dtype) for key, value in self._noise.items()),
                batch.x.astype(np.float64),
                batch.target.astype(np.float64),
                batch.n_rows,
                np.zeros(parameters["h0"].shape),
                weights,
            )
        full = dict(zip(_NAMES, values[:3], strict=True))
        names = [*self._hidden, *self._output]
        rest = dict(zip(names, values[3:], strict=True))
        layers = _hidden_layers(rest, full, int(batch.n_rows[0]))
        if rest.get("fast_dropout"):
            p_keep = float(rest["p_keep_output"])
            arrays = (rest[f"output {name}"] for name in ("mean", "variance", "d_mean", "delta"))
            layers.append(_layer("W_out", rest, full, p_keep, p_keep, *arrays))
        return tuple(layers)


@cache
def _graph(variant: str, output: str) -> _Graph:
    # Training forbids double precision, which the parts need.
    with theano.config.change_flags(warn_float64="ignore"):
        return _Graph(VARIANTS[variant], OUTPUTS[output])


def _tensor(dtype: str, n_axes: int) -> Any:
    return T.TensorType("float64" if dtype == "float32" else dtype, (False,) * n_axes)()


def _hidden_expressions(gradients: Sequence[Any]) -> dict[str, Any]:
    """Return the inputs and outputs of the recurrent layer's gradient, by name."""
    (node,) = {
        variable.owner
        for variable in theano.graph.basic.ancestors(gradients)
        if variable.owner is not None
        and isinstance(variable.owner.op, Gradient)
        and isinstance(variable.owner.op.of, (RecurrentLayer, LstmLayer))
    }
    arrays = named(node)
    wanted = ("x", "mean0", "variance0", "W_in", "W_rec", "mean", "variance", "da", "dv")
    expressions = {name: arrays[name] for name in (*wanted, "p_keep_input", "p_keep_hidden")}
    # The factor on the recurrent mean, which is p_keep where the layer has no other.
    expressions["mean_factor"] = arrays.get("mean_factor", arrays["p_keep_hidden"])
    return expressions


def _output_expressions(
    layer: FinalLayer, output: Output, symbols: Symbols, weights: Any, noise: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the moments of the output layer and their gradients, by name.

    The loss is that of the moments, so that an operation which fuses layer and loss is checked.
    Empty for a layer that is an ordinary one in every network of the variant.
    """
    if layer.p_keep is None:
        return {}
    mean, variance = layer.affine()
    loss = T.sum(weights * output.nll_of(layer.drawn((mean, variance)), symbols, noise))
    d_mean, delta = theano.grad(loss, [mean, variance])
    return {
        "W_out": layer.W, "output mean": layer.mean, "output variance": layer.variance,
        "p_keep_output": layer.p_keep, "fast_dropout": layer.fast_dropout,
        "output d_mean": d_mean, "output delta": delta,
    }  # fmt: skip


def _hidden_layers(
    values: Mapping[str, Any], full: Mapping[str, Array], n_sequences: int
) -> list[LayerDecomposition]:
    """Return W_in's and W_rec's parts; step 0 continues the initial state."""

    def before(initial: Array, of_rows: Array) -> Array:
        first = initial[np.minimum(np.arange(n_sequences), len(initial) - 1)]
        return np.concatenate([first, of_rows[: len(of_rows) - n_sequences]])

    mean = before(values["mean0"], values["mean"])
    variance = before(values["variance0"], values["variance"])
    p_input, p_hidden, factor = (
        float(values[name]) for name in ("p_keep_input", "p_keep_hidden", "mean_factor")
    )
    gradients = values["da"], values["dv"]
    return [
        _layer("W_in", values, full, p_input, p_input, values["x"], 0.0, *gradients),
        _layer("W_rec", values, full, factor, p_hidden, mean, variance, *gradients),
    ]


def _layer(
    name: str,
    values: Mapping[str, Any],
    full: Mapping[str, Array],
    factor: float,
    p_keep: float,
    mean: Array,
    variance: Array | float,
    d_mean: Array,
    delta: Array,
) -> LayerDecomposition:
    """Return the parts of an affine step a = factor mean W + b, V[a] by equation 2."""
    W = values[name]
    spread = p_keep * ((1.0 - p_keep) * mean**2 + variance)  # dV[a] / dw^2
    return LayerDecomposition(
        name=name,
        weights=W,
        delta=delta,
        eta=spread.T @ np.abs(delta),
        loss_gradient=factor * mean.T @ d_mean,
        regularizer_gradient=2.0 * W * (spread.T @ delta),
        full_gradient=full[name],
    )
