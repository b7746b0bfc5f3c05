"""The paper's network in plain NumPy, float64, one sequence at a time.

Written from the equations alone; shares nothing with the package.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm


def sigmoid_moments(m, v):
    alpha = 4 - 2 * np.sqrt(2)
    beta = -np.log(np.sqrt(2) - 1)
    first = expit(m / np.sqrt(1 + np.pi * v / 8))
    second = expit(alpha * (m - beta) / np.sqrt(1 + np.pi * alpha**2 * v / 8))
    return first, np.maximum(second - first**2, 0)


def tanh_moments(m, v):
    first, second = sigmoid_moments(2 * m, 4 * v)
    return 2 * first - 1, 4 * second


def authors_tanh_moments(m, v):
    first, second = sigmoid_moments(m, v)
    return 2 * first - 1, 4 * second


def rectifier_moments(m, v):
    d = np.sqrt(np.maximum(v, 1e-12))
    z = m / d
    first = m * norm.cdf(z) + d * norm.pdf(z)
    second = (m**2 + v) * norm.cdf(z) + m * d * norm.pdf(z)
    return first, np.maximum(second - first**2, 0)


@dataclass
class NumpyNetwork:
    """p_* are keep probabilities; p_output None: an ordinary final layer.

    incoming_variance False: the variance of Wang and Manning, which drops that of the inputs.
    """

    parameters: dict
    p_input: float = 1.0
    p_hidden: float = 1.0
    p_output: float | None = None
    mean_factor: float | None = None
    transfer: object = staticmethod(tanh_moments)
    plain: bool = False
    incoming_variance: bool = True

    def __post_init__(self):
        self.w = {k: np.asarray(v, np.float64) for k, v in self.parameters.items()}

    def hidden(self, x, mean=None, variance=None):
        w = self.w
        h = w["h0"][0] if mean is None else mean
        s = np.zeros_like(h) if variance is None else variance
        factor = self.p_hidden if self.mean_factor is None else self.mean_factor
        means, variances = [np.zeros((0, len(h)))], [np.zeros((0, len(h)))]
        for frame in np.asarray(x, np.float64):
            if self.plain:
                h = np.tanh(frame @ w["W_in"] + h @ w["W_rec"] + w["b_h"])
                s = np.zeros_like(h)
            else:
                m = self.p_input * frame @ w["W_in"] + factor * h @ w["W_rec"] + w["b_h"]
                v = (self.p_input * (1 - self.p_input) * frame**2) @ w["W_in"] ** 2
                v = (
                    v
                    + (self.p_hidden * (1 - self.p_hidden) * h**2 + self.p_hidden * s)
                    @ w["W_rec"] ** 2
                )
                h, s = self.transfer(m, v)
                s = s * self.incoming_variance
            means.append(h[None])
            variances.append(s[None])
        return np.concatenate(means), np.concatenate(variances)

    def probabilities(self, x):
        """Predictions after each frame of x."""
        w = self.w
        h, s = self.hidden(x)
        if self.p_output is None:
            return expit(h @ w["W_out"] + w["b_y"])
        p = self.p_output
        m = p * h @ w["W_out"] + w["b_y"]
        v = (p * (1 - p) * h**2 + p * s) @ w["W_out"] ** 2
        return sigmoid_moments(m, v)[0]

    def step_nll(self, sequence):
        """NLL in nats of each predicted step of one sequence, shape (T - 1,)."""
        x = np.asarray(sequence, np.float64)
        y = self.probabilities(x[:-1])
        target = x[1:]
        return -(target * np.log(y) + (1 - target) * np.log1p(-y)).sum(axis=1)


def random_parameters(rng, n_features, n_hidden, scale=1.0):
    return {
        "W_in": rng.normal(0, scale / np.sqrt(n_features), (n_features, n_hidden)),
        "W_rec": rng.normal(0, scale / np.sqrt(n_hidden), (n_hidden, n_hidden)),
        "b_h": rng.normal(0, 0.3, n_hidden),
        "h0": rng.normal(0, 0.5, (1, n_hidden)),
        "W_out": rng.normal(0, scale / np.sqrt(n_hidden), (n_hidden, n_features)),
        "b_y": rng.normal(-0.8, 0.3, n_features),
    }
