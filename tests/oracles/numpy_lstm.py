"""The LSTM with and without fast dropout in plain NumPy, float64, one sequence at a time.

Written from the equations alone; shares nothing with the package.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from oracles.numpy_network import sigmoid_moments, tanh_moments


def product_moments(m, v, n, w):
    """x y of independent x with moments (m, v) and y with moments (n, w)."""
    return m * n, v * w + v * n**2 + w * m**2


def without_variance(moments):
    """A transfer function whose variance is held at zero."""

    def held(m, v):
        mean, variance = moments(m, v)
        return mean, np.zeros_like(variance)

    return held


@dataclass
class NumpyLstm:
    """p_* are keep probabilities; p_output None: an ordinary final layer."""

    parameters: dict
    p_input: float = 1.0
    p_hidden: float = 1.0
    p_output: float | None = None
    sigmoid: object = staticmethod(sigmoid_moments)
    tanh: object = staticmethod(tanh_moments)
    plain: bool = False

    def __post_init__(self):
        self.w = {k: np.asarray(v, np.float64) for k, v in self.parameters.items()}
        zero = np.zeros_like(self.w["h0"])
        self.start = [self.w["h0"], zero, self.w["c0"], zero]

    def step(self, x, h, s, c, r):
        """One frame from hidden moments (h, s) and cell moments (c, r)."""
        w, n = self.w, len(h)
        columns = [slice(k * n, (k + 1) * n) for k in range(4)]
        if self.plain:
            a = x @ w["W_in"] + h @ w["W_rec"] + w["b_h"]
            i, f, o = (expit(a[k]) for k in columns[:3])
            c = f * c + i * np.tanh(a[columns[3]])
            return o * np.tanh(c), 0 * h, c, 0 * h
        p, q = self.p_input, self.p_hidden
        a = p * x @ w["W_in"] + q * h @ w["W_rec"] + w["b_h"]
        v = p * (1 - p) * x**2 @ w["W_in"] ** 2 + (q * (1 - q) * h**2 + q * s) @ w["W_rec"] ** 2
        i, f, o = (self.sigmoid(a[k], v[k]) for k in columns[:3])
        g = self.tanh(a[columns[3]], v[columns[3]])
        kept, fresh = product_moments(*f, c, r), product_moments(*i, *g)
        c, r = kept[0] + fresh[0], kept[1] + fresh[1]
        h, s = product_moments(*o, *self.tanh(c, r))
        return h, s, c, r

    def hidden(self, x):
        """Hidden moments after each frame of x."""
        state = [part[0] for part in self.start]
        states = []
        for frame in np.asarray(x, np.float64):
            state = self.step(frame, *state)
            states.append(state[:2])
        return tuple(np.array(part) for part in zip(*states, strict=True))

    def logit(self, mean, variance):
        """z with the predicted probability sigmoid(z)."""
        w = self.w
        if self.p_output is None:
            return mean @ w["W_out"] + w["b_y"]
        p = self.p_output
        m = p * mean @ w["W_out"] + w["b_y"]
        v = (p * (1 - p) * mean**2 + p * variance) @ w["W_out"] ** 2
        return m / np.sqrt(1 + np.pi * v / 8)

    def step_nll(self, sequence):
        """NLL in nats of each predicted step of one sequence, shape (T - 1,)."""
        frames = np.asarray(sequence, np.float64)
        z = self.logit(*self.hidden(frames[:-1]))
        return (np.logaddexp(0, z) - frames[1:] * z).sum(axis=1)


def random_lstm_parameters(rng, n_features, n_hidden, scale=1.0):
    gates = 4 * n_hidden
    return {
        "W_in": rng.normal(0, scale / np.sqrt(n_features), (n_features, gates)),
        "W_rec": rng.normal(0, scale / np.sqrt(n_hidden), (n_hidden, gates)),
        "b_h": rng.normal(0, 0.3, gates),
        "h0": rng.normal(0, 0.5, (1, n_hidden)),
        "c0": rng.normal(0, 0.5, (1, n_hidden)),
        "W_out": rng.normal(0, scale / np.sqrt(n_hidden), (n_hidden, n_features)),
        "b_y": rng.normal(-0.8, 0.3, n_features),
    }
