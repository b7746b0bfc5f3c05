import dataclasses

import numpy as np
import pytest

from fdrnn.datasets import Dataset, chunk
from fdrnn.model import VARIANTS, DecompositionError, TrainingSettings, require_decomposition
from fdrnn.model.evaluation import pack_for_validation, sequence_nll, validation_nll
from fdrnn.model.network import network
from fdrnn.model.sampling import predict, sample
from fdrnn.model.trainer import Trainer
from oracles.directions import assert_gradients
from oracles.numpy_deep import NumpyDeep
from oracles.random_sequences import random_sequences
from oracles.variant_graph import TrainingCase

FORMS = ("stacked", "deep_transition", "deep_output")
DEEP = [*FORMS, *(f"{form}_fast_dropout" for form in FORMS)]
RATES = {
    "dropout_input": 0.1,
    "dropout_hidden_to_hidden": 0.3,
    "dropout_between_layers": 0.4,
    "fast_dropout_final_layer": True,
    "dropout_hidden_to_output": 0.2,
}
P_KEEP = {"p_input": 0.9, "p_hidden": 0.7, "p_between": 0.6, "p_output": 0.8}
ORDINARY = {"fast_dropout_final_layer": False, "dropout_hidden_to_output": None}


def hyperparameters_of(name, n_layers, **changes):
    rates = {key: rate for key, rate in RATES.items() if hasattr(VARIANTS[name].typical, key)}
    return dataclasses.replace(
        VARIANTS[name].typical,
        **{"n_hidden": 13, "n_layers": n_layers, "sigma2_in": 0.1, "sigma2_rec_out": 0.1}
        | rates
        | changes,
    )


def network_and_oracle(name, n_layers, **changes):
    """A compiled network of random parameters, and the same in NumPy."""
    hyperparameters = hyperparameters_of(name, n_layers, **changes)
    parameters = VARIANTS[name].initial_parameters(hyperparameters, 9, 9, "variance", seed=3)
    rng = np.random.default_rng(4)
    for key in ("h0", "b_h"):
        parameters[key] += rng.normal(0, 0.3, parameters[key].shape).astype(np.float32)
    compiled = network(name, "bernoulli")
    compiled.configure(hyperparameters, 0.01, 225.0)
    compiled.set_parameters(parameters)
    options = {"plain": True} if name in FORMS else dict(P_KEEP)
    if changes == ORDINARY:
        options["p_output"] = None
    return compiled, NumpyDeep(parameters, not name.startswith("stacked"), **options)


CASES = [
    *((name, n_layers, {}) for name in DEEP for n_layers in (1, 2, 3)),
    *((f"{form}_fast_dropout", 3, ORDINARY) for form in FORMS),
    ("stacked_fast_dropout", 8, {}),
    ("deep_output_fast_dropout", 8, {}),
]


@pytest.mark.parametrize(("name", "n_layers", "changes"), CASES)
def test_test_nll_against_one_sequence_at_a_time(name, n_layers, changes):
    """Longer than a block, so that states go on from one to the next."""
    compiled, oracle = network_and_oracle(name, n_layers, **changes)
    sequences = random_sequences([30, 150, 2, 1, 65, 64])
    sums, _ = sequence_nll(compiled, sequences)
    expected = [oracle.step_nll(sequence).sum() for sequence in sequences]
    np.testing.assert_allclose(sums, expected, rtol=2e-5)


@pytest.mark.parametrize("n_layers", [2, 3])
@pytest.mark.parametrize("name", DEEP)
def test_validation_nll_against_padded_chunks_one_at_a_time(name, n_layers):
    compiled, oracle = network_and_oracle(name, n_layers)
    chunks = chunk(random_sequences([12, 30, 1, 5]), 12)
    counted, masked = validation_nll(compiled, pack_for_validation(chunks))
    steps = np.array([oracle.step_nll(frames) for frames in chunks.frames])
    assert counted == pytest.approx(steps.mean(), rel=1e-5)
    real = np.arange(11) >= chunks.starts[:, None]
    assert masked == pytest.approx(steps[real].mean(), rel=1e-5)


@pytest.mark.parametrize("name", DEEP)
def test_predictions_and_samples_go_on_frame_by_frame(name):
    compiled, oracle = network_and_oracle(name, 3)
    (sequence,) = random_sequences([20])
    expected, _ = predict(compiled, sequence)
    found = -np.log(np.where(sequence[1:] == 1, expected, 1 - expected)).sum(axis=1)
    np.testing.assert_allclose(found, oracle.step_nll(sequence), rtol=1e-4)
    drawn = [sample(compiled, sequence[:19], 20, seed)[-1] for seed in range(300)]
    # By the state after 18 frames, as at the end of the longer ones.
    again = [sample(compiled, sequence[:1], 20, seed)[1] for seed in range(300)]
    for frames, row in ((drawn, 18), (again, 0)):
        error = np.sqrt(expected[row] * (1 - expected[row]) / 300)
        assert (np.abs(np.mean(frames, axis=0) - expected[row]) < 5 * error + 1e-3).all()


LAYOUTS = ([3, 3, 3, 3], [1, 1, 3, 4, 2, 1])
"""Constant, and with rows that join and end."""


@pytest.mark.parametrize("n_rows", LAYOUTS, ids=str)
@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
@pytest.mark.parametrize("name", DEEP)
def test_gradients(name, n_layers, n_rows):
    case = TrainingCase(name, n_rows, n_features=3, n_hidden=4, n_layers=n_layers)
    _, _, gradients = case.run()
    for key, gradient in gradients.items():
        expected = case.finite_differences(key)
        np.testing.assert_allclose(gradient, expected, atol=1e-6, err_msg=key)
        assert np.abs(gradient).max(initial=0.0) > 0 or gradient.size == 0, key


@pytest.mark.parametrize("n_rows", [[150] * 4, [1, 3, 150, 149, 5]], ids=["constant", "others"])
@pytest.mark.parametrize("name", DEEP)
def test_gradients_of_many_rows(name, n_rows):
    """More than one block of the input's product holds."""
    case = TrainingCase(name, n_rows, n_features=5, n_hidden=128, n_layers=3)
    _, _, gradients = case.run()
    assert_gradients(case, gradients, lambda **changed: case.run(**changed)[0])


SETTINGS = TrainingSettings(batch_size=4, max_epochs=3, chunk_length=20, parameter_average=0.5)


def trained(name, **changes):
    sequences = random_sequences([25, 40, 18, 9, 33, 51, 12, 28])
    data = Dataset(
        name="random", title="random", train=sequences[:5], valid=sequences[5:7], test=sequences[7:]
    )
    typical = VARIANTS[name].typical
    small = dataclasses.replace(typical, n_hidden=18, step_rate=0.005, sigma2_in=0.1, **changes)
    run = Trainer(data, name, small, SETTINGS, 7)
    records = [dataclasses.replace(run.run_epoch(), seconds=0.0) for _ in range(3)]
    return records, run.result()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("suffix", "ordinary"), [("", "plain"), ("_fast_dropout", "fast_dropout")], ids=["plain", "fd"]
)
def test_one_layer_is_the_ordinary_network_to_the_last_bit(form, suffix, ordinary):
    records, result = trained(form + suffix, n_layers=1)
    expected_records, expected = trained(ordinary)
    assert records == expected_records
    np.testing.assert_array_equal(result.test_nll_sums, expected.test_nll_sums)
    assert result.parameters.pop("W_between").shape == (0, 18)
    assert result.parameters.keys() == expected.parameters.keys()
    for key, value in result.parameters.items():
        assert value.shape == expected.parameters[key].shape
        np.testing.assert_array_equal(value, expected.parameters[key], err_msg=key)


@pytest.mark.parametrize(
    ("name", "n_layers", "n_recurrent", "n_states"),
    [
        ("stacked", 1, 1, 1),
        ("stacked", 3, 3, 3),
        ("deep_transition", 2, 2, 1),
        ("deep_output", 1, 1, 1),
        ("deep_output", 2, 1, 1),
        ("deep_output", 3, 2, 1),
    ],
)
def test_initial_parameters(name, n_layers, n_recurrent, n_states):
    hyperparameters = hyperparameters_of(
        name, n_layers, n_hidden=60, max_incoming=11, spectral_radius=1.15
    )
    variant = VARIANTS[name]
    p = variant.initial_parameters(hyperparameters, 88, 90, "variance", 5)
    assert {key: value.shape for key, value in p.items()} == {
        "W_in": (88, 60),
        "W_rec": (n_recurrent * 60, 60),
        "b_h": (n_layers * 60,),
        "h0": (1, n_states * 60),
        "W_out": (60, 90),
        "b_y": (90,),
        "W_between": ((n_layers - 1) * 60, 60),
    }
    assert all(value.dtype == np.float32 for value in p.values())
    matrices = np.concatenate([p["W_rec"], p["W_between"]]).reshape(-1, 60, 60)
    assert len(matrices) == variant.n_matrices(hyperparameters)
    for W in matrices:
        assert ((W != 0).sum(axis=0) == 11).all()
    assert len({W.tobytes() for W in matrices}) == len(matrices)


def largest_eigenvalue(W):
    return np.abs(np.linalg.eigvals(np.asarray(W, np.float64))).max()


@pytest.mark.parametrize("name", FORMS)
def test_the_linear_map_to_every_layer_has_the_set_spectral_radius(name):
    """From its own state in a stack, from that of the step before in a transition."""
    p = VARIANTS[name].initial_parameters(
        hyperparameters_of(name, 4, n_hidden=60, max_incoming=11, spectral_radius=1.15),
        9, 9, "variance", 5,
    )  # fmt: skip
    recurrent, between = (p[key].reshape(-1, 60, 60) for key in ("W_rec", "W_between"))
    maps = list(recurrent)
    if name != "stacked":
        maps = maps[:1]
        for into, shortcut in zip(between, recurrent[1:], strict=False):
            maps.append(maps[-1] @ into + shortcut)
            ratio = largest_eigenvalue(into) / largest_eigenvalue(shortcut)
            assert ratio == pytest.approx(1, rel=1e-3)
    assert len(maps) == (3 if name == "deep_output" else 4)
    for linear in maps:
        assert largest_eigenvalue(linear) == pytest.approx(1.15, rel=2e-4)
    recorded = VARIANTS[name].recurrent_weights(p)
    np.testing.assert_allclose(recorded, maps[0 if name == "stacked" else -1], rtol=1e-4, atol=1e-6)
    if name != "deep_transition":
        assert largest_eigenvalue(between[-1]) == pytest.approx(1.15, rel=1e-4)


def test_the_recorded_matrix_of_a_diverged_network_is_not_finite():
    p = VARIANTS["deep_transition"].initial_parameters(
        hyperparameters_of("deep_transition", 3), 9, 9, "variance", 5
    )
    p["W_between"][0, 0] = np.inf
    assert not np.isfinite(VARIANTS["deep_transition"].recurrent_weights(p)).all()


def test_draws_do_not_depend_on_the_number_of_layers():
    few, many = (
        VARIANTS["stacked"].initial_parameters(
            hyperparameters_of("stacked", n_layers), 9, 9, "variance", 5
        )
        for n_layers in (2, 4)
    )
    for key, value in few.items():
        np.testing.assert_array_equal(value.ravel(), many[key].ravel()[: value.size], err_msg=key)


@pytest.mark.parametrize(
    ("value", "rule"),
    [(0, "at least 1"), (9, "at most 8"), (-1, "at least 1"), (2.5, "a whole number")],
)
def test_the_number_of_layers_has_bounds(value, rule):
    with pytest.raises(ValueError, match=f"n_layers must be {rule}, got {value}"):
        hyperparameters_of("stacked", value)


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_the_rate_between_layers_is_one(value):
    with pytest.raises(
        ValueError, match=r"dropout_between_layers must be a dropout rate in \[0, 1"
    ):
        hyperparameters_of("stacked_fast_dropout", 2, dropout_between_layers=value)


@pytest.mark.parametrize("name", DEEP)
def test_their_gradient_is_not_taken_apart(name):
    with pytest.raises(DecompositionError, match="must have one recurrent layer"):
        require_decomposition(name)
