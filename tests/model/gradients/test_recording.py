import dataclasses

import numpy as np
import pytest

from fdrnn.datasets import Dataset
from fdrnn.model import VARIANTS, TrainingSettings, recordable
from fdrnn.model.gradients.recording import of_decomposition
from fdrnn.model.settings import RECORDABLE
from fdrnn.model.trainer import Trainer


def random_sequences(n, seed):
    rng = np.random.default_rng(seed)
    return tuple((rng.random((12, 5)) < 0.3).astype(np.uint8) for _ in range(n))


DATASET = Dataset(
    name="random",
    title="Random",
    train=random_sequences(5, 0),
    valid=random_sequences(1, 1),
    test=random_sequences(1, 2),
)


def trained(name, record, n_epochs=2):
    small = dataclasses.replace(VARIANTS[name].typical, n_hidden=6)
    settings = TrainingSettings(batch_size=3, max_epochs=9, chunk_length=12, record=record)
    trainer = Trainer(DATASET, name, small, settings, 0)
    return trainer, [trainer.run_epoch() for _ in range(n_epochs)]


@pytest.mark.parametrize("name", ["fast_dropout", "fast_dropout_sampled"])
def test_a_study_records_the_decomposition_every_epoch(name):
    trainer, records = trained(name, ("decomposition",))
    values = dict(records[1].measurements)
    assert 0 < values.pop("recording_seconds") < records[1].seconds
    assert values == of_decomposition(trainer.decomposition())
    assert records[0].measurements["pull_W_rec"] != values["pull_W_rec"]


def test_at_a_minimum_of_what_is_trained_the_parts_cancel_and_do_not_vanish():
    """All data in one minibatch that no network fits, so that a minimum is reached."""
    name, n_epochs = "fast_dropout", 3000
    small = dataclasses.replace(
        VARIANTS[name].typical, n_hidden=6, step_rate=0.005, sigma2_rec_out=0.1, sigma2_in=0.1
    )
    settings = TrainingSettings(
        batch_size=5, max_epochs=n_epochs, patience=n_epochs, chunk_length=12, step_rate_decay=0.997
    )
    trainer = Trainer(DATASET, name, small, settings, 0)
    while not trainer.finished:
        trainer.run_epoch()
    for layer in trainer.decomposition():
        assert layer.norm_ratio == pytest.approx(1, abs=0.15)
        assert layer.regularizer_norm > 4 * np.linalg.norm(layer.full_gradient)
    # Of W_rec the term is the only force towards 0.
    (W_rec,) = (one for one in trainer.decomposition() if one.name == "W_rec")
    assert W_rec.pull > 0


def test_what_is_recorded_has_no_part_in_training():
    name = "fast_dropout_sampled"
    silent, unmeasured = trained(name, (), n_epochs=5)
    trainer, records = trained(name, RECORDABLE, n_epochs=5)
    assert [one.measurements for one in unmeasured] == [{}] * 5
    assert [one.train_nll for one in unmeasured] == [one.train_nll for one in records]
    for key, value in silent.result().parameters.items():
        np.testing.assert_array_equal(value, trainer.result().parameters[key])
    # The draws of the noise term are costly: epochs 1, 2 and 4 of 5.
    with_noise = [one.epoch for one in records if "noise_p_value_W_rec" in one.measurements]
    assert with_noise == [1, 2, 4]
    (slope, p_value) = (
        records[3].measurements[f"noise_{w}_W_in"] for w in ("scale_slope", "p_value")
    )
    assert np.isfinite(slope)
    assert 0 < p_value <= 1


def test_norm_of_the_recurrent_weights():
    trainer, records = trained("lstm", ("recurrent_norm",), n_epochs=1)
    W_rec = trainer.result().parameters["W_rec"]
    recurrent = VARIANTS["lstm"].recurrent_weights({"W_rec": W_rec})
    assert recurrent.shape == (6, 6)
    norm = np.sqrt((recurrent.astype(float) ** 2).sum())
    assert records[0].measurements["recurrent_norm"] == pytest.approx(norm)


def test_a_variant_records_what_it_has():
    assert recordable("fast_dropout_sampled") == RECORDABLE
    assert recordable("fast_dropout") == ("test_nll", "decomposition", "recurrent_norm")
    # It draws masks and passes no variances on.
    assert recordable("dropout") == recordable("plain") == ("test_nll", "recurrent_norm")
