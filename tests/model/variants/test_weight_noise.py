import dataclasses

import numpy as np
import pytest
import scipy.optimize

from fdrnn.model import VARIANTS
from fdrnn.model.evaluation import sequence_nll
from fdrnn.model.network import network
from fdrnn.model.ops import GaussianWeightsLayer, OwnWeightsLayer
from fdrnn.model.toolchain import theano
from fdrnn.model.variants.weight_noise import LOG_VARIANCES, WeightNoiseHyperparameters
from oracles import numpy_weight_noise as oracle
from oracles import uncompiled
from oracles.numpy_network import NumpyNetwork
from oracles.variant_graph import TrainingCase

T = theano.tensor
NAMES = ["weight_noise_fast", "weight_noise"]
N_FEATURES, N_HIDDEN = 4, 5


def random_parameters(seed=0, variance=0.2):
    """Parameters of the variant, and the same as the oracle takes them."""
    means, variances, rest = oracle.random_gaussian_weights(
        np.random.default_rng(seed), N_FEATURES, N_HIDDEN, variance
    )
    logarithms = {LOG_VARIANCES[name]: np.log(value) for name, value in variances.items()}
    return {**means, **rest, **logarithms}, (means, variances, rest)


def case(name, n_rows=(3, 3, 3, 3), seed=0, variance=0.2):
    """A training case of a variant, and its weights as the oracle takes them."""
    training = TrainingCase(name, list(n_rows), N_FEATURES, N_HIDDEN)
    parameters, for_oracle = random_parameters(seed, variance)
    training.parameters = parameters
    return training, for_oracle


def frames_of(training, k):
    """Input and target of chunk k, and the positions of its rows."""
    frames, rows = training.sequence(k)
    return frames[:-1].astype(float), frames[1:].astype(float), rows


def test_fast_nll_against_numpy():
    training, (means, variances, rest) = case("weight_noise_fast", (1, 1, 3, 4, 2))
    batch = training.batch
    states, expected, row = [(rest["h0"][0], np.zeros(N_HIDDEN))], [], 0
    for count in batch.n_rows:
        states = [
            oracle.fast_step(batch.x[row + i].astype(float), *states[min(i, len(states) - 1)],
                             means, variances, rest)
            for i in range(count)
        ]  # fmt: skip
        for i, state in enumerate(states):
            z = oracle.fast_logit(*state, means, variances, rest)
            expected.append((np.logaddexp(0, z) - batch.target[row + i] * z).sum())
        row += count
    np.testing.assert_allclose(training.run()[1], expected, rtol=1e-8)


def test_sampled_nll_is_the_plain_networks_with_each_chunks_own_weights():
    training, (means, variances, rest) = case("weight_noise")
    _, nll, _ = training.run()
    for k in range(3):
        weights = {m: means[m] + np.sqrt(variances[m]) * training.noise[m][k] for m in means}
        x, target, rows = frames_of(training, k)
        np.testing.assert_allclose(nll[rows], oracle.plain_nll(x, target, weights, rest), rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_sampled_and_fast_without_variance(name):
    """Sampled it is plain; fast it differs by what the transfer function's variance at 0 does."""
    training, (means, _, rest) = case(name, variance=1e-30)
    _, nll, _ = training.run()
    error = 0.0
    for k in range(3):
        x, target, rows = frames_of(training, k)
        error = max(error, np.abs(nll[rows] - oracle.plain_nll(x, target, means, rest)).max())
    assert error < 1e-10 if name == "weight_noise" else 1e-3 < error < 0.2


@pytest.mark.parametrize("name", NAMES)
def test_divergence_is_that_from_the_best_prior(name):
    training, (means, variances, _) = case(name)
    loss, nll, _ = training.run()
    divergence_nats = (loss - np.dot(training.weights, nll)) / training.scalars["per_step"]
    assert divergence_nats == pytest.approx(oracle.description_length(means, variances))

    m, s = (np.concatenate([part[k].ravel() for k in means]) for part in (means, variances))

    def divergence(prior):
        mean, variance = prior[0], np.exp(prior[1])
        return 0.5 * (np.log(variance / s) + ((m - mean) ** 2 + s - variance) / variance).sum()

    best = scipy.optimize.minimize(divergence, [0.3, 0.0], method="BFGS")
    assert divergence_nats == pytest.approx(best.fun, rel=1e-8)


def test_sampling_averaged_is_the_gaussian_approximation_within_its_error():
    """4,000 draws of the weights, five steps; bounds are those that moments.py states for tanh.

    The variance's is widened by what the assumption of independence adds: a draw lasts for all
    five steps.
    """
    rng = np.random.default_rng(1)
    draws, steps, n = 4000, 5, 30
    means, variances, rest = oracle.random_gaussian_weights(rng, 10, n, variance=0.3)
    x = rng.normal(size=(steps, 10))

    def drawn(name):
        return rng.normal(means[name], np.sqrt(variances[name]), (draws, *means[name].shape))

    a, h0, W, n_rows = T.dmatrix(), T.dmatrix(), T.dtensor3(), T.lvector()
    sampled = uncompiled.function([a, n_rows, h0, W], OwnWeightsLayer()(a, n_rows, h0, W))
    of_input = np.einsum("ti,kij->tkj", x, drawn("W_in")) + rest["b_h"]
    h = sampled(of_input.reshape(-1, n), np.full(steps, draws), rest["h0"], drawn("W_rec"))
    h = h.reshape(steps, draws, n)

    matrices, b = [T.dmatrix() for _ in range(7)], T.dvector()
    layer = GaussianWeightsLayer()(matrices[0], n_rows, *matrices[1:], b)
    mean, variance = uncompiled.function([matrices[0], n_rows, *matrices[1:], b], layer[:2])(
        x, np.ones(steps, np.int64), rest["h0"], 0 * rest["h0"], means["W_in"], variances["W_in"],
        means["W_rec"], variances["W_rec"], rest["b_h"],
    )  # fmt: skip
    sampling_error = 5 * h.std(1).max() / np.sqrt(draws)
    assert np.abs(mean - h.mean(1)).max() < 0.035 + sampling_error
    assert np.abs(variance - h.var(1)).max() < 0.109 + 0.03


@pytest.mark.parametrize("name", NAMES)
def test_validation_and_test_use_the_means_alone(name):
    hyperparameters = dataclasses.replace(VARIANTS[name].typical, n_hidden=13, sigma2_noise=0.5)
    parameters = VARIANTS[name].initial_parameters(hyperparameters, 9, 9, "variance", seed=3)
    compiled = network(name, "bernoulli")
    compiled.configure(hyperparameters, 0.01, 225.0)
    compiled.set_parameters(parameters)
    rng = np.random.default_rng(0)
    sequences = tuple((rng.random((n, 9)) < 0.3).astype(np.uint8) for n in (30, 90, 2))
    plain = NumpyNetwork({k: v for k, v in parameters.items() if "log" not in k}, plain=True)
    sums, _ = sequence_nll(compiled, sequences)
    np.testing.assert_allclose(sums, [plain.step_nll(s).sum() for s in sequences], rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_initial_weights_are_the_plain_networks_with_one_variance(name):
    hyperparameters = dataclasses.replace(VARIANTS[name].typical, n_hidden=20, sigma2_noise=0.01)
    plain = dataclasses.replace(VARIANTS["plain"].typical, n_hidden=20)
    parameters = VARIANTS[name].initial_parameters(hyperparameters, 9, 9, "variance", 3)
    expected = VARIANTS["plain"].initial_parameters(plain, 9, 9, "variance", 3)
    for key, value in expected.items():
        np.testing.assert_array_equal(parameters.pop(key), value)
    shapes = {key: value.shape for key, value in parameters.items()}
    assert shapes == {LOG_VARIANCES[key]: expected[key].shape for key in LOG_VARIANCES}
    assert all(np.allclose(np.exp(value), 0.01) for value in parameters.values())


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf")])
def test_initial_variance_out_of_range(value):
    typical = dataclasses.asdict(VARIANTS["weight_noise"].typical)
    with pytest.raises(ValueError, match=r"^sigma2_noise must be positive and finite, "):
        WeightNoiseHyperparameters(**{**typical, "sigma2_noise": value})
