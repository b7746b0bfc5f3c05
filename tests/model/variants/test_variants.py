"""What must hold of every variant; a new one is tested by its registration."""

import dataclasses

import numpy as np
import pytest

from fdrnn.datasets import Dataset
from fdrnn.model import VARIANTS, TrainingSettings
from fdrnn.model.evaluation import sequence_nll
from fdrnn.model.network import Network, network
from fdrnn.model.trainer import Trainer
from fdrnn.search import SPACES

SETTINGS = TrainingSettings(
    batch_size=4, max_epochs=6, patience=6, chunk_length=20, parameter_average=0.5
)


def melody(n_frames, phase):
    """One note that walks up and down over 8: something to learn."""
    position = np.abs((np.arange(n_frames) + phase) % 14 - 7)
    return np.eye(8, dtype=np.uint8)[position]


DATASET = Dataset(
    name="melodies",
    title="Melodies",
    train=tuple(melody(20 + 3 * i, i) for i in range(9)),
    valid=tuple(melody(25, i) for i in range(3)),
    test=tuple(melody(10 + 7 * i, i) for i in range(4)),
)


def trainer(name, seed=1):
    small = dataclasses.replace(
        VARIANTS[name].typical, n_hidden=17, step_rate=0.005, sigma2_rec_out=0.1, sigma2_in=0.1
    )
    return Trainer(DATASET, name, small, SETTINGS, seed)


def without_times(records):
    return [dataclasses.replace(record, seconds=0.0) for record in records]


@pytest.mark.parametrize("name", VARIANTS)
def test_it_learns_and_a_resumed_run_is_undisturbed(name):
    whole = trainer(name)
    records = [whole.run_epoch() for _ in range(SETTINGS.max_epochs)]
    assert records[-1].train_nll < 0.9 * records[0].train_nll
    assert all(np.isfinite(record.spectral_radius) for record in records)
    state, resumed = trainer(name).state(), []
    for _ in records:
        part = trainer(name)
        part.restore(state)
        resumed.append(part.run_epoch())
        state = part.state()
    assert without_times(resumed) == without_times(records)
    assert part.state() == whole.state()
    result = whole.result()
    np.testing.assert_array_equal(part.result().test_nll_sums, result.test_nll_sums)
    assert np.isfinite(result.test_nll_sums).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_another_seed_is_another_run(name):
    assert trainer(name, 1).run_epoch().train_nll != trainer(name, 2).run_epoch().train_nll


@pytest.mark.parametrize("name", VARIANTS)
def test_noise_is_new_in_every_minibatch_and_every_chunk_has_rows_of_its_own(name, monkeypatch):
    noisy, batches, drawn = bool(VARIANTS[name].noise), [], []
    of_variant, of_network = type(VARIANTS[name]).draw, Network.train

    def draw(self, rng, batch, n_outputs, hyperparameters):
        noise = of_variant(self, rng, batch, n_outputs, hyperparameters)
        drawn.append(next(iter(noise.values()), None))
        return noise

    def train(self, batch, padding, rng=None):
        batches.append(batch)
        return of_network(self, batch, padding, rng)

    monkeypatch.setattr(type(VARIANTS[name]), "draw", draw)
    monkeypatch.setattr(Network, "train", train)
    run = trainer(name)
    for _ in range(2):
        run.run_epoch()
    # The chunks of DATASET's training set have padding to share.
    assert any(len(set(batch.n_rows)) > 1 for batch in batches) is not noisy
    assert len({array.tobytes() for array in drawn if noisy}) == (len(batches) if noisy else 0)


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("weight_decay", "plain"),
        ("dropout", "plain"),
        ("nonrecurrent_dropout", "plain"),
        ("fast_dropout_sampled", "fast_dropout"),
    ],
)
def test_validation_and_test_have_no_noise_and_no_penalty(name, like):
    """They are another variant's, to the last bit."""
    found = []
    parameters = VARIANTS[name].initial_parameters(VARIANTS[name].typical, 8, 8, "variance", 5)
    for variant in (name, like):
        compiled = network(variant, "bernoulli")
        compiled.configure(VARIANTS[variant].typical, 0.01, 225.0)
        compiled.set_parameters(parameters)
        found.append(sequence_nll(compiled, DATASET.test)[0])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_name_a_title_and_a_space(name):
    variant = VARIANTS[name]
    assert variant.name == name
    assert [v.title for v in VARIANTS.values()].count(variant.title) == 1
    fields = {field.name for field in dataclasses.fields(variant.hyperparameters)}
    assert any(set(space.names) == fields for space in SPACES.values())
