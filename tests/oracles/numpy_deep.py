"""Several hidden layers with and without fast dropout in plain NumPy, one sequence at a time.

Written from the equations alone; shares nothing with the package.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from oracles.numpy_network import tanh_moments


def affine_moments(mean, variance, W, p_keep):
    return p_keep * mean @ W, p_keep * ((1 - p_keep) * mean**2 + variance) @ W**2


def tanh_alone(mean, variance):
    return np.tanh(mean), 0 * variance


@dataclass
class NumpyDeep:
    """p_* are keep probabilities; p_output None: an ordinary final layer.

    shared: every recurrent layer reads the state of the last of them, not its own.
    """

    parameters: dict
    shared: bool
    p_input: float = 1.0
    p_hidden: float = 1.0
    p_between: float = 1.0
    p_output: float | None = None
    plain: bool = False

    def __post_init__(self):
        self.w = {k: np.asarray(v, np.float64) for k, v in self.parameters.items()}
        n = self.w["W_rec"].shape[1]
        self.recurrent = self.w["W_rec"].reshape(-1, n, n)
        self.between = self.w["W_between"].reshape(-1, n, n)
        self.biases = self.w["b_h"].reshape(-1, n)
        self.start = [(mean, 0 * mean) for mean in self.w["h0"].reshape(-1, n)]

    def layers(self, x, states):
        """Moments of every layer, from a frame and the moments of the states before it."""
        tanh, moments = tanh_alone if self.plain else tanh_moments, []
        for layer, bias in enumerate(self.biases):
            if layer == 0:
                mean, variance = affine_moments(x, 0 * x, self.w["W_in"], self.p_input)
            else:
                mean, variance = affine_moments(
                    *moments[-1], self.between[layer - 1], self.p_between
                )
            if layer < len(self.recurrent):
                state = states[0 if self.shared else layer]
                more = affine_moments(*state, self.recurrent[layer], self.p_hidden)
                mean, variance = mean + more[0], variance + more[1]
            moments.append(tanh(mean + bias, variance))
        return moments

    def logit(self, mean, variance):
        """z with the predicted probability sigmoid(z)."""
        if self.p_output is None:
            return mean @ self.w["W_out"] + self.w["b_y"]
        m, v = affine_moments(mean, variance, self.w["W_out"], self.p_output)
        return (m + self.w["b_y"]) / np.sqrt(1 + np.pi * v / 8)

    def step_nll(self, sequence):
        """NLL in nats of each predicted step of one sequence, shape (T - 1,)."""
        frames, states, nll = np.asarray(sequence, np.float64), self.start, []
        last = len(self.recurrent) - 1
        for frame, target in itertools.pairwise(frames):
            moments = self.layers(frame, states)
            states = [moments[last]] if self.shared else moments[: last + 1]
            z = self.logit(*moments[-1])
            nll.append((np.logaddexp(0, z) - target * z).sum())
        return np.array(nll)
