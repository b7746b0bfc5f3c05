import dataclasses

import numpy as np
import pytest

from fdrnn.model import VARIANTS
from fdrnn.model.evaluation import sequence_nll
from fdrnn.model.network import network
from oracles.numpy_deep import NumpyDeep
from oracles.numpy_lp import lp_units
from oracles.variant_graph import TrainingCase

LP = VARIANTS["deep_output_lp"]


def hyperparameters_of(**changes):
    return dataclasses.replace(
        LP.typical, **{"n_hidden": 13, "sigma2_in": 0.1, "sigma2_rec_out": 0.1} | changes
    )


@pytest.mark.parametrize(("n_layers", "n_pooled"), [(2, 1), (2, 3), (3, 2), (4, 5)])
def test_test_nll_against_one_sequence_at_a_time(n_layers, n_pooled):
    hyperparameters = hyperparameters_of(n_layers=n_layers, n_pooled=n_pooled)
    parameters = LP.initial_parameters(hyperparameters, 9, 9, "variance", 3)
    rng = np.random.default_rng(4)
    for key in ("h0", "b_h", "b_pool", "rho_pool"):
        parameters[key] += rng.normal(0, 0.5, parameters[key].shape).astype(np.float32)
    compiled = network(LP.name, "bernoulli")
    compiled.configure(hyperparameters, 0.01, 225.0)
    compiled.set_parameters(parameters)
    lengths = (30, 150, 2, 1)
    sequences = tuple((rng.random((n, 9)) < 0.3).astype(np.uint8) for n in lengths)
    sums, _ = sequence_nll(compiled, sequences)

    oracle, w = NumpyDeep(parameters, shared=True, plain=True), {}
    w |= {key: value.astype(np.float64) for key, value in parameters.items()}
    expected = []
    for sequence in sequences:
        frames, states, hidden = sequence.astype(float), oracle.start, []
        for frame in frames[:-1]:
            states = oracle.layers(frame, states)[-1:]
            hidden.append(states[0][0])
        a = np.reshape(hidden, (-1, 13)) @ w["W_pool"] + w["b_pool"]
        exponents = 1 + np.log1p(np.exp(w["rho_pool"]))
        z = lp_units(a.reshape(-1, n_pooled, 13), exponents) @ w["W_out"] + w["b_y"]
        expected.append((np.logaddexp(0, z) - frames[1:] * z).sum())
    np.testing.assert_allclose(sums, expected, rtol=2e-5)


@pytest.mark.parametrize("n_pooled", [1, 2, 4])
@pytest.mark.parametrize("n_layers", [2, 4])
def test_gradients(n_layers, n_pooled):
    case = TrainingCase(
        LP.name, [1, 1, 3, 2], n_features=3, n_hidden=4, n_layers=n_layers, n_pooled=n_pooled
    )
    _, _, gradients = case.run()
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, case.finite_differences(key), atol=1e-6, err_msg=key)


def test_initial_parameters():
    hyperparameters = hyperparameters_of(n_layers=3, n_pooled=2, n_hidden=40, max_incoming=7)
    p = LP.initial_parameters(hyperparameters, 9, 10, "variance", 3)
    assert {key: value.shape for key, value in p.items()} == {
        "W_in": (9, 40),
        "W_rec": (80, 40),
        "b_h": (80,),
        "h0": (1, 40),
        "W_out": (40, 10),
        "b_y": (10,),
        "W_between": (40, 40),
        "W_pool": (40, 80),
        "b_pool": (80,),
        "rho_pool": (40,),
    }
    assert all(value.dtype == np.float32 for value in p.values())
    assert ((p["W_pool"] != 0).sum(axis=0) == 7).all()
    np.testing.assert_allclose(1 + np.log1p(np.exp(p["rho_pool"])), 3, rtol=1e-6)
    transition = dataclasses.replace(
        VARIANTS["deep_transition"].typical,
        **{f.name: getattr(hyperparameters, f.name) for f in dataclasses.fields(hyperparameters)
           if f.name != "n_pooled"} | {"n_layers": 2},
    )  # fmt: skip
    of_transition = VARIANTS["deep_transition"].initial_parameters(transition, 9, 10, "variance", 3)
    for key, value in of_transition.items():
        np.testing.assert_array_equal(p[key], value, err_msg=key)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_layers": 1}, "n_layers must be at least 2, of which the last has Lp units, got 1"),
        ({"n_layers": 9}, "n_layers must be at most 8, got 9"),
        ({"n_pooled": 0}, "n_pooled must be at least 1, got 0"),
    ],
)
def test_hyperparameters_have_bounds(changes, message):
    with pytest.raises(ValueError, match=message):
        hyperparameters_of(**changes)
