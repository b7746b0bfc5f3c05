"""A Laplace output for real values, and a data set, as plug-ins for fdrnn.

Each column has the density exp(-|x - m| / b) / (2 b) of location m = E[a] and scale b. Its
variance, 2 b^2, is V[a] + 2 exp(2 s): what the network propagates, and a learned s, a parameter
of each column.
"""

from typing import ClassVar

import numpy as np

from fdrnn.datasets import REAL, Dataset
from fdrnn.datasets.plugins import DataSource
from fdrnn.model.outputs.base import Output

LOG_SCALE = "log_scale_y"


class LaplaceOutput(Output):
    """Independent Laplace columns."""

    kind = REAL
    parameter_axes: ClassVar = {LOG_SCALE: 1}
    # The sum of the logarithms of the columns' units: the network sees standardised frames.
    scalars: ClassVar = {"log_scale": "float32"}

    def initial_parameters(self, hyperparameters, n_features, settings, seed):
        """Start at the average and with a scale of 1."""
        return {name: np.zeros(n_features, np.float32) for name in ("b_y", LOG_SCALE)}

    def scalar_values(self, log_scale):
        """Return what `scalars` declares."""
        return {"log_scale": log_scale}

    def nll_of(self, moments, symbols, noise):
        """Build the NLL of every row, in the units of the data."""
        # Imported here, because a list of outputs needs no Theano. These two functions have the
        # same bits on every machine.
        from fdrnn.model.ops import exponential, logarithm  # noqa: PLC0415
        from fdrnn.model.toolchain import theano  # noqa: PLC0415

        mean, variance = moments
        T = theano.tensor
        # Constants of the network's type: training refuses double precision.
        half, two = (T.constant(value, dtype=mean.dtype) for value in (0.5, 2.0))
        scale = exponential(symbols.parameters[LOG_SCALE])
        if variance is not None:
            scale = T.sqrt(half * variance + scale**2)
        distance = abs(symbols.target - mean) / scale
        return T.sum(distance + logarithm(two * scale), axis=1) + symbols.scalars["log_scale"]

    def has_diverged(self, valid_nll, best, n_features):
        """Compare differences: the NLL of a density has no least value."""
        return valid_nll > best + 2.0 * n_features

    def expectation(self, moments, parameters, target):
        """Return the locations."""
        return moments[0]

    def deviation(self, moments, parameters):
        """Return the standard deviations."""
        mean, variance = moments
        own = 2.0 * np.exp(2.0 * parameters[LOG_SCALE].astype(np.float64))
        return np.sqrt(np.broadcast_to(own if variance is None else variance + own, mean.shape))

    def variates(self, rng, n_steps, n_features):
        """Draw Laplace numbers of scale 1, whose deviation is the root of 2."""
        return rng.laplace(size=(n_steps, n_features))

    def realize(self, moments, parameters, variates):
        """Draw a frame."""
        return moments[0] + self.deviation(moments, parameters) * variates / np.sqrt(2.0)


def steps() -> Dataset:
    """Return walks with Laplace steps: 40 for training, 10 each for validation and test."""
    rng = np.random.default_rng(0)
    walks = [np.cumsum(rng.laplace(size=(100, 2)), axis=0) for _ in range(60)]
    train, valid, test = tuple(walks[:40]), tuple(walks[40:50]), tuple(walks[50:])
    return Dataset("steps", "Laplace steps", train, valid, test, kind=REAL)


OUTPUT = LaplaceOutput(name="laplace", title="Laplace")
DATA = DataSource(title="Laplace steps", load=steps)
