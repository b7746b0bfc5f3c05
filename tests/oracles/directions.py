"""Gradients by differences: of every number, or of many at once along random directions."""

from __future__ import annotations

import numpy as np


def assert_gradients(case, gradients, loss_at, n_directions=1, step=1e-6):
    """Compare gradients with central differences of the loss along random directions.

    Parameters
    ----------
    case
        Has `parameters`, arrays by name.
    gradients
        Of the loss, by name.
    loss_at
        The loss, called with changed parameters by name.
    """
    rng = np.random.default_rng(0)
    for name, gradient in gradients.items():
        value = case.parameters[name]
        for _ in range(n_directions):
            direction = rng.normal(size=value.shape)
            up, down = (loss_at(**{name: value + sign * step * direction}) for sign in (1, -1))
            expected = np.vdot(gradient, direction)
            scale = max(np.linalg.norm(gradient), 1.0)
            np.testing.assert_allclose(
                (up - down) / (2 * step), expected, atol=1e-5 * scale, rtol=1e-5, err_msg=name
            )


def finite_differences(case, name, function):
    """Return the gradient of one parameter by central differences of each of its numbers."""
    value = case.parameters[name]
    gradient = np.zeros_like(value)
    for index in np.ndindex(value.shape):
        step = np.zeros_like(value)
        step[index] = 1e-6
        up, _, _ = case.run(function, **{name: value + step})
        down, _, _ = case.run(function, **{name: value - step})
        gradient[index] = (up - down) / 2e-6
    return gradient
