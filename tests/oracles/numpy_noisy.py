"""Networks with given draws in plain NumPy, float64, one sequence at a time.

Written from the definitions alone; shares nothing with the package.
"""

import numpy as np


def cross_entropy(logit, target):
    return (np.logaddexp(0, logit) - target * logit).sum()


def sampled_nll(w, frames, p_input, p_hidden, p_output, hidden_noise, output_noise):
    """NLL of each predicted step with a = E[a] + s sqrt(V[a]); p_output None: ordinary output."""
    frames = np.asarray(frames, np.float64)
    h, nll = w["h0"][0], []
    for t, x in enumerate(frames[:-1]):
        mean = p_input * x @ w["W_in"] + p_hidden * h @ w["W_rec"] + w["b_h"]
        variance = p_input * (1 - p_input) * x**2 @ w["W_in"] ** 2
        variance = variance + p_hidden * (1 - p_hidden) * h**2 @ w["W_rec"] ** 2
        h = np.tanh(mean + hidden_noise[t] * np.sqrt(variance))
        if p_output is None:
            logit = h @ w["W_out"] + w["b_y"]
        else:
            logit = p_output * h @ w["W_out"] + w["b_y"]
            spread = np.sqrt(p_output * (1 - p_output) * h**2 @ w["W_out"] ** 2)
            logit = logit + output_noise[t] * spread
        nll.append(cross_entropy(logit, frames[t + 1]))
    return np.array(nll)


def masked_nll(w, frames, input_mask, recurrent_mask, output_mask):
    """NLL of each predicted step of an ordinary network whose inputs, state and output are masked.

    A mask of None masks nothing.
    """
    frames = np.asarray(frames, np.float64)
    h, nll = w["h0"][0], []
    one = np.ones(len(frames))
    input_mask, recurrent_mask, output_mask = (
        one if mask is None else mask for mask in (input_mask, recurrent_mask, output_mask)
    )
    for t, x in enumerate(frames[:-1]):
        before = h * recurrent_mask[t]
        h = np.tanh((x * input_mask[t]) @ w["W_in"] + before @ w["W_rec"] + w["b_h"])
        logit = (h * output_mask[t]) @ w["W_out"] + w["b_y"]
        nll.append(cross_entropy(logit, frames[t + 1]))
    return np.array(nll)
