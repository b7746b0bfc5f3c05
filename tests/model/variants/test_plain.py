"""Weight decay."""

import numpy as np
import pytest

from oracles.variant_graph import TrainingCase

WEIGHTS = ("W_in", "W_rec", "W_out")


@pytest.mark.parametrize("weight_decay", [0.1, 1e-4, 1e-30])
def test_loss_and_gradient_are_the_plain_network_s_and_the_penalty_s(weight_decay):
    """1e-30: the limit in which nothing is left of the penalty."""
    case = TrainingCase("weight_decay", [1, 3, 3], weight_decay=weight_decay)
    loss, nll, gradients = case.run()
    plain = TrainingCase("plain", [1, 3, 3])
    plain_loss, plain_nll, plain_gradients = plain.run()
    np.testing.assert_allclose(nll, plain_nll, rtol=1e-12)
    squares = sum((case.parameters[key] ** 2).sum() for key in WEIGHTS)
    assert loss == pytest.approx(plain_loss + weight_decay * squares, rel=1e-12)
    for key, gradient in gradients.items():
        pull = 2 * weight_decay * case.parameters[key] if key in WEIGHTS else 0.0
        np.testing.assert_allclose(gradient, plain_gradients[key] + pull, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, -1e-3, float("inf"), float("nan")])
def test_the_coefficient_is_positive(value):
    with pytest.raises(ValueError, match="weight_decay must be positive and finite, for"):
        TrainingCase("weight_decay", [1], weight_decay=value)
