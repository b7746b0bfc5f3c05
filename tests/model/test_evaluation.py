from types import SimpleNamespace

import numpy as np
import pytest

from fdrnn.datasets import chunk
from fdrnn.model import FastDropoutHyperparameters, Hyperparameters
from fdrnn.model.evaluation import pack_for_validation, sequence_nll, validation_nll
from fdrnn.model.initialization import initial_parameters
from fdrnn.model.network import network
from fdrnn.model.outputs import OUTPUTS
from oracles.numpy_network import NumpyNetwork, authors_tanh_moments
from oracles.random_sequences import random_sequences

COMMON = {
    "n_hidden": 21,
    "step_rate": 0.01,
    "momentum": 0.9,
    "decay": 0.8,
    "sigma2_rec_out": 0.1,
    "sigma2_in": 0.1,
    "spectral_radius": 1.2,
}
RATES = {"dropout_input": 0.1, "dropout_hidden_to_hidden": 0.3}
CASES = {
    "fast output": (
        "fast_dropout",
        {"fast_dropout_final_layer": True, "dropout_hidden_to_output": 0.2},
        {"p_input": 0.9, "p_hidden": 0.7, "p_output": 0.8},
    ),
    "ordinary output": (
        "fast_dropout",
        {"fast_dropout_final_layer": False},
        {"p_input": 0.9, "p_hidden": 0.7, "p_output": None},
    ),
    "authors' cell": (
        "authors_cell",
        {"fast_dropout_final_layer": True, "dropout_hidden_to_output": 0.2},
        {
            "p_input": 0.9,
            "p_hidden": 0.7,
            "p_output": 0.8,
            "mean_factor": 0.3,
            "transfer": authors_tanh_moments,
        },
    ),
    "plain": ("plain", None, {"plain": True}),
}


@pytest.fixture(params=CASES, name="pair")
def network_and_oracle(request):
    variant, extra, options = CASES[request.param]
    if extra is None:
        hyperparameters = Hyperparameters(**COMMON)
    else:
        hyperparameters = FastDropoutHyperparameters(**COMMON, **RATES, **extra)
    parameters = initial_parameters(hyperparameters, 9, 9, "variance", seed=3)
    parameters["h0"] += np.float32(0.25)
    compiled = network(variant, "bernoulli")
    compiled.configure(hyperparameters, 0.01, 225.0)
    compiled.set_parameters(parameters)
    return compiled, NumpyNetwork(parameters, **options)


def test_test_nll_against_one_sequence_at_a_time(pair):
    compiled, oracle = pair
    sequences = random_sequences([30, 150, 2, 1, 65, 64])
    sums, steps = sequence_nll(compiled, sequences)
    expected = [oracle.step_nll(sequence).sum() for sequence in sequences]
    np.testing.assert_allclose(sums, expected, rtol=1e-5)
    np.testing.assert_array_equal(steps, [29, 149, 1, 0, 64, 63])


def test_validation_nll_against_padded_chunks_one_at_a_time(pair):
    compiled, oracle = pair
    chunks = chunk(random_sequences([12, 30, 1, 5]), 12)
    counted, masked = validation_nll(compiled, pack_for_validation(chunks))
    steps = np.array([oracle.step_nll(frames) for frames in chunks.frames])
    assert counted == pytest.approx(steps.mean(), rel=1e-5)
    real = np.arange(11) >= chunks.starts[:, None]
    assert masked == pytest.approx(steps[real].mean(), rel=1e-5)


def test_padding_that_is_masked_may_have_an_infinite_nll():
    batches = pack_for_validation(chunk(random_sequences([12, 5]), 12))
    scores = SimpleNamespace(
        initial_state=lambda: None,
        score=lambda batch, _: (np.where(batch.masked > 0, 2.0, np.inf), None),
        output=OUTPUTS["bernoulli"],
    )
    assert validation_nll(scores, batches) == (np.inf, 2.0)
