import dataclasses

import numpy as np
import pytest

from fdrnn.datasets import chunk
from fdrnn.model import VARIANTS
from fdrnn.model.evaluation import pack_for_validation, sequence_nll, validation_nll
from fdrnn.model.network import network
from fdrnn.model.variants.lstm import FORGET_BIAS
from oracles.numpy_lstm import NumpyLstm
from oracles.random_sequences import random_sequences

RATES = {"dropout_input": 0.1, "dropout_hidden_to_hidden": 0.3}
CASES = {
    "plain": ("lstm", {}, {"plain": True}),
    "fast output": (
        "lstm_fast_dropout",
        {**RATES, "fast_dropout_final_layer": True, "dropout_hidden_to_output": 0.2},
        {"p_input": 0.9, "p_hidden": 0.7, "p_output": 0.8},
    ),
    "ordinary output": (
        "lstm_fast_dropout",
        {**RATES, "fast_dropout_final_layer": False, "dropout_hidden_to_output": None},
        {"p_input": 0.9, "p_hidden": 0.7, "p_output": None},
    ),
}


@pytest.fixture(params=CASES, name="pair")
def network_and_oracle(request):
    name, changes, options = CASES[request.param]
    variant = VARIANTS[name]
    hyperparameters = dataclasses.replace(
        variant.typical, n_hidden=13, sigma2_in=0.1, sigma2_rec_out=0.1, **changes
    )
    parameters = variant.initial_parameters(hyperparameters, 9, 9, "variance", seed=3)
    parameters["h0"] += np.float32(0.25)
    parameters["c0"] -= np.float32(0.5)
    compiled = network(name, "bernoulli")
    compiled.configure(hyperparameters, 0.01, 225.0)
    compiled.set_parameters(parameters)
    return compiled, NumpyLstm(parameters, **options)


def test_test_nll_against_one_sequence_at_a_time(pair):
    """Longer than a block, so that hidden state and cell go on from one to the next."""
    compiled, oracle = pair
    sequences = random_sequences([30, 150, 2, 1, 65, 64])
    sums, _ = sequence_nll(compiled, sequences)
    expected = [oracle.step_nll(sequence).sum() if len(sequence) > 1 else 0.0
                for sequence in sequences]  # fmt: skip
    np.testing.assert_allclose(sums, expected, rtol=1e-5)


def test_validation_nll_against_padded_chunks_one_at_a_time(pair):
    compiled, oracle = pair
    chunks = chunk(random_sequences([12, 30, 1, 5]), 12)
    counted, masked = validation_nll(compiled, pack_for_validation(chunks))
    steps = np.array([oracle.step_nll(frames) for frames in chunks.frames])
    assert counted == pytest.approx(steps.mean(), rel=1e-5)
    real = np.arange(11) >= chunks.starts[:, None]
    assert masked == pytest.approx(steps[real].mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("init_scale", "w_in", "w_rec"), [("variance", 0.1, 0.03), ("std", 0.01, 0.0009)]
)
def test_initial_parameters(init_scale, w_in, w_rec):
    variant = VARIANTS["lstm"]
    hyperparameters = dataclasses.replace(
        variant.typical, n_hidden=50, sigma2_in=0.01, sigma2_rec_out=0.0009
    )
    p = variant.initial_parameters(hyperparameters, 88, 88, init_scale, 0)
    assert {name: value.shape for name, value in p.items()} == {
        "W_in": (88, 200),
        "W_rec": (50, 200),
        "b_h": (200,),
        "h0": (1, 50),
        "c0": (1, 50),
        "W_out": (50, 88),
        "b_y": (88,),
    }
    assert all(value.dtype == np.float32 for value in p.values())
    assert p["W_in"].std() == pytest.approx(w_in, rel=0.05)
    assert p["W_rec"].std() == pytest.approx(w_rec, rel=0.05)
    np.testing.assert_array_equal(p["b_h"][50:100], np.float32(FORGET_BIAS))
    assert not p["b_h"][:50].any()
    assert not p["b_h"][100:].any()


def test_recorded_spectral_radius_is_the_candidates():
    W = np.arange(2 * 8, dtype=np.float32).reshape(2, 8)
    np.testing.assert_array_equal(
        VARIANTS["lstm"].recurrent_weights({"W_rec": W}), [[6, 7], [14, 15]]
    )
