"""The training loss of any variant and output and its gradient, in either precision."""

import dataclasses
from functools import cache

import numpy as np

from fdrnn.model import DEFAULT_OUTPUT, OUTPUTS, VARIANTS, TrainingSettings
from fdrnn.model.packing import PackedChunks
from fdrnn.model.toolchain import theano
from fdrnn.model.variants.base import Symbols
from oracles import uncompiled

T = theano.tensor

FRAMES = {
    "binary": lambda rng, n, width: (rng.random((n, width)) < 0.3).astype(np.float32),
    "real": lambda rng, n, width: rng.standard_normal((n, width)).astype(np.float32),
    "categorical": lambda rng, n, width: np.eye(width, dtype=np.float32)[rng.integers(0, width, n)],
}
"""Random frames of each kind of data, as a network sees them."""


def small_output(output):
    """Typical hyperparameters of an output, with few units."""
    typical = OUTPUTS[output].typical
    return dataclasses.replace(typical, n_nade=6) if output == "nade" else typical


def parameter_axes(name, output):
    return {**VARIANTS[name].parameter_axes, **OUTPUTS[output].parameter_axes}


def differentiable(output, parameters):
    """The parameters that have a gradient, trained or not."""
    return {key: value for key, value in parameters.items() if key not in OUTPUTS[output].untrained}


def graph(name, output, real):
    """The inputs and expressions of a network's loss: loss, nll, parameters, inputs."""
    variant, of = VARIANTS[name], OUTPUTS[output]

    def tensor(dtype, ndim):
        return T.TensorType(real if dtype == "float32" else dtype, (False,) * ndim)()

    parameters = {
        key: tensor("float32", axes) for key, axes in parameter_axes(name, output).items()
    }
    scalars = {key: tensor(dtype, 0) for key, dtype in {**variant.scalars, **of.scalars}.items()}
    noise, of_output = (
        {key: tensor(*spec) for key, spec in part.noise.items()} for part in (variant, of)
    )
    x, target, zeros = (tensor("float32", 2) for _ in range(3))
    n_rows, weights = T.lvector(), tensor("float32", 1)
    symbols = Symbols(parameters, scalars, x, target, n_rows, zeros)
    state = variant.initial_state(parameters, zeros)
    activations, _ = variant.activations(symbols, state, noise)
    nll = of.nll(activations, symbols, of_output)
    penalty = variant.penalty(symbols)
    loss = T.dot(weights, nll)
    loss = loss if penalty is None else loss + penalty
    inputs = [*parameters.values(), *scalars.values(), x, target, n_rows, zeros, weights]
    return loss, nll, parameters, [*inputs, *noise.values(), *of_output.values()]


@cache
def compiled(name, output, real):
    """(loss, nll, gradients by parameter) of parameters, scalars, rows, zeros, weights, noise."""
    loss, nll, parameters, inputs = graph(name, output, real)
    gradients = theano.grad(loss, list(differentiable(output, parameters).values()))
    return uncompiled.function(inputs, [loss, nll, *gradients], on_unused_input="ignore")


class TrainingCase:
    """Random parameters and rows for a network; `rates` change its typical hyperparameters."""

    def __init__(
        self, name, n_rows, n_features=5, n_hidden=7, seed=0, output=DEFAULT_OUTPUT, **rates
    ):
        self.name, self.variant, self.output = name, VARIANTS[name], OUTPUTS[output]
        self.hyperparameters = dataclasses.replace(
            self.variant.typical,
            n_hidden=n_hidden,
            sigma2_in=0.2,
            sigma2_rec_out=0.2,
            **rates,
        )
        rng = np.random.default_rng(seed)
        n_rows = np.array(n_rows, np.int64)
        total = int(n_rows.sum())
        frames = FRAMES[self.output.kind](rng, total + n_rows[0], n_features)
        self.batch = PackedChunks(
            x=frames[:total],
            target=frames[n_rows[0] :],
            n_rows=n_rows,
            counted=np.ones(total, np.float32),
            masked=np.ones(total, np.float32),
        )
        self.weights = rng.random(total)
        of_output = small_output(output)
        n_outputs = self.output.n_outputs(of_output, n_features)
        drawn = self.variant.initial_parameters(
            self.hyperparameters, n_features, n_outputs, "variance", seed
        )
        drawn |= self.output.initial_parameters(of_output, n_features, TrainingSettings(), seed)
        moved = {key: value + rng.normal(0, 0.2, value.shape) for key, value in drawn.items()}
        self.parameters = drawn | differentiable(output, moved)
        self.noise = {
            **self.variant.draw(rng, self.batch, n_outputs, self.hyperparameters),
            **self.output.draw(rng, self.batch),
        }
        self.scalars = {
            **self.variant.scalar_values(self.hyperparameters, 1000.0),
            **self.output.scalar_values(0.25),
        }

    def sequence(self, index):
        """Return the frames (T + 1, n_features) of one chunk of a constant layout, and its rows."""
        rows = np.arange(len(self.batch.x)).reshape(-1, self.batch.n_rows[0])[:, index]
        return np.concatenate([self.batch.x[rows], self.batch.target[rows[-1:]]]), rows

    def run(self, real="float64", **changed):
        """Return loss, NLL per row and gradients by name."""
        parameters = {**self.parameters, **changed}

        def cast(values, dtypes):
            return [
                np.asarray(values[key], real if dtype == "float32" else dtype)
                for key, dtype in dtypes.items()
            ]

        names = parameter_axes(self.name, self.output.name)
        trained = differentiable(self.output.name, names)
        noise = {**self.variant.noise, **self.output.noise}
        loss, nll, *gradients = compiled(self.name, self.output.name, real)(
            *cast(parameters, dict.fromkeys(names, "float32")),
            *cast(self.scalars, {**self.variant.scalars, **self.output.scalars}),
            self.batch.x.astype(real),
            self.batch.target.astype(real),
            self.batch.n_rows,
            np.zeros_like(parameters["h0"], real),
            self.weights.astype(real),
            *cast(self.noise, {key: dtype for key, (dtype, _) in noise.items()}),
        )
        return float(loss), nll, dict(zip(trained, gradients, strict=True))

    def finite_differences(self, key, step=1e-6):
        """Central differences of the loss with respect to a parameter."""
        value = self.parameters[key]
        gradient = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            moved = np.zeros_like(value)
            moved[index] = step
            up, down = (self.run(**{key: value + sign * moved})[0] for sign in (1, -1))
            gradient[index] = (up - down) / (2 * step)
        return gradient
