import dataclasses
import math

import numpy as np
import pytest

from fdrnn.datasets import Dataset
from fdrnn.model import (
    CheckpointError,
    FastDropoutHyperparameters,
    Hyperparameters,
    TrainingInterrupted,
)
from fdrnn.model import TrainingSettings as Settings
from fdrnn.model.trainer import Trainer
from oracles.numpy_network import NumpyNetwork

HYPERPARAMETERS = FastDropoutHyperparameters(
    n_hidden=17,
    step_rate=0.005,
    momentum=0.9,
    decay=0.9,
    sigma2_rec_out=0.1,
    sigma2_in=0.1,
    spectral_radius=1.1,
    max_incoming=15,
    dropout_input=0.1,
    dropout_hidden_to_hidden=0.3,
    fast_dropout_final_layer=True,
    dropout_hidden_to_output=0.2,
)
PLAIN = Hyperparameters(
    **{
        field.name: getattr(HYPERPARAMETERS, field.name)
        for field in dataclasses.fields(Hyperparameters)
    }
)
SETTINGS = Settings(batch_size=4, max_epochs=6, patience=6, chunk_length=20)


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


def trained(settings=SETTINGS, hyperparameters=HYPERPARAMETERS, variant="fast_dropout", seed=1):
    trainer = Trainer(DATASET, variant, hyperparameters, settings, seed)
    records = []
    while not trainer.finished:
        records.append(trainer.run_epoch())
    return trainer, records


def without_times(records):
    return [dataclasses.replace(record, seconds=0.0) for record in records]


def assert_same_result(first, second):
    for field in dataclasses.fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if field.name == "parameters":
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_array_equal(a[name], b[name])
        else:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("variant", "hyperparameters"),
    [("fast_dropout", HYPERPARAMETERS), ("plain", PLAIN), ("authors_cell", HYPERPARAMETERS)],
)
def test_it_learns_and_repeats_to_the_last_bit(variant, hyperparameters):
    trainer, records = trained(variant=variant, hyperparameters=hyperparameters)
    again, same_records = trained(variant=variant, hyperparameters=hyperparameters)
    assert without_times(records) == without_times(same_records)
    assert_same_result(trainer.result(), again.result())
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[-1].valid_nll_counted < 0.8 * records[0].valid_nll_counted
    result = trainer.result()
    assert not result.diverged
    assert result.valid_nll == min(record.valid_nll_counted for record in records)


def test_result_is_the_best_parameters_on_the_test_set():
    trainer, records = trained()
    result = trainer.result()
    oracle = NumpyNetwork(result.parameters, p_input=0.9, p_hidden=0.7, p_output=0.8)
    expected = [oracle.step_nll(sequence).sum() for sequence in DATASET.test]
    np.testing.assert_allclose(result.test_nll_sums, expected, rtol=1e-5)
    np.testing.assert_array_equal(result.test_steps, [9, 16, 23, 30])
    assert result.test_nll_pooled == pytest.approx(sum(expected) / 78)
    means = [nll / steps for nll, steps in zip(expected, [9, 16, 23, 30], strict=True)]
    assert result.test_nll_sequence_mean == pytest.approx(np.mean(means))
    best = min(records, key=lambda record: record.valid_nll_counted)
    assert result.best_epoch == best.epoch
    # Without an average, the parameters after the best epoch.
    W = result.parameters["W_rec"].astype(np.float64)
    assert best.spectral_radius == pytest.approx(np.abs(np.linalg.eigvals(W)).max(), rel=1e-4)


@pytest.mark.parametrize("parameter_average", [0.0, 0.9])
def test_resumed_is_undisturbed(parameter_average):
    settings = dataclasses.replace(
        SETTINGS, parameter_average=parameter_average, step_rate_decay=0.9
    )
    whole, records = trained(settings)
    resumed = []
    state = Trainer(DATASET, "fast_dropout", HYPERPARAMETERS, settings, 1).state()
    for _ in range(settings.max_epochs):
        trainer = Trainer(DATASET, "fast_dropout", HYPERPARAMETERS, settings, 1)
        trainer.restore(state)
        resumed.append(trainer.run_epoch())
        state = trainer.state()
    assert without_times(resumed) == without_times(records)
    assert trainer.finished
    assert_same_result(trainer.result(), whole.result())


def test_interleaved_trainers_do_not_touch_each_other():
    alone = [without_times(trained(seed=seed)[1]) for seed in (1, 2)]
    trainers = [
        Trainer(DATASET, "fast_dropout", HYPERPARAMETERS, SETTINGS, seed) for seed in (1, 2)
    ]
    records = [[], []]
    for _ in range(SETTINGS.max_epochs):
        for trainer, mine in zip(trainers, records, strict=True):
            mine.append(trainer.run_epoch())
    assert [without_times(mine) for mine in records] == alone


def test_interrupted_epoch_is_undone():
    trainer, expected = trained()
    trainer = Trainer(DATASET, "fast_dropout", HYPERPARAMETERS, SETTINGS, 1)
    first = trainer.run_epoch()
    before = trainer.state()
    calls = iter([False, False, True])
    with pytest.raises(TrainingInterrupted):
        trainer.run_epoch(lambda: next(calls))
    assert trainer.state() == before
    second = trainer.run_epoch()
    assert without_times([first, second]) == without_times(expected[:2])


def test_patience():
    hopeless = dataclasses.replace(HYPERPARAMETERS, step_rate=1e-30)
    settings = dataclasses.replace(SETTINGS, patience=2, max_epochs=50)
    trainer, records = trained(settings, hopeless)
    best = trainer.result().best_epoch
    assert len(records) == best + 2


def test_divergence_by_rising_validation_nll():
    wild = dataclasses.replace(PLAIN, step_rate=3.0, momentum=0.99)
    settings = dataclasses.replace(SETTINGS, patience=50, max_epochs=50)
    trainer, records = trained(settings, wild, "plain")
    result = trainer.result()
    assert result.diverged
    assert len(records) < 50
    valid = [record.valid_nll_counted for record in records]
    assert valid[-1] > 2 * min(valid) or not math.isfinite(valid[-1])
    assert result.valid_nll == min(valid)
    assert len(result.test_nll_sums) == len(DATASET.test)


def test_divergence_without_any_finite_epoch():
    trainer = Trainer(DATASET, "plain", dataclasses.replace(PLAIN, step_rate=1e38), SETTINGS, 1)
    trainer.run_epoch()
    result = trainer.result()
    assert trainer.finished
    assert result.diverged
    assert result.best_epoch == 0
    assert result.valid_nll == math.inf
    assert result.test_nll_pooled is None
    assert result.test_nll_sequence_mean is None
    assert result.parameters == {}


def test_divergence_of_the_optimizer_alone():
    """Squares of a gradient that nothing clips overflow, and no weight would ever move again."""
    settings = dataclasses.replace(SETTINGS, clip_norm=1e38, init_scale="std")
    steep = dataclasses.replace(PLAIN, sigma2_rec_out=1e22, step_rate=1e-30)
    trainer = Trainer(DATASET, "plain", steep, settings, 1)
    record = trainer.run_epoch()
    assert math.isfinite(record.gradient_norm + record.valid_nll_counted)
    assert trainer.result().diverged


def test_padding_rule_selects():
    settings = dataclasses.replace(SETTINGS, padding="masked")
    trainer, records = trained(settings)
    result = trainer.result()
    assert result.valid_nll == result.valid_nll_masked
    assert result.valid_nll == min(record.valid_nll_masked for record in records)
    counted, _ = trained()
    assert counted.result().valid_nll != result.valid_nll


def test_step_rate_decay_changes_the_second_epoch_only():
    _, plain = trained()
    _, decayed = trained(dataclasses.replace(SETTINGS, step_rate_decay=0.5))
    assert without_times(plain)[0] == without_times(decayed)[0]
    assert plain[1].valid_nll_counted != decayed[1].valid_nll_counted


def test_zeros_at_the_back_leave_the_first_frames_of_a_chunk_alone():
    """The masked NLL before any training is that of each chunk from h0 on, by the oracle."""
    settings = dataclasses.replace(SETTINGS, padding="masked", padding_side="back")
    rate_of_nothing = dataclasses.replace(HYPERPARAMETERS, step_rate=1e-30, momentum=0.0)
    trainer, records = trained(settings, rate_of_nothing)
    oracle = NumpyNetwork(trainer.result().parameters, p_input=0.9, p_hidden=0.7, p_output=0.8)
    pieces = [s[begin : begin + 20] for s in DATASET.valid for begin in range(0, len(s), 20)]
    steps = np.concatenate([oracle.step_nll(piece) for piece in pieces])
    assert records[0].valid_nll_masked == pytest.approx(steps.mean(), rel=2e-5)


def test_the_step_rate_decays_after_the_epochs_at_the_full_rate():
    _, plain = trained()
    settings = dataclasses.replace(SETTINGS, step_rate_decay=0.5, full_rate_epochs=2)
    _, decayed = trained(settings)
    assert without_times(plain)[:3] == without_times(decayed)[:3]
    assert plain[3].valid_nll_counted != decayed[3].valid_nll_counted


def test_average_is_used_for_evaluation_alone():
    _, plain = trained()
    _, averaged = trained(dataclasses.replace(SETTINGS, parameter_average=0.9))
    assert [r.train_nll for r in plain] == [r.train_nll for r in averaged]
    assert all(
        p.valid_nll_counted != a.valid_nll_counted for p, a in zip(plain, averaged, strict=True)
    )


def test_wrong_hyperparameters_for_the_variant():
    with pytest.raises(TypeError, match="'plain' takes Hyperparameters"):
        Trainer(DATASET, "plain", HYPERPARAMETERS, SETTINGS, 0)


def test_damaged_and_foreign_states_are_refused():
    trainer = Trainer(DATASET, "fast_dropout", HYPERPARAMETERS, SETTINGS, 0)
    state = trainer.state()
    middle = len(state) // 2
    damaged = state[:middle] + bytes([state[middle] ^ 255]) + state[middle + 1 :]
    for bad in (b"", b"nonsense", state[:-50], damaged):
        with pytest.raises(CheckpointError, match="damaged"):
            trainer.restore(bad)
    for at in np.random.default_rng(0).integers(0, len(state), 200):
        flipped = state[:at] + bytes([state[at] ^ 1]) + state[at + 1 :]
        with pytest.raises(CheckpointError, match="damaged"):
            trainer.restore(flipped)
    other = Trainer(DATASET, "fast_dropout", HYPERPARAMETERS, SETTINGS, 9)
    with pytest.raises(CheckpointError, match="is of run"):
        other.restore(state)


def test_the_test_nll_is_measured_where_a_study_asks_for_it():
    asked = dataclasses.replace(SETTINGS, record=("test_nll",), parameter_average=0.9)
    trainer, records = trained(asked)
    best = records[trainer.result().best_epoch - 1].measurements
    assert best["test_nll_pooled"] == trainer.result().test_nll_pooled
    assert best["test_nll_sequence_mean"] == trainer.result().test_nll_sequence_mean
    silent, unmeasured = trained(dataclasses.replace(asked, record=()))
    assert [record.measurements for record in unmeasured] == [{}] * len(records)
    assert [r.train_nll for r in unmeasured] == [r.train_nll for r in records]
    assert silent.result().test_nll_pooled == trainer.result().test_nll_pooled


@pytest.mark.parametrize(
    "short", [{"max_epochs": 3}, {"patience": 1}], ids=["max_epochs", "patience"]
)
def test_a_run_that_ended_at_a_limit_resumes_under_a_higher_one(short):
    unsteady = dataclasses.replace(HYPERPARAMETERS, step_rate=1.0)
    settings = dataclasses.replace(SETTINGS, max_epochs=10, patience=10)
    ended, before = trained(dataclasses.replace(settings, **short), unsteady)
    expected, records = trained(settings, unsteady)
    assert len(before) < len(records)
    extended = Trainer(DATASET, "fast_dropout", unsteady, settings, 1)
    extended.restore(ended.state())
    while not extended.finished:
        before.append(extended.run_epoch())
    assert without_times(before) == without_times(records)
    assert_same_result(extended.result(), expected.result())
