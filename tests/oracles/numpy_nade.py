"""A NADE over the columns of one frame in plain NumPy, one column after the other."""

import numpy as np
from scipy.special import expit


def flattened(mean, variance):
    return mean / np.sqrt(1 + np.pi * variance / 8)


def frame_probabilities(frame, biases, V, W, order, variances=None):
    """P(x_i = 1 | x_<i) of each column of a frame; biases and variances are (b_v, b_h)."""
    n = len(frame)
    b_v, a = biases[:n], biases[n:].copy()
    v_v, v_h = np.zeros(n), np.zeros(len(a))
    if variances is not None:
        v_v, v_h = variances[:n], variances[n:]
    found = np.zeros(n)
    for i in order:
        first = expit(flattened(a, v_h))
        # E[sig^2] = E[sig] - E[sig'], with the derivative of the approximate mean.
        second = first - first * (1 - first) / np.sqrt(1 + np.pi * v_h / 8)
        m, v = b_v[i], v_v[i]
        for unit in range(len(a)):
            m += V[i, unit] * first[unit]
            v += V[i, unit] ** 2 * (second[unit] - first[unit] ** 2)
        found[i] = expit(flattened(m, v))
        a += frame[i] * W[i]
    return found


def frame_nll(frame, *nade):
    p = frame_probabilities(frame, *nade)
    return -np.log(np.where(frame == 1, p, 1 - p)).sum()
