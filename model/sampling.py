"""Predict the frames of a sequence by a trained network, and draw sequences from it.

A network's output at step t - 1 is its prediction of frame x_t, computed by the same pass as in
testing: with fast dropout, variances and all. Frames are arrays (time, feature) as the network
sees them: 0 and 1, one-hot, or standardised values.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from fdrnn.datasets import Frames
from fdrnn.model.network import Network, RowFunction, State
from fdrnn.model.outputs.base import Array, ArrayMoments
from fdrnn.model.packing import PackedBlock


def predict(network: Network, sequence: Frames) -> tuple[Array, Array | None]:
    """Predict every frame of a sequence but the first from the previous frames.

    Parameters
    ----------
    network
        A network with its parameters and rates set.
    sequence
        Shape (T, D).

    Returns
    -------
    expectations
        float64, shape (T - 1, D): row t - 1 holds E[x_t | x_<t] of every feature, which for
        binary and categorical data is its probability; where columns depend on each other, given
        the frame's columns before it as well. The cross entropy of probabilities with
        ``sequence[1:]`` is the sequence's test NLL, to the rounding of the network's float32.
    deviations
        The standard deviations of real values, of the same shape; None for other data.
    """
    moments, _ = _after(network, sequence[:-1], network.initial_state())
    output, parameters = network.output, network.parameters()
    expected = output.expectation(moments, parameters, sequence[1:])
    return expected, output.deviation(moments, parameters)


def sample(network: Network, given: Frames, n_steps: int, seed: int) -> Frames:
    """Draw a sequence that begins with given frames.

    The network starts from its trained h0 and reads the given frames; every further frame is
    drawn from the prediction and read in turn.

    Parameters
    ----------
    network
        A network with its parameters and rates set.
    given
        Shape (n_given, D), n_given >= 1: without a first frame there is no prediction.
    n_steps
        Frames of the result, including the given frames.
    seed
        Seed of the draws, not negative.

    Returns
    -------
    ndarray
        Shape (n_steps, D), of the dtype of `given`.

    Raises
    ------
    ValueError
        If no frame is given, or more than `n_steps` frames.
    ToolchainError
        If the network's moments cannot be compiled on this machine.
    """
    n_given = len(given)
    if not 1 <= n_given <= n_steps:
        raise ValueError(f"the number of given frames must be 1 to {n_steps}, got {n_given}")
    output, parameters = network.output, network.parameters()
    frames = np.zeros((n_steps, given.shape[1]), given.dtype)
    frames[:n_given] = given
    rng = np.random.default_rng(seed)
    variates = output.variates(rng, n_steps - n_given, given.shape[1])
    state, unread = network.initial_state(), 0
    for step in range(n_given, n_steps):
        (mean, variance), state = _after(network, frames[unread:step], state)
        last = variance[-1] if variance is not None and len(variance) else None
        frames[step] = output.realize((mean[-1], last), parameters, variates[step - n_given])
        unread = step
    return frames


def _after(network: Network, frames: Frames, state: State) -> tuple[ArrayMoments, State]:
    """Return the activations' moments after each frame, and the state after the last."""
    n_frames = len(frames)
    if not n_frames:
        return (np.zeros((0, len(network.parameters()["b_y"]))), None), state
    x = frames.astype(np.float32)
    one_a_step = np.ones(n_frames, np.int64)
    # Only the NLL reads the targets.
    rows = PackedBlock(x, np.zeros_like(x), one_a_step, np.zeros(n_frames, np.int64))
    (mean, *variance), state = _presynaptic(network)(rows, state)
    return (mean.astype(np.float64), variance[0].astype(np.float64) if variance else None), state


@cache
def _presynaptic(network: Network) -> RowFunction:
    # Compiled at the first use, mostly of the operations of scoring, which are cached.
    return network.row_function(
        lambda activations, symbols, _: network.output.presynaptic(activations, symbols)
    )
