"""Real and categorical data: in files, as data sets, as a network sees them."""

import dataclasses

import numpy as np
import pytest
import scipy.io

from fdrnn.datasets import DataError, Dataset, describe_statistics, load, write_npz
from fdrnn.datasets.chunking import chunk
from fdrnn.datasets.melody import melody_of
from fdrnn.datasets.standardisation import in_units, log_scale, standardised
from oracles.data_files import matlab_object

LENGTHS = {"train": (5, 1, 7), "valid": (3,), "test": (4, 2)}


def real(seed=0):
    rng = np.random.default_rng(seed)
    return {
        split: tuple(rng.normal((1e6, -3.0), (1e3, 0.01), (n, 2)) for n in lengths)
        for split, lengths in LENGTHS.items()
    }


def symbols(seed=0):
    rng = np.random.default_rng(seed)
    return {
        split: tuple(rng.integers(0, 4, n) for n in lengths) for split, lengths in LENGTHS.items()
    }


def dataset(kind, splits):
    if kind == "categorical":
        splits = {k: tuple(np.eye(4, dtype=np.uint8)[s] for s in v) for k, v in splits.items()}
    return Dataset(name="mine", title="Mine", kind=kind, **splits)


def write(path, kind, splits, **more):
    """A file made by hand, as the documentation of the forms says."""
    keys = {"kind": kind, **more}
    if path.suffix == ".npz":
        for split, sequences in splits.items():
            keys |= {split: np.concatenate(sequences), f"{split}_lengths": LENGTHS[split]}
        np.savez(path, **keys)
        return
    for split, sequences in splits.items():
        cells = np.empty(len(sequences), object)
        cells[:] = [np.asarray(one, float) for one in sequences]
        keys[f"{split}data"] = cells
    scipy.io.savemat(path, keys)


def assert_equal(one, other):
    assert (one.kind, one.fingerprint) == (other.kind, other.fingerprint)
    for split in LENGTHS:
        for a, b in zip(one.split(split), other.split(split), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
@pytest.mark.parametrize(
    ("kind", "splits", "more"), [("real", real(), {}), ("categorical", symbols(), {"n_symbols": 4})]
)
def test_a_file_that_declares_its_kind(tmp_path, suffix, kind, splits, more):
    path = tmp_path / f"mine{suffix}"
    write(path, kind, splits, **more)
    expected = dataset(kind, splits)
    assert_equal(load(str(path)), expected)
    again = tmp_path / "again.npz"
    write_npz(again, expected)
    assert_equal(load(str(again)), expected)


@pytest.mark.parametrize(
    ("kind", "splits", "more", "message"),
    [
        ("binary", real(), {}, "0 and 1 only.*of another kind declares it by the key kind"),
        ("reel", real(), {}, r"kind must be one of binary, real, categorical, got \['reel'\]"),
        ("categorical", symbols(), {}, "must (hold|contain) an array 'n_symbols'"),
        ("categorical", symbols(), {"n_symbols": 1}, "n_symbols must be one integer from 2 to"),
        ("categorical", symbols(), {"n_symbols": 2**31 - 1}, "n_symbols must be .* to 65536, got"),
        ("categorical", symbols(), {"n_symbols": 3}, r"integers 0 to 2 .*found 3"),
        ("categorical", real(), {"n_symbols": 4}, "a row of integers, one symbol a frame"),
        ("real", symbols(), {}, r"of shape \(n_frames, n_features\), got \(13,\)"),
        ("real", real() | {"test": (np.full((4, 2), np.nan), np.ones((2, 2)))}, {}, "finite"),
        (
            "real",
            {k: tuple(0 * s for s in v) for k, v in real().items()},
            {},
            "that of column 0 is 0: leave it out, subtract its mean or scale it",
        ),
        (
            "real",
            {k: tuple(1e200 * s for s in v) for k, v in real().items()},
            {},
            "column 0 is inf",
        ),
        (
            "real",
            {k: tuple(1e-200 * s for s in v) for k, v in real().items()},
            {},
            "column 0 is 0:",
        ),
    ],
)
def test_a_file_that_breaks_a_rule_of_its_kind(tmp_path, kind, splits, more, message):
    write(tmp_path / "mine.npz", kind, splits, **more)
    with pytest.raises(DataError, match=message):
        load(str(tmp_path / "mine.npz"))


def test_kinds_of_the_same_frames_are_other_data():
    one_hot = dataset("categorical", symbols())
    assert dataclasses.replace(one_hot, kind="binary").fingerprint != one_hot.fingerprint
    two = tuple(frames * 2 for frames in one_hot.train)
    with pytest.raises(DataError, match="must be one-hot, frame 0 is not"):
        dataclasses.replace(one_hot, train=two)


def test_what_a_study_remembers_of_binary_data_is_as_it_was_before_there_were_kinds(small):
    assert "kind" not in small.description.to_mapping()
    described = dataset("real", real()).description
    assert type(described)(**described.to_mapping()) == described


def test_real_data_are_standardised_by_the_training_split():
    data = dataset("real", real())
    seen = standardised(data)
    frames = np.concatenate(data.train)
    np.testing.assert_allclose(np.concatenate(seen.train).mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(np.concatenate(seen.train).std(0), 1)
    np.testing.assert_allclose(seen.test[1], (data.test[1] - frames.mean(0)) / frames.std(0))
    np.testing.assert_allclose(in_units(data, seen.test[0]), data.test[0])
    assert log_scale(data) == pytest.approx(np.log(frames.std(0)).sum())
    # A prepended frame is one of averages.
    first = chunk(seen.train, 6).frames[0, 0]
    np.testing.assert_allclose(in_units(data, first), frames.mean(0))


def test_a_value_beyond_double_precision_when_standardised_is_kept_as_the_largest():
    splits = real()
    splits["test"][0][1] = -1e308, 1e308
    seen = standardised(dataset("real", splits))
    largest = np.finfo(float).max
    assert seen.test[0][1].tolist() == [pytest.approx(-1e305, rel=0.9), largest]
    assert np.isinf(seen.test[0][1].astype(np.float32)).all()


def test_other_kinds_are_seen_as_they_are(small):
    assert standardised(small) is small
    assert log_scale(small) == 0
    assert in_units(small, small.test[0]) is small.test[0]


def test_statistics_of_every_kind():
    (of_real, of_symbols) = (
        {row[0]: row[1:] for row in describe_statistics(data).table()}
        for data in (dataset("real", real()), dataset("categorical", symbols()))
    )
    assert of_real["largest value"][0] == f"{np.concatenate(real()['train']).max():.6g}"
    assert of_symbols["symbols used"][0] == "0 to 3"
    assert "ones per frame" not in of_real.keys() | of_symbols.keys()


def test_waves_are_the_same_everywhere():
    data = load("waves")
    assert data.fingerprint.startswith("0c498f407078a1ea4d9b68acbd1ca602")
    assert [len(data.split(split)) for split in LENGTHS] == [200, 50, 50]


def test_a_melody_is_the_highest_note_of_each_sounding_frame(small):
    loud = dataclasses.replace(small, **{
        split: tuple(roll | np.eye(88, dtype=np.uint8)[[20] * len(roll)] for roll in rolls)
        for split, rolls in ((s, small.split(s)) for s in LENGTHS)
    })  # fmt: skip
    silent = tuple(np.insert(roll, 1, 0, axis=0) for roll in loud.train)
    melody = melody_of(dataclasses.replace(loud, train=silent))
    for roll, line in zip(loud.train, melody.train, strict=True):
        assert len(roll) == len(line)
        expected = [np.flatnonzero(frame).max() + 21 for frame in roll]
        assert list(line.argmax(axis=1) + melody.lowest_midi_note) == expected


def test_a_column_that_varies_by_its_rounding_alone_is_refused():
    # Its standard deviation would be the unit of the column, and the density nearly without bound.
    phases = {split: [np.arange(10.0) + 7 * seed] for seed, split in enumerate(LENGTHS)}
    splits = {
        split: tuple(np.stack([np.sin(t), np.sin(t) ** 2 + np.cos(t) ** 2], axis=1) for t in times)
        for split, times in phases.items()
    }
    assert np.ptp(splits["train"][0][:, 1]) > 0
    with pytest.raises(DataError, match=r"must vary .* more than its rounding.* column 1 is"):
        dataset("real", splits)


def test_a_column_far_from_zero_is_refused_until_its_mean_is_subtracted():
    # As of times in nanoseconds.
    far = {split: tuple(s[:, :1] + 1e18 for s in sequences) for split, sequences in real().items()}
    with pytest.raises(DataError, match=r"that of column 0 is .*subtract its mean"):
        dataset("real", far)
    dataset("real", {split: tuple(s - 1e18 for s in sequences) for split, sequences in far.items()})


def test_a_kind_in_matlab_s_double_quotes_is_told_to_be_written_in_single_ones(tmp_path):
    splits = real()
    write(tmp_path / "mine.mat", "real", splits)
    scipy.io.savemat(tmp_path / "mine.mat", {
        f"{split}data": scipy.io.loadmat(tmp_path / "mine.mat")[f"{split}data"] for split in splits
    })  # fmt: skip
    with (tmp_path / "mine.mat").open("ab") as file:
        file.write(matlab_object("kind"))
    with pytest.raises(DataError, match=r"kind must be one of .* single quotes"):
        load(str(tmp_path / "mine.mat"))
