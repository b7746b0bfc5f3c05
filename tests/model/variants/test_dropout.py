"""Ordinary dropout, everywhere and on the non-recurrent connections alone."""

import numpy as np
import pytest

from fdrnn.model import moments
from fdrnn.model.ops import DropoutRecurrentLayer
from fdrnn.model.toolchain import theano
from fdrnn.model.variants.dropout import inverted_mask
from oracles import uncompiled
from oracles.numpy_noisy import masked_nll
from oracles.variant_graph import TrainingCase

T = theano.tensor
NO_RATES = {
    "dropout": dict.fromkeys(
        ("dropout_input", "dropout_hidden_to_hidden", "dropout_hidden_to_output"), 0.0
    ),
    "nonrecurrent_dropout": dict.fromkeys(("dropout_input", "dropout_hidden_to_output"), 0.0),
}


@pytest.mark.parametrize("name", NO_RATES)
def test_training_nll_against_numpy(name):
    case = TrainingCase(name, [4] * 6, n_features=6, n_hidden=19, dropout_input=0.4)
    _, nll, _ = case.run()
    for index in range(4):
        frames, rows = case.sequence(index)
        of_state = case.noise["hidden_to_hidden"][rows] if name == "dropout" else None
        expected = masked_nll(
            case.parameters, frames, case.noise["input"][rows], of_state,
            case.noise["hidden_to_output"][rows],
        )  # fmt: skip
        np.testing.assert_allclose(nll[rows], expected, rtol=1e-9)


@pytest.mark.parametrize("name", NO_RATES)
def test_without_rates_it_is_the_plain_network(name):
    loss, nll, gradients = TrainingCase(name, [3] * 5, **NO_RATES[name]).run()
    expected_loss, expected, expected_gradients = TrainingCase("plain", [3] * 5).run()
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(nll, expected, rtol=1e-12)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected_gradients[key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.75])
def test_masks_are_inverted(rate):
    mask = inverted_mask(np.random.default_rng(0), (400, 500), rate)
    assert mask.dtype == np.float32
    kept = mask > 0
    np.testing.assert_allclose(mask[kept], 1 / (1 - rate), rtol=1e-6)
    error = np.sqrt(rate * (1 - rate) / mask.size)
    assert kept.mean() == pytest.approx(1 - rate, abs=5 * error + 1e-9)


@pytest.mark.parametrize("p_keep", [0.3, 0.9])
def test_in_a_linear_layer_the_mean_is_fast_dropout_s(p_keep):
    """... of inputs that are divided by p_keep; and so is the variance (100,000 draws)."""
    rng = np.random.default_rng(0)
    x, W, b = rng.normal(size=7), rng.normal(size=(7, 3)), rng.normal(size=3)
    masks = inverted_mask(rng, (100_000, 7), 1 - p_keep)
    drawn = (x * masks) @ W + b
    arguments = [T.dvector(), T.dvector(), T.dmatrix(), T.dvector(), T.dscalar()]
    affine = theano.function(arguments, list(moments.affine(*arguments)), mode="FAST_COMPILE")
    mean, variance = affine(x / p_keep, np.zeros(7), W, b, p_keep)
    np.testing.assert_allclose(mean, x @ W + b)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * np.sqrt(variance / 100_000)).all()
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.05)


def layer_arguments(rng, n_rows, n_start, n_features=4, n_hidden=6):
    total = sum(n_rows)
    return {
        "x": rng.normal(size=(total, n_features)),
        "n_rows": np.array(n_rows),
        "state0": rng.normal(size=(n_start, n_hidden)),
        "W_in": rng.normal(size=(n_features, n_hidden)) * 0.5,
        "W_rec": rng.normal(size=(n_hidden, n_hidden)) * 0.5,
        "b": rng.normal(size=n_hidden),
        "mask": inverted_mask(rng, (total, n_hidden), 0.4).astype(float),
    }


@pytest.mark.parametrize(
    ("n_rows", "n_start"), [([1, 1, 3, 4], 1), ([5, 4, 2, 1], 5), ([2, 3, 1, 4], 1), ([3, 3], 3)]
)
def test_rows_may_join_and_end_each_with_its_mask(n_rows, n_start):
    """The layer and its gradient for any packing, against a loop over rows."""
    rng = np.random.default_rng(0)
    values = layer_arguments(rng, n_rows, n_start)
    weights = rng.normal(size=(sum(n_rows), 6))
    symbols = [T.dmatrix(), T.lvector(), *(T.dmatrix() for _ in range(3)), T.dvector(), T.dmatrix()]
    weight = T.dmatrix()
    state, _ = DropoutRecurrentLayer()(*symbols)
    gradients = theano.grad((weight * state).sum(), symbols[2:6])
    function = uncompiled.function([*symbols, weight], [state, *gradients])

    def by_rows(**changed):
        v = {**values, **changed}
        before, found, row = v["state0"], [], 0
        for count in n_rows:
            parents = np.minimum(np.arange(count), len(before) - 1)
            here = slice(row, row + count)
            masked = before[parents] * v["mask"][here]
            before = np.tanh(v["x"][here] @ v["W_in"] + masked @ v["W_rec"] + v["b"])
            found.append(before)
            row += count
        return np.concatenate(found)

    state, *gradients = function(*values.values(), weights)
    np.testing.assert_allclose(state, by_rows(), rtol=1e-12)
    for key, gradient in zip(("state0", "W_in", "W_rec", "b"), gradients, strict=True):
        for index in np.ndindex(gradient.shape):
            moved = np.zeros_like(gradient)
            moved[index] = 1e-6
            up, down = ((weights * by_rows(**{key: values[key] + sign * moved})).sum()
                        for sign in (1, -1))  # fmt: skip
            assert gradient[index] == pytest.approx((up - down) / 2e-6, abs=1e-7), key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.ones((4, 6))}, r"mask must have shape \(6, 6\), got \(4, 6\)"),
        ({"W_rec": np.ones((6, 5))}, r"W_rec must have shape \(6, 6\), got \(6, 5\)"),
        ({"state0": np.ones((0, 6))}, "the initial rows must be at least 1, got 0"),
        ({"n_rows": np.array([3, 4])}, "n_rows must sum to the rows of x, 6, got 7"),
    ],
)
def test_shapes_that_do_not_fit(change, message):
    values = layer_arguments(np.random.default_rng(0), [3, 3], 1)
    symbols = [T.dmatrix(), T.lvector(), *(T.dmatrix() for _ in range(3)), T.dvector(), T.dmatrix()]
    function = uncompiled.function(symbols, DropoutRecurrentLayer()(*symbols)[0])
    with pytest.raises(ValueError, match=message):
        function(*{**values, **change}.values())
