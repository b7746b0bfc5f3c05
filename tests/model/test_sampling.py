from dataclasses import replace

import numpy as np
import pytest

from fdrnn.model import VARIANTS, FastDropoutHyperparameters, Hyperparameters
from fdrnn.model.evaluation import sequence_nll
from fdrnn.model.network import network
from fdrnn.model.sampling import predict, sample
from oracles.numpy_network import NumpyNetwork, authors_tanh_moments

WIDTH = 9
COMMON = {
    "n_hidden": 21,
    "step_rate": 0.01,
    "momentum": 0.9,
    "decay": 0.8,
    "sigma2_rec_out": 0.1,
    "sigma2_in": 0.1,
    "spectral_radius": 1.2,
}
FAST = FastDropoutHyperparameters(
    **COMMON,
    dropout_input=0.1,
    dropout_hidden_to_hidden=0.3,
    fast_dropout_final_layer=True,
    dropout_hidden_to_output=0.2,
)
ORDINARY = FastDropoutHyperparameters(
    **COMMON, dropout_input=0.1, dropout_hidden_to_hidden=0.3, fast_dropout_final_layer=False
)
RATES = {"p_input": 0.9, "p_hidden": 0.7}
AUTHORS = {**RATES, "p_output": 0.8, "mean_factor": 0.3, "transfer": authors_tanh_moments}
CASES = {
    "fast output": ("fast_dropout", FAST, {**RATES, "p_output": 0.8}),
    "ordinary output": ("fast_dropout", ORDINARY, RATES),
    "authors' cell": ("authors_cell", FAST, AUTHORS),
    "plain": ("plain", Hyperparameters(**COMMON), {"plain": True}),
}


def loaded(variant, hyperparameters):
    make = VARIANTS[variant].initial_parameters
    parameters = make(hyperparameters, WIDTH, WIDTH, "variance", seed=3)
    parameters["h0"] += np.float32(0.25)
    compiled = network(variant, "bernoulli")
    compiled.configure(hyperparameters, 0.01, 225.0)
    compiled.set_parameters(parameters)
    return compiled, parameters


@pytest.fixture(params=CASES)
def pair(request):
    variant, hyperparameters, options = CASES[request.param]
    compiled, parameters = loaded(variant, hyperparameters)
    return compiled, NumpyNetwork(parameters, **options)


@pytest.fixture
def fast():
    return loaded("fast_dropout", FAST)[0]


def music(n_frames, seed=0):
    return (np.random.default_rng(seed).random((n_frames, WIDTH)) < 0.3).astype(np.uint8)


def test_predictions_against_plain_numpy(pair):
    compiled, oracle = pair
    sequence = music(70)
    predicted, _ = predict(compiled, sequence)
    assert predicted.shape == (69, WIDTH)
    np.testing.assert_allclose(predicted, oracle.probabilities(sequence[:-1]), rtol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_nll_of_the_predictions_is_that_of_the_score(variant):
    compiled, _ = loaded(variant, replace(VARIANTS[variant].typical, n_hidden=21))
    sequence = music(70)
    (predicted, _), target = predict(compiled, sequence), sequence[1:]
    nll = -np.log(np.where(target, predicted, 1.0 - predicted)).sum()
    (expected,), _ = sequence_nll(compiled, (sequence,))
    assert nll == pytest.approx(expected, rel=1e-6)


def test_a_single_frame_predicts_nothing(fast):
    assert predict(fast, music(1))[0].shape == (0, WIDTH)


def test_one_sampled_step_has_the_predicted_frequencies(pair):
    compiled, _ = pair
    given = music(6)
    expected = predict(compiled, np.concatenate([given, given[:1]]))[0][-1]
    n = 2000
    drawn = np.array([sample(compiled, given, 7, seed)[-1] for seed in range(n)])
    deviation = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(drawn.mean(axis=0) - expected) < 4.5 * deviation).all()
    # Independent given the past: pairs sound together as often as their product says.
    together = (drawn.T @ drawn.astype(float)) / n
    off_diagonal = ~np.eye(WIDTH, dtype=bool)
    np.testing.assert_allclose(
        together[off_diagonal], np.outer(expected, expected)[off_diagonal], atol=4.5 / n**0.5 / 2
    )


def test_later_steps_are_drawn_from_what_was_drawn(fast):
    given = music(3)
    drawn = sample(fast, given, 40, seed=5)
    np.testing.assert_array_equal(drawn[:3], given)
    assert set(np.unique(drawn)) == {0, 1}
    uniform = np.random.default_rng(5).random((37, WIDTH))
    # As if each step's prediction had been made from the whole past again.
    expected = uniform < predict(fast, drawn)[0][2:]
    np.testing.assert_array_equal(drawn[3:], expected)


def test_the_same_seed_gives_the_same_bits(fast):
    given = music(2)
    first, second, other = (sample(fast, given, 50, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    np.testing.assert_array_equal(sample(fast, given, 20, seed=1), first[:20])


@pytest.mark.parametrize(("n_given", "n_steps"), [(0, 5), (6, 5)])
def test_frames_to_begin_with(fast, n_given, n_steps):
    with pytest.raises(ValueError, match=f"must be 1 to {n_steps}, got {n_given}"):
        sample(fast, music(n_given), n_steps, seed=0)


def test_nothing_but_given_frames(fast):
    np.testing.assert_array_equal(sample(fast, music(5), 5, seed=0), music(5))
