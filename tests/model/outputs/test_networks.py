"""Outputs in networks of the variants: training, resuming, predictions, decomposition."""

import dataclasses

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import norm

from fdrnn.datasets import SPLITS, Dataset
from fdrnn.model import OUTPUTS, VARIANTS, OutputMismatchError, TrainingSettings
from fdrnn.model.gradients.decompose import decompose
from fdrnn.model.network import network
from fdrnn.model.sampling import predict, sample
from fdrnn.model.toolchain import theano
from fdrnn.model.trainer import Trainer
from oracles.numpy_nade import frame_nll
from oracles.numpy_network import NumpyNetwork
from oracles.variant_graph import TrainingCase, differentiable, graph, small_output

NEW = [name for name in OUTPUTS if name != "bernoulli"]
KINDS_OF_ACTIVATIONS = ("fast_dropout", "fast_dropout_sampled", "plain", "weight_noise_fast")
"""A layer with variances, one whose draw has none, an ordinary one, given moments."""

SETTINGS = TrainingSettings(
    batch_size=5, max_epochs=8, patience=8, chunk_length=25, padding="masked"
)


def walk(n_frames, phase):
    position = np.abs((np.arange(n_frames) + phase) % 10 - 5)
    return np.eye(6, dtype=np.uint8)[position]


def chords(n_frames, phase):
    """Two notes of six, whose first says which the other is."""
    lower = (np.arange(n_frames) + phase) // 2 % 3
    higher = np.random.default_rng(phase).random(n_frames) < 0.5
    return np.eye(6, dtype=np.uint8)[lower] | np.eye(6, dtype=np.uint8)[3 + (lower + higher) % 3]


def oscillation(n_frames, phase):
    rng = np.random.default_rng(phase)
    angle = 2 * np.pi * (np.arange(n_frames) + phase)[:, None] / (7.0, 11.0)
    return (50.0, -2.0) + (10.0, 0.1) * (np.sin(angle) + 0.1 * rng.standard_normal(angle.shape))


def made(kind, frames):
    train, valid, test = (
        tuple(frames(18 + 4 * i, i + begin) for i in range(n))
        for n, begin in ((12, 0), (3, 20), (3, 30))
    )
    return Dataset(name=kind, title=kind, kind=kind, train=train, valid=valid, test=test)


FRAMES = {"binary": chords, "categorical": walk, "real": oscillation}
DATA = {kind: made(kind, frames) for kind, frames in FRAMES.items()}


def small(variant):
    return dataclasses.replace(
        VARIANTS[variant].typical, n_hidden=24, step_rate=0.02, sigma2_rec_out=0.1, sigma2_in=0.1
    )


def trainer(output, variant="fast_dropout", **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    data, of_output = DATA[OUTPUTS[output].kind], small_output(output)
    return Trainer(data, variant, small(variant), settings, 1, output, of_output)


def baseline(data):
    """Test NLL per step of training frequencies, or of the Gaussian of the training frames."""
    train, test = np.concatenate(data.train), np.concatenate([s[1:] for s in data.test])
    if data.kind == "real":
        return -norm.logpdf(test, train.mean(axis=0), train.std(axis=0)).sum(axis=1).mean()
    frequencies = train.mean(axis=0)
    if data.kind == "binary":
        return -np.log(np.where(test, frequencies, 1 - frequencies)).sum(axis=1).mean()
    return -np.log(frequencies[test.argmax(axis=1)]).mean()


@pytest.mark.parametrize("variant", ["fast_dropout", "plain", "weight_noise_fast"])
@pytest.mark.parametrize("output", NEW)
def test_it_learns_more_than_frequencies_and_a_resumed_run_is_undisturbed(output, variant):
    whole = trainer(output, variant)
    records = [whole.run_epoch() for _ in range(SETTINGS.max_epochs)]
    result = whole.result()
    assert result.test_nll_pooled < baseline(DATA[OUTPUTS[output].kind]) - 0.5
    part = trainer(output, variant)
    for _ in range(3):
        part.run_epoch()
    rest = trainer(output, variant)
    rest.restore(part.state())
    assert [rest.run_epoch().train_nll for _ in range(5)] == [r.train_nll for r in records[3:]]
    assert rest.state() == whole.state()
    assert np.isnan(records[-1].valid_nll_counted) != OUTPUTS[output].counts_padding


@pytest.mark.parametrize(
    ("output", "variant"),
    [
        *(
            (output, variant)
            for output in NEW
            if output != "nade"
            for variant in KINDS_OF_ACTIVATIONS
        ),
        *(("nade", variant) for variant in VARIANTS),
    ],
)
def test_gradients_through_a_network(output, variant):
    case = TrainingCase(variant, [2, 2, 2], n_features=3, n_hidden=4, output=output)
    _, nll, gradients = case.run()
    for key, gradient in gradients.items():
        np.testing.assert_allclose(
            gradient, case.finite_differences(key), atol=1e-6, err_msg=f"{variant} {key}"
        )
    _, of_single, _ = case.run("float32")
    np.testing.assert_allclose(of_single, nll, rtol=1e-4)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_every_output(variant, output):
    """Their names do not meet, and every parameter has a gradient."""
    one, other = VARIANTS[variant], OUTPUTS[output]
    for names in ("parameter_axes", "scalars", "noise"):
        assert not getattr(one, names).keys() & getattr(other, names).keys()
    loss, _, parameters, _ = graph(variant, output, "float32")
    parameters = differentiable(output, parameters).values()
    gradients = theano.grad(loss, list(parameters))
    assert [g.ndim for g in gradients] == [value.ndim for value in parameters]


@pytest.mark.parametrize("output", NEW)
def test_an_ordinary_final_layer_ignores_variances(output):
    """Its loss is the ordinary one of the hidden means, which none of its rates changes."""
    case = TrainingCase("fast_dropout", [1, 1, 1], n_features=3, n_hidden=4, output=output)
    rates = case.hyperparameters
    oracle = NumpyNetwork(
        case.parameters, 1 - rates.dropout_input, 1 - rates.dropout_hidden_to_hidden
    )
    h, variances = oracle.hidden(case.batch.x)
    assert variances.min() > 0
    mean, target = h @ oracle.w["W_out"] + oracle.w["b_y"], case.batch.target
    if output == "gaussian":
        offset = case.scalars["log_scale"]
        deviation = np.exp(0.5 * oracle.w["log_variance_y"])
        expected = offset - norm.logpdf(target, mean, deviation).sum(axis=1)
    elif output == "nade":
        V, W, order = (oracle.w[key] for key in ("V_nade", "W_nade", "order_nade"))
        expected = np.array(
            [frame_nll(*row, V, W, order.astype(int)) for row in zip(target, mean, strict=True)]
        )
    else:
        expected = -(target * log_softmax(mean, axis=1)).sum(axis=1)
    for p_keep in (0.3, 0.9):
        case.scalars = {**case.scalars, "fast_dropout_final_layer": 0, "p_keep_output": p_keep}
        np.testing.assert_allclose(case.run()[1], expected, rtol=1e-10)
    case.scalars["fast_dropout_final_layer"] = 1
    assert (np.abs(case.run()[1] - expected) > 1e-6).all()


@pytest.mark.parametrize("variant", ["fast_dropout", "fast_dropout_sampled", "lstm_fast_dropout"])
@pytest.mark.parametrize("output", NEW)
def test_the_decomposition_adds_up(output, variant):
    case = TrainingCase(variant, [2, 2, 2], output=output)
    rng = np.random.default_rng(0)
    layers = decompose(
        variant, output, case.hyperparameters, case.parameters, case.batch, "masked", rng
    )
    assert [layer.name for layer in layers] == ["W_in", "W_rec", "W_out"]
    assert all(layer.residual < 1e-13 for layer in layers)
    assert all(np.abs(layer.regularizer_gradient).max() > 0 for layer in layers)


def test_a_gaussian_unit_far_from_its_target_should_increase_its_variance():
    """Figure 1: delta < 0 exactly where the squared error is above the variance."""
    case = TrainingCase("fast_dropout", [1, 1, 1], output="gaussian")
    *_, layer = decompose(
        "fast_dropout",
        "gaussian",
        case.hyperparameters,
        case.parameters,
        case.batch,
        "masked",
        None,
    )
    rates = case.hyperparameters
    p = 1 - rates.dropout_hidden_to_output
    moments = NumpyNetwork(
        case.parameters, 1 - rates.dropout_input, 1 - rates.dropout_hidden_to_hidden, p
    )
    h, s = moments.hidden(case.batch.x)
    mean = p * h @ moments.w["W_out"] + moments.w["b_y"]
    variance = (p * (1 - p) * h**2 + p * s) @ moments.w["W_out"] ** 2
    variance += np.exp(moments.w["log_variance_y"])
    squares = (case.batch.target - mean) ** 2
    np.testing.assert_array_equal(layer.delta < 0, squares > variance)
    np.testing.assert_allclose(layer.delta, (1 - squares / variance) / (2 * variance) / 3)
    assert 0 < (layer.delta < 0).mean() < 1


@pytest.mark.parametrize("variant", ["fast_dropout", "plain"])
@pytest.mark.parametrize("output", NEW)
def test_predictions_have_the_nll_of_the_score(output, variant):
    run = trainer(output, variant)
    run.run_epoch()
    compiled = network(variant, output)
    parameters = compiled.parameters()
    sequence = np.asarray(run._test[2], np.float64)
    expected, predicted_deviation = predict(compiled, sequence)
    nll = run.result().test_nll_sums[2]
    if output == "gaussian":
        drawn = np.array([sample(compiled, sequence[:3], 4, seed)[-1] for seed in range(1500)])
        spread = drawn.std(axis=0)
        assert (np.abs(drawn.mean(axis=0) - expected[2]) < 5 * spread / 1500**0.5).all()
        deviation = np.exp(0.5 * parameters["log_variance_y"])
        assert (spread > 0.9 * deviation).all()
        if variant == "plain":
            np.testing.assert_allclose(predicted_deviation, np.tile(deviation, (len(expected), 1)))
        found = -norm.logpdf(sequence[1:], expected, predicted_deviation).sum()
        offset = np.log(np.concatenate(DATA["real"].train).std(axis=0)).sum()
        assert found + offset * len(expected) == pytest.approx(nll, rel=1e-4)
        return
    assert predicted_deviation is None
    if output == "nade":
        found = -np.log(np.where(sequence[1:] == 1, expected, 1 - expected)).sum()
        assert found == pytest.approx(nll, rel=1e-5)
        drawn = np.array([sample(compiled, sequence[:3], 4, seed)[-1] for seed in range(400)])
        # The first column depends on no other.
        error = np.sqrt(expected[2, 0] * (1 - expected[2, 0]) / 400)
        assert abs(drawn[:, 0].mean() - expected[2, 0]) < 5 * error + 1e-3
        return
    target = sequence[1:].argmax(axis=1)
    found = -np.log(expected[np.arange(len(expected)), target]).sum()
    assert found == pytest.approx(nll, rel=1e-5)
    drawn = [sample(compiled, sequence[:3], 4, seed)[-1] for seed in range(800)]
    assert (np.sum(drawn, axis=1) == 1).all()
    error = np.sqrt(expected[2] * (1 - expected[2]) / 800)
    assert (np.abs(np.mean(drawn, axis=0) - expected[2]) < 5 * error + 1e-3).all()


def test_the_nll_of_real_data_is_in_the_units_of_the_file():
    data = DATA["real"]
    other = dataclasses.replace(
        data, **{s: tuple(1000.0 * q + 7.0 for q in data.split(s)) for s in SPLITS}
    )
    runs = [
        Trainer(one, "fast_dropout", small("fast_dropout"), SETTINGS, 1, "gaussian")
        for one in (data, other)
    ]
    first, second = (run.run_epoch() for run in runs)
    shift = 2 * np.log(1000.0)
    for key in ("train_nll", "valid_nll_counted", "valid_nll_masked"):
        assert getattr(second, key) == pytest.approx(getattr(first, key) + shift, rel=1e-5)
    steps = np.array([len(s) - 1 for s in data.test])
    a, b = (run.result().test_nll_sums for run in runs)
    np.testing.assert_allclose(b, a + shift * steps, rtol=1e-5)


def test_divergence_of_an_nll_that_may_be_negative_or_next_to_0():
    gaussian, binary = OUTPUTS["gaussian"], OUTPUTS["bernoulli"]
    assert not gaussian.has_diverged(-1.0, -2.0, 3)
    assert gaussian.has_diverged(-2.0 + 3 * 1.42, -2.0, 3)
    assert not gaussian.has_diverged(1e6, np.inf, 3)
    assert binary.has_diverged(8.1, 4.0, 88)
    assert not binary.has_diverged(7.9, 4.0, 88)
    assert not binary.has_diverged(1.9, 0.01, 88)
    assert binary.has_diverged(2.1, 0.01, 88)
    assert not OUTPUTS["softmax_sampled"].has_diverged(1.9, 0.01, 5)
    assert OUTPUTS["softmax_sampled"].has_diverged(2.1, 0.01, 5)


@pytest.mark.parametrize(
    ("output", "data", "padding", "message"),
    [
        ("gaussian", "categorical", "masked", "'categorical' is categorical; output 'softmax_sam"),
        ("bernoulli", "real", "counted", "'real' is real; output 'gaussian' fits it"),
        ("softmax_sampled", "categorical", "counted", "padding must be 'masked' for output 'soft"),
    ],
)
def test_what_does_not_fit_is_refused(output, data, padding, message):
    settings = dataclasses.replace(SETTINGS, padding=padding)
    with pytest.raises(OutputMismatchError, match=message):
        Trainer(DATA[data], "plain", small("plain"), settings, 1, output)
