"""Initial parameters: Gaussian weights, sparse recurrence, a set spectral radius.

Bayer et al. 2013, section 2.3 and Table 2, after Sutskever et al. 2013.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fdrnn.model.settings import Hyperparameters, TrainingSettings
from fdrnn.model.spectral import spectral_radius

Parameters = dict[str, npt.NDArray[np.float32]]
"""W_in (D, H), W_rec (H, H), b_h (H,), h0 (1, H), W_out (H, A), b_y (A,): D columns, A activations.

An LSTM's first three have 4 H instead of the last H, and it has c0 (1, H) as well. L layers, N of
them recurrent, have W_rec (N H, H), b_h (L H,), W_between ((L - 1) H, H) and, in a stack, h0 (1, L
H). Lp units have W_pool (H, P H), b_pool (P H,) and rho_pool (H,). Weight noise and the Gaussian
output add logarithms of variances, NADE its weights and the order of its columns.
"""

OUTPUT_BIAS = TrainingSettings.output_bias
_IN_OUT = 100
"""First key of the streams of `with_sparse_in_out`, which no variant's own streams have."""


def deviation(sigma2: float, init_scale: str) -> float:
    """Return the standard deviation of initial weights for a reading of sigma^2."""
    return math.sqrt(sigma2) if init_scale == "variance" else sigma2


def initial_parameters(
    hyperparameters: Hyperparameters, n_features: int, n_outputs: int, init_scale: str, seed: int
) -> Parameters:
    """Draw the initial parameters, float32, from `seed` alone.

    W_in, W_rec and W_out are normal with mean 0 and sigma^2 as variance, or as standard
    deviation with ``init_scale = "std"``. Each unit keeps at most `max_incoming` recurrent
    connections (entries of its column of W_rec) at random, then W_rec is scaled to the spectral
    radius, within 1e-4 of it. b_h = 0, and h0, which is trained, starts at 0. b_y = -0.8, which
    an output replaces by its own.
    """
    n_hidden = hyperparameters.n_hidden
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    weights, connections, inputs, outputs = streams

    of_rec_out = deviation(hyperparameters.sigma2_rec_out, init_scale)
    of_in = deviation(hyperparameters.sigma2_in, init_scale)
    drawn = {
        "W_in": inputs.normal(0.0, of_in, (n_features, n_hidden)),
        "W_rec": recurrent_matrix(hyperparameters, init_scale, weights, connections),
        "b_h": np.zeros(n_hidden),
        "h0": np.zeros((1, n_hidden)),
        "W_out": outputs.normal(0.0, of_rec_out, (n_hidden, n_outputs)),
        "b_y": np.full(n_outputs, OUTPUT_BIAS),
    }
    return {name: value.astype(np.float32) for name, value in drawn.items()}


def recurrent_matrix(
    hyperparameters: Hyperparameters,
    init_scale: str,
    weights: np.random.Generator,
    connections: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Draw a matrix (H, H) between hidden units, sparse and of the set spectral radius."""
    n_hidden = hyperparameters.n_hidden
    spread = deviation(hyperparameters.sigma2_rec_out, init_scale)
    drawn = weights.normal(0.0, spread, (n_hidden, n_hidden))
    limit = hyperparameters.max_incoming
    if limit is not None and limit < n_hidden:
        drawn *= kept_connections(connections, drawn.shape, limit)
    drawn *= hyperparameters.spectral_radius / rounded_radius(drawn)
    return drawn


def recurrent_matrices(
    hyperparameters: Hyperparameters, init_scale: str, streams: np.random.SeedSequence, count: int
) -> list[npt.NDArray[np.float64]]:
    """Draw several matrices like `recurrent_matrix`."""
    return [
        recurrent_matrix(hyperparameters, init_scale, *map(np.random.default_rng, stream.spawn(2)))
        for stream in streams.spawn(count)
    ]


def rounded_radius(matrix: npt.NDArray[np.float64]) -> float:
    """Return a spectral radius to five digits: its last bits depend on LAPACK and the CPU."""
    return float(f"{spectral_radius(matrix, tolerance=0.0):.5g}")


def with_sparse_in_out(parameters: Parameters, limit: int, seed: int) -> Parameters:
    """Return initial parameters with at most `limit` connections per unit of W_in and W_out.

    Parameters
    ----------
    parameters
        As a variant draws them.
    limit
        As `TrainingSettings.max_incoming_in_out`: 0 keeps all.
    seed
        Seed of the trial, from which alone the connections are chosen.
    """
    changed = {}
    for key, name in enumerate(("W_in", "W_out"), _IN_OUT):
        # A variant may name its matrices otherwise.
        if name in parameters and 0 < limit < len(weights := parameters[name]):
            stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(key,)))
            changed[name] = weights * kept_connections(stream, weights.shape, limit)
    return parameters | changed


def kept_connections(
    stream: np.random.Generator, shape: tuple[int, ...], limit: int
) -> npt.NDArray[np.bool_]:
    """Choose at random `limit` entries of each column."""
    return stream.random(shape).argsort(axis=0).argsort(axis=0) < limit
