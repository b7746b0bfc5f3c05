"""Networks with Gaussian weights in plain NumPy, float64, one sequence at a time.

Written from the equations alone; shares nothing with the package. `means` and `variances` are
dictionaries of W_in, W_rec and W_out; `rest` holds b_h, h0 and b_y.
"""

import numpy as np

from oracles.numpy_network import sigmoid_moments, tanh_moments


def gaussian_product(m, s, M, S):
    """Equations 5 and 6: moments of x W, x ~ N(m, s), W ~ N(M, S), all independent."""
    return m @ M, s @ M**2 + s @ S + m**2 @ S


def fast_step(x, m, s, means, variances, rest, transfer=tanh_moments):
    """Hidden moments after one frame."""
    a_in, v_in = gaussian_product(x, np.zeros_like(x), means["W_in"], variances["W_in"])
    a, v = gaussian_product(m, s, means["W_rec"], variances["W_rec"])
    return transfer(a_in + a + rest["b_h"], v_in + v)


def fast_logit(m, s, means, variances, rest):
    """z with the predicted probability sigmoid(z)."""
    a, v = gaussian_product(m, s, means["W_out"], variances["W_out"])
    p, _ = sigmoid_moments(a + rest["b_y"], v)
    return np.log(p) - np.log1p(-p)


def plain_hidden(x, weights, rest):
    """Hidden states after each frame of x with one draw of the weights."""
    h, states = rest["h0"][0], []
    for frame in np.asarray(x, np.float64):
        h = np.tanh(frame @ weights["W_in"] + h @ weights["W_rec"] + rest["b_h"])
        states.append(h)
    return np.array(states)


def plain_nll(x, target, weights, rest):
    """NLL in nats of each row with one draw of the weights."""
    z = plain_hidden(x, weights, rest) @ weights["W_out"] + rest["b_y"]
    return (np.logaddexp(0, z) - target * z).sum(axis=1)


def description_length(means, variances):
    """KL from N(means, variances) to the best Gaussian shared by all weights, in nats.

    By the definition of the divergence for each weight, at the prior that minimises their sum.
    """
    m = np.concatenate([means[name].ravel() for name in means])
    s = np.concatenate([variances[name].ravel() for name in means])
    prior_mean = m.mean()
    prior_variance = (s + (m - prior_mean) ** 2).mean()
    each = np.log(prior_variance / s) + (s + (m - prior_mean) ** 2) / prior_variance - 1
    return 0.5 * each.sum()


def random_gaussian_weights(rng, n_features, n_hidden, variance=0.1):
    """(means, variances, rest)."""
    shapes = {
        "W_in": (n_features, n_hidden),
        "W_rec": (n_hidden, n_hidden),
        "W_out": (n_hidden, n_features),
    }
    means = {k: rng.normal(0, 1 / np.sqrt(shape[0]), shape) for k, shape in shapes.items()}
    variances = {k: variance * rng.random(shape) / shape[0] for k, shape in shapes.items()}
    rest = {
        "b_h": rng.normal(0, 0.3, n_hidden),
        "h0": rng.normal(0, 0.5, (1, n_hidden)),
        "b_y": rng.normal(-0.8, 0.3, n_features),
    }
    return means, variances, rest
