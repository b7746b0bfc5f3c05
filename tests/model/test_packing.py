import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdrnn.datasets import chunk
from fdrnn.model.initialization import initial_parameters
from fdrnn.model.network import network
from fdrnn.model.packing import count_steps, pack_chunks, pack_sequences
from fdrnn.model.settings import FastDropoutHyperparameters

HYPERPARAMETERS = FastDropoutHyperparameters(
    n_hidden=33,
    step_rate=0.01,
    momentum=0.9,
    decay=0.8,
    sigma2_rec_out=0.1,
    sigma2_in=0.1,
    spectral_radius=1.2,
    max_incoming=15,
    dropout_input=0.1,
    dropout_hidden_to_hidden=0.4,
    fast_dropout_final_layer=True,
    dropout_hidden_to_output=0.2,
)


def random_chunks(lengths, length=20, width=6, seed=0, side="front"):
    rng = np.random.default_rng(seed)
    sequences = tuple((rng.random((n, width)) < 0.4).astype(np.uint8) for n in lengths)
    return chunk(sequences, length, side)


LENGTHS = [[20, 3, 11, 1, 20, 19], [5], [1], [20, 20], [2, 1, 1]]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_counts(lengths):
    chunks = random_chunks(lengths)
    packed = pack_chunks(chunks, np.arange(len(lengths)))
    assert packed.counted.sum() == len(lengths) * 19
    assert packed.masked.sum() == sum(n - 1 for n in lengths)
    assert packed.n_rows.sum() == len(packed.x) == len(packed.target)
    assert (np.diff(packed.n_rows) >= 0).all()


@pytest.mark.parametrize("lengths", LENGTHS)
def test_zeros_at_the_back_follow_each_chunk(lengths):
    chunks = random_chunks(lengths, side="back")
    packed = pack_chunks(chunks, np.arange(len(lengths)))
    np.testing.assert_array_equal(packed.n_rows, len(lengths))
    assert packed.counted.sum() == len(lengths) * 19 == count_steps(chunks, "counted")
    assert packed.masked.sum() == sum(n - 1 for n in lengths) == count_steps(chunks, "masked")
    rows = packed.masked.reshape(19, len(lengths))
    for column, n in zip(rows.T, lengths, strict=True):
        np.testing.assert_array_equal(column, np.arange(19) < n - 1)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_shared_rows_are_the_plain_ones_without_repeats(lengths):
    """As multisets of (step, input, target) weighted by counts, both packings are equal."""

    def multiset(packed):
        step = np.repeat(np.arange(len(packed.n_rows)), packed.n_rows)
        counts = {}
        for t, x, target, weight, real in zip(
            step, packed.x, packed.target, packed.counted, packed.masked, strict=True
        ):
            key = (t, x.tobytes(), target.tobytes(), real)
            counts[key] = counts.get(key, 0) + weight
        return counts

    chunks = random_chunks(lengths)
    index = np.arange(len(lengths))
    assert multiset(pack_chunks(chunks, index)) == multiset(pack_chunks(chunks, index, False))


def training_step(batch, padding, parameters):
    """Loss, gradient norm and the parameters after one update, which show the gradient."""
    net = network("fast_dropout", "bernoulli")
    net.configure(HYPERPARAMETERS, 0.01, 225.0)
    net.set_parameters(parameters)
    zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
    ones = {name: np.ones_like(value) for name, value in parameters.items()}
    net.set_optimizer(zeros, ones)
    loss, norm = net.train(batch, padding)
    return loss, norm, net.optimizer()[0]


@pytest.mark.parametrize(
    ("variant", "output", "expected"),
    [
        ("fast_dropout", "bernoulli", True),
        ("fast_dropout_sampled", "bernoulli", False),
        # Its draws of padding have no weight in the loss.
        ("fast_dropout", "softmax_sampled", True),
        ("weight_noise", "softmax_sampled", False),
    ],
)
def test_padding_is_shared_unless_draws_differ_there(variant, output, expected):
    assert network(variant, output).shares_padding == expected


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=7),
    padding=st.sampled_from(["counted", "masked"]),
    seed=st.integers(0, 100),
)
def test_sharing_the_padding_changes_nothing(lengths, padding, seed):
    chunks = random_chunks(lengths, seed=seed)
    index = np.random.default_rng(seed).permutation(len(lengths))
    parameters = initial_parameters(HYPERPARAMETERS, 6, 6, "variance", seed)
    shared = training_step(pack_chunks(chunks, index), padding, parameters)
    plain = training_step(pack_chunks(chunks, index, share_padding=False), padding, parameters)
    assert shared[0] == pytest.approx(plain[0], rel=1e-5)
    assert shared[1] == pytest.approx(plain[1], rel=1e-4, abs=1e-6)
    for name, step in plain[2].items():
        scale = max(np.abs(step).max(), 1e-5)
        np.testing.assert_allclose(shared[2][name], step, atol=2e-4 * scale, err_msg=name)


def test_padding_is_saved():
    chunks = random_chunks([2] * 10)
    packed = pack_chunks(chunks, np.arange(10))
    assert len(packed.x) < 0.2 * len(pack_chunks(chunks, np.arange(10), False).x)


@pytest.mark.parametrize("steps_per_block", [1, 4, 7, 100])
def test_whole_sequences_in_blocks(steps_per_block):
    rng = np.random.default_rng(0)
    lengths = [4, 9, 1, 2, 9, 5]
    sequences = tuple((rng.random((n, 3)) < 0.5).astype(np.uint8) for n in lengths)
    rows = {i: ([], []) for i in range(len(lengths))}
    counts = []
    for block in pack_sequences(sequences, steps_per_block):
        assert len(block.n_rows) <= steps_per_block
        assert block.n_rows.sum() == len(block.sequence)
        counts += list(block.n_rows)
        for sequence, x, target in zip(block.sequence, block.x, block.target, strict=True):
            rows[sequence][0].append(x)
            rows[sequence][1].append(target)
    assert counts == sorted(counts, reverse=True)
    for i, sequence in enumerate(sequences):
        x, target = rows[i]
        np.testing.assert_array_equal(np.reshape(x, (-1, 3)), sequence[:-1])
        np.testing.assert_array_equal(np.reshape(target, (-1, 3)), sequence[1:])
