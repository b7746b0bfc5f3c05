import dataclasses
import itertools

import numpy as np
import pytest

from fdrnn.model import VARIANTS
from fdrnn.model.errors import DecompositionError, ToolchainError
from fdrnn.model.gradients.decompose import _graph, decompose
from fdrnn.model.gradients.recording import of_decomposition
from fdrnn.model.toolchain import theano
from fdrnn.model.variants.fast_dropout import FastDropout
from fdrnn.model.variants.plain import ordinary
from oracles.numpy_network import sigmoid_moments, tanh_moments
from oracles.variant_graph import TrainingCase

ABLE = [name for name, variant in VARIANTS.items() if variant.decomposes]
UNABLE = [name for name in VARIANTS if name not in ABLE]


def decomposed(name, n_rows=(3, 3, 3, 3), **changes):
    case = TrainingCase(name, list(n_rows), **changes)
    layers = decompose(
        name,
        case.output.name,
        case.hyperparameters,
        case.parameters,
        case.batch,
        "counted",
        np.random.default_rng(0),
    )
    return case, {layer.name: layer for layer in layers}


@pytest.mark.parametrize("name", ABLE)
@pytest.mark.parametrize("n_rows", [(3, 3, 3, 3), (1,), (1, 1, 1, 1, 1)], ids=str)
def test_the_parts_add_up_to_the_full_gradient(name, n_rows):
    _, layers = decomposed(name, n_rows)
    assert list(layers) == ["W_in", "W_rec", "W_out"]
    for layer in layers.values():
        assert np.abs(layer.full_gradient).max() > 0
        assert layer.residual < 1e-13
        sign = np.sign(layer.delta)
        assert sum(layer.shares) == pytest.approx(1)
        assert layer.shares[0] == (sign < 0).mean()


@pytest.mark.parametrize("name", ["fast_dropout", "lstm_fast_dropout"])
def test_an_ordinary_final_layer_has_no_regulariser(name):
    ordinary = {"fast_dropout_final_layer": False, "dropout_hidden_to_output": None}
    _, layers = decomposed(name, **ordinary)
    assert list(layers) == ["W_in", "W_rec"]
    assert all(layer.residual < 1e-13 for layer in layers.values())


class OrdinaryFinalLayer(FastDropout):
    """Fast dropout in the recurrent layer alone, whatever the hyperparameters."""

    def activations(self, symbols, state, noise):
        _, hidden = super().activations(symbols, state, noise)
        return ordinary(symbols, *hidden), hidden


def test_a_variant_without_another_final_layer_than_an_ordinary_one(monkeypatch):
    name = "ordinary_final_layer"
    variant = OrdinaryFinalLayer(name=name, title="", typical=VARIANTS["fast_dropout"].typical)
    monkeypatch.setitem(VARIANTS.own, name, variant)
    _, layers = decomposed(name)
    ordinary_layer = {"fast_dropout_final_layer": False, "dropout_hidden_to_output": None}
    _, expected = decomposed("fast_dropout", **ordinary_layer)
    assert list(layers) == list(expected)
    for matrix, layer in layers.items():
        np.testing.assert_allclose(
            layer.regularizer_gradient, expected[matrix].regularizer_gradient, rtol=1e-9
        )


@pytest.mark.parametrize("name", UNABLE)
def test_a_variant_without_variances_is_refused(name):
    with pytest.raises(DecompositionError, match=f"fast_dropout, .*got '{name}'"):
        decomposed(name)


def oracle_loss(case, hidden_shift, output_shift):
    """Mean NLL of one chunk by the equations, its pre-synaptic variances shifted."""
    w, h = case.parameters, case.hyperparameters
    p_in, p_rec = 1 - h.dropout_input, 1 - h.dropout_hidden_to_hidden
    p_out = 1 - h.dropout_hidden_to_output
    frames, _ = case.sequence(0)
    mean, variance, total = w["h0"][0], 0.0 * w["h0"][0], 0.0
    for t, (x, target) in enumerate(itertools.pairwise(frames)):
        m = p_in * x @ w["W_in"] + p_rec * mean @ w["W_rec"] + w["b_h"]
        v = (p_in * (1 - p_in) * x**2) @ w["W_in"] ** 2 + hidden_shift[t]
        v = v + (p_rec * (1 - p_rec) * mean**2 + p_rec * variance) @ w["W_rec"] ** 2
        mean, variance = tanh_moments(m, v)
        z = p_out * mean @ w["W_out"] + w["b_y"]
        s = (p_out * (1 - p_out) * mean**2 + p_out * variance) @ w["W_out"] ** 2
        y, _ = sigmoid_moments(z, s + output_shift[t])
        total -= (target * np.log(y) + (1 - target) * np.log1p(-y)).sum()
    return total / (len(frames) - 1)


def test_delta_is_the_derivative_with_respect_to_the_presynaptic_variance():
    case, layers = decomposed("fast_dropout", (1, 1, 1, 1))
    shifts = [np.zeros_like(layers[name].delta) for name in ("W_rec", "W_out")]
    for position, name in enumerate(("W_rec", "W_out")):
        expected = np.zeros_like(shifts[position])
        for index in np.ndindex(expected.shape):
            moved = [shift.copy() for shift in shifts]
            moved[position][index] = 1e-6
            up = oracle_loss(case, *moved)
            moved[position][index] = -1e-6
            expected[index] = (up - oracle_loss(case, *moved)) / 2e-6
        np.testing.assert_allclose(layers[name].delta, expected, atol=1e-8)
    np.testing.assert_array_equal(layers["W_in"].delta, layers["W_rec"].delta)


def test_pull_is_the_coefficient_of_the_term_on_the_weights():
    _, layers = decomposed("fast_dropout")
    layer = layers["W_rec"]
    W, R = layer.weights.ravel(), layer.regularizer_gradient.ravel()
    (slope,), *_ = np.linalg.lstsq(W[:, None], R, rcond=None)
    assert layer.pull == pytest.approx(slope)
    acting = R != 0
    assert layer.pulled_share == pytest.approx((W * R > 0)[acting].mean())
    # Weight decay's gradient is 2 lambda W.
    decay = dataclasses.replace(layer, regularizer_gradient=2 * 0.01 * layer.weights)
    assert decay.pull == pytest.approx(0.02)
    assert decay.pulled_share == 1


def test_eta_and_regulariser_by_their_definition():
    case, layers = decomposed("fast_dropout", (2, 2, 2))
    layer, p_keep = layers["W_in"], 1 - case.hyperparameters.dropout_input
    x, W, delta = case.batch.x.astype(float), case.parameters["W_in"], layer.delta
    eta = np.abs(delta)[:, None, :] * (p_keep * (1 - p_keep) * x**2)[:, :, None]
    np.testing.assert_allclose(layer.eta, eta.sum(0), rtol=1e-12)
    terms = 2 * np.sign(delta)[:, None, :] * eta * W
    np.testing.assert_allclose(layer.regularizer_gradient, terms.sum(0), rtol=1e-10, atol=1e-18)


def test_erroneous_output_units_should_increase_their_variance():
    """The paper's reading of delta < 0, for Bernoulli units: exactly those that are wrong do."""
    case, layers = decomposed("fast_dropout", (1, 1, 1, 1))
    p_out = 1 - case.hyperparameters.dropout_hidden_to_output
    w, delta = case.parameters, layers["W_out"].delta
    mean, variance = w["h0"][0], 0.0 * w["h0"][0]
    h = case.hyperparameters
    p_in, p_rec = 1 - h.dropout_input, 1 - h.dropout_hidden_to_hidden
    for t, (x, target) in enumerate(zip(case.batch.x, case.batch.target, strict=True)):
        m = p_in * x @ w["W_in"] + p_rec * mean @ w["W_rec"] + w["b_h"]
        v = (p_in * (1 - p_in) * x**2) @ w["W_in"] ** 2
        v = v + (p_rec * (1 - p_rec) * mean**2 + p_rec * variance) @ w["W_rec"] ** 2
        mean, variance = tanh_moments(m, v)
        says_on = p_out * mean @ w["W_out"] + w["b_y"] > 0
        np.testing.assert_array_equal(delta[t] < 0, says_on != target.astype(bool))


def test_noise_term_of_sampling_has_a_mean_that_is_not_zero():
    """Of output units: dJ/da grows with the draw, so that delta is positive on average.

    E[dJ/da s] = sqrt(V[a]) E[d2J/da2] (Stein), which for a cross entropy is positive. The paper
    calls the term zero-centred, as it would be if dJ/da did not depend on s.
    """
    case = TrainingCase("fast_dropout_sampled", [1], n_hidden=3, n_features=2)
    case.parameters["W_out"] = 8 * case.parameters["W_out"]  # else it drowns in the draws
    rng = np.random.default_rng(0)
    deltas = []
    for _ in range(3000):
        *_, output = decompose(
            case.name,
            case.output.name,
            case.hyperparameters,
            case.parameters,
            case.batch,
            "counted",
            rng,
        )
        deltas.append(output.delta.sum())
    assert np.mean(deltas) > 5 * np.std(deltas) / np.sqrt(len(deltas))


def test_measurements_are_the_layers_numbers_by_name():
    _, layers = decomposed("fast_dropout")
    values = of_decomposition(list(layers.values()))
    assert values["regularizer_ratio_W_rec"] == layers["W_rec"].norm_ratio
    assert values["delta_negative_hidden"] == layers["W_rec"].shares[0]
    assert values["delta_positive_output"] == layers["W_out"].shares[2]
    assert len(values) == 21


@pytest.mark.filterwarnings("error")
def test_a_diverged_network_has_parts_that_are_not_finite():
    case = TrainingCase("fast_dropout", [2, 2, 2])
    case.parameters["W_rec"][0, 0] = np.nan
    layers = decompose(
        case.name,
        case.output.name,
        case.hyperparameters,
        case.parameters,
        case.batch,
        "counted",
        None,
    )
    values = of_decomposition(layers)
    assert np.isnan(values["regularizer_ratio_W_rec"])


def test_a_graph_that_cannot_be_compiled_is_trouble_of_the_machine(monkeypatch, capfd):
    """After the network has been: the disk may have filled since."""
    case = TrainingCase("fast_dropout", [2, 2])

    def fail(*_, **__):
        print("a whole C file")
        raise Exception("Compilation failed (return status=1)")  # noqa: TRY002 - as Theano does

    _graph.cache_clear()
    monkeypatch.setattr(theano, "function", fail)
    with pytest.raises(ToolchainError, match="cannot be compiled: Compilation failed"):
        decompose(
            "fast_dropout", "bernoulli", case.hyperparameters, case.parameters, case.batch,
            "masked", None,
        )  # fmt: skip
    assert capfd.readouterr().out == ""
