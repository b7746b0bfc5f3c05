"""What a trained network expects of a sequence, and sequences drawn from it.

A network's output at step t - 1 is the mean of its Bernoulli prediction of frame x_t, computed
by the same pass as in testing: with fast dropout, variances and all. Frames are arrays
(time, feature).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from fdrnn.model.moments import Expression
from fdrnn.model.network import FloatArray, Network, RowFunction, State
from fdrnn.model.ops import BernoulliOutput
from fdrnn.model.packing import PackedBlock

Frames = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float64]


def predict(network: Network, sequence: Frames) -> Probabilities:
    """Predict every frame of a sequence but the first from those before it.

    Parameters
    ----------
    network
        A network with its parameters and rates set.
    sequence
        Values 0 and 1, shape (T, D).

    Returns
    -------
    ndarray
        float64, shape (T - 1, D), in [0, 1]: row t - 1 holds P(x_t | x_<t) of every feature. The
        cross entropy of these with ``sequence[1:]`` is the sequence's test NLL, to the rounding
        of the network's float32.
    """
    probabilities, _ = _after(network, sequence[:-1], network.initial_state())
    return probabilities


def sample(network: Network, given: Frames, n_steps: int, seed: int) -> Frames:
    """Draw a sequence that begins with given frames.

    The network starts from its trained h0 and reads the given frames; every further frame is
    drawn from the prediction, each feature an independent Bernoulli variable, and read in turn.

    Parameters
    ----------
    network
        A network with its parameters and rates set.
    given
        Values 0 and 1, shape (n_given, D), n_given >= 1: without a first frame there is no
        prediction.
    n_steps
        Frames of the result, the given ones included.
    seed
        Of the draws; not negative.

    Returns
    -------
    ndarray
        uint8, shape (n_steps, D).

    Raises
    ------
    ValueError
        If no frame is given, or more than `n_steps`.
    """
    n_given = len(given)
    if not 1 <= n_given <= n_steps:
        raise ValueError(f"of {n_steps} steps 1 to {n_steps} must be given, got {n_given}")
    frames = np.zeros((n_steps, given.shape[1]), np.uint8)
    frames[:n_given] = given
    uniform = np.random.default_rng(seed).random((n_steps - n_given, given.shape[1]))
    state, unread = network.initial_state(), 0
    for step in range(n_given, n_steps):
        probabilities, state = _after(network, frames[unread:step], state)
        frames[step] = uniform[step - n_given] < probabilities[-1]
        unread = step
    return frames


def _after(network: Network, frames: Frames, state: State) -> tuple[Probabilities, State]:
    """Predictions after each frame, and the state after the last."""
    n_frames = len(frames)
    if not n_frames:
        return np.zeros(frames.shape), state
    x = frames.astype(np.float32)
    one_a_step = np.ones(n_frames, np.int64)
    # The targets matter to the NLL alone, which is not asked for.
    rows = PackedBlock(x, np.zeros_like(x), one_a_step, np.zeros(n_frames, np.int64))
    (mean, variance), state = _presynaptic(network)(rows, state)
    return _sigmoid_mean(mean, variance), state


@cache
def _presynaptic(network: Network) -> RowFunction:
    # Compiled when it is first asked for; made of the operations of scoring, so that no C is.
    return network.row_function(_output_moments)


def _output_moments(nll: Expression) -> list[Expression]:
    layer = nll.owner
    if layer is None or not isinstance(layer.op, BernoulliOutput):
        raise TypeError("predictions need a network whose NLL is computed by BernoulliOutput")
    _, mean, variance = layer.outputs
    return [mean, variance]


def _sigmoid_mean(mean: FloatArray, variance: FloatArray) -> Probabilities:
    """Mean of sig(z) for Gaussian z (`fdrnn.model.moments.sigmoid`).

    float64, because a float32 next to 1 is too coarse for the logarithm of its complement.
    An ordinary output layer has no variances: no rows of them.
    """
    logit = mean.astype(np.float64)
    if len(variance):
        logit /= np.sqrt(1.0 + math.pi / 8 * variance.astype(np.float64))
    probabilities: Probabilities = expit(logit)
    return probabilities
