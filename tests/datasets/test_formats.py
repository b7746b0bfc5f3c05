from __future__ import annotations

import io

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fdrnn.datasets import (
    BENCHMARKS,
    SPLITS,
    DataError,
    FileError,
    MissingFileError,
    load,
    write_npz,
)
from oracles.data_files import cells, write_mat, write_pickle


def npz_arrays(dataset):
    file = io.BytesIO()
    write_npz(file, dataset)
    return dict(np.load(io.BytesIO(file.getvalue()), allow_pickle=False))


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".pickle", ".pkl", ".NPZ"])
def test_one_data_set_in_every_form_has_one_fingerprint(small, tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    if suffix.lower() == ".npz":
        with path.open("wb") as file:
            write_npz(file, small)
    elif suffix == ".mat":
        write_mat(path, small, lowest_midi_note=21, step_quarters=0.5)
    else:
        write_pickle(path, small)

    data = load(str(path))

    assert data.fingerprint == small.fingerprint
    assert data.lowest_midi_note == 21
    assert data.step_quarters == (None if suffix in (".pickle", ".pkl") else 0.5)
    assert (data.name, data.title, data.note) == (str(path), path.name, "")


def test_a_benchmark_mat_file_and_a_pickle_of_its_notes_are_equal(real_data_dir, tmp_path):
    jsb = load("jsb", real_data_dir)
    write_pickle(tmp_path / "jsb.pickle", jsb, protocol=0)
    assert load(str(tmp_path / "jsb.pickle")).fingerprint == jsb.fingerprint
    by_path = load(str(real_data_dir / BENCHMARKS["jsb"].mat.name))
    assert by_path.fingerprint == jsb.fingerprint


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float64])
@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_any_width_and_any_type_of_number(tmp_path, suffix, dtype):
    rolls = {split: [np.eye(5, dtype=dtype), np.ones((2, 5), dtype)] for split in SPLITS}
    path = tmp_path / f"mine{suffix}"
    if suffix == ".npz":
        arrays = {split: np.concatenate(rolls[split]) for split in SPLITS}
        np.savez(path, **arrays, **{f"{split}_lengths": [5, 2] for split in SPLITS})
    else:
        scipy.io.savemat(path, {f"{split}data": cells(rolls[split]) for split in SPLITS})

    data = load(str(path))

    assert data.n_features == 5
    assert (data.lowest_midi_note, data.step_quarters) == (None, None)
    assert [len(s) for s in data.test] == [5, 2]
    np.testing.assert_array_equal(data.valid[0], np.eye(5))


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".pickle"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_truncated_files_are_told_in_one_line(small, tmp_path, suffix, share):
    path = tmp_path / f"mine{suffix}"
    if suffix == ".npz":
        write_npz(path, small)
    else:
        {".mat": write_mat, ".pickle": write_pickle}[suffix](path, small)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])

    with pytest.raises(DataError, match="damaged") as caught:
        load(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".pickle"])
def test_flipped_bytes_never_escape_as_another_error(small, tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    if suffix == ".npz":
        write_npz(path, small)
    else:
        {".mat": write_mat, ".pickle": write_pickle}[suffix](path, small)
    original = np.frombuffer(path.read_bytes(), np.uint8)
    random = np.random.default_rng(1)
    n_refused = 0
    for _ in range(60):
        damaged = original.copy()
        places = random.integers(0, len(damaged), 4)
        damaged[places] = random.integers(0, 256, 4)
        path.write_bytes(damaged.tobytes())
        try:
            load(str(path))
        except DataError as error:
            n_refused += 1
            assert "\n" not in str(error)
    assert n_refused > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": None}, "must (hold|contain) an array 'test'; it contains"),
        ({"test_lengths": None}, "must (hold|contain) an array 'test_lengths'"),
        ({"test": np.full((9, 88), 2)}, "0 and 1 only, found 2"),
        ({"test": np.full((9, 88), 0.5)}, r"0 and 1 only, found 0\.5"),
        ({"test": np.full((9, 88), np.nan)}, "0 and 1 only, found nan"),
        ({"test": np.zeros(9)}, r"of shape \(n_frames, n_features\), got \(9,\)"),
        ({"test_lengths": np.array([4, 4])}, "sum to the 9 frames of test, got 8"),
        (
            {"test_lengths": np.array([9, 0, -1])},
            "test_lengths must be a row of positive integers, got 0 at index 1",
        ),
        (
            {"test_lengths": np.array([9.0])},
            r"test_lengths must be a row of positive integers, got 9\.0 at index 0",
        ),
        (
            {"test_lengths": np.array([[4, 5]])},
            r"test_lengths must be a row of positive integers, got an array of shape \(1, 2\)",
        ),
        ({"test_lengths": []}, "sum to the 9 frames of test, got 0"),
        (
            {"test": np.zeros((0, 88), np.uint8), "test_lengths": []},
            "the test split has no sequence",
        ),
        (
            {"test": np.zeros((0, 88), np.uint8), "test_lengths": np.array([], int)},
            "the test split has no sequence",
        ),
        ({"test": np.full((9, 88), "a")}, "of numbers"),
        ({"test": np.zeros((9, 87))}, r"one width, found \[87, 88\]"),
        ({"lowest_midi_note": np.array(200)}, "one integer from 0 to 127"),
        ({"lowest_midi_note": np.array(21.5)}, "one integer from 0 to 127"),
        ({"lowest_midi_note": np.array(np.nan)}, "one integer from 0 to 127"),
        ({"step_quarters": np.array("eighth")}, "step_quarters must be one positive number"),
        ({"step_quarters": np.array(0.0)}, r"step_quarters must be positive and finite, got 0\.0"),
        ({"test": np.array([{}, {}], object)}, "contains objects, which are not read"),
    ],
)
def test_an_npz_that_breaks_a_rule_is_refused_with_the_rule(small, tmp_path, change, message):
    arrays = {**npz_arrays(small), **change}
    path = tmp_path / "mine.npz"
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(DataError, match=message):
        load(str(path))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"x": np.eye(3)}, "must (hold|contain) an array 'traindata'; it contains x"),
        ({"traindata": np.eye(3)}, "traindata must be a row of cells"),
        ({"traindata": cells([np.eye(3), "text"])}, "sequence 1 of traindata must be a matrix"),
        ({"traindata": cells([np.eye(3) * 7])}, "sequence 0 of traindata .* found 7"),
        (
            {f"{split}data": np.empty((1, 0), object) for split in SPLITS},
            "the train split has no sequence",
        ),
        (
            {f"{split}data": cells([np.empty((1, 0))]) for split in SPLITS}
            | {"kind": "categorical", "n_symbols": 4},
            "sequence 0 of the train split must be a non-empty",
        ),
    ],
)
def test_a_mat_that_breaks_a_rule_is_refused_with_the_rule(tmp_path, variables, message):
    path = tmp_path / "mine.mat"
    scipy.io.savemat(path, variables)
    with pytest.raises(DataError, match=message):
        load(str(path))


def test_a_mat_of_version_7_3_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "mine.mat"
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(header + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(DataError, match="save with version 7"):
        load(str(path))


def test_files_that_are_not_there_or_not_of_a_form(tmp_path):
    with pytest.raises(MissingFileError, match=r"no data file .*mine\.npz"):
        load(str(tmp_path / "mine.npz"))
    with pytest.raises(DataError, match=r"must end in one of \.npz, \.mat, \.pickle, \.pkl"):
        load(str(tmp_path / "mine.csv"))
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(FileError, match="is a directory; a data file must"):
        load(str(tmp_path / "folder.npz"))


@given(
    st.dictionaries(
        st.sampled_from([
            *SPLITS, "train_lengths", "kind", "n_symbols", "lowest_midi_note", "step_quarters", "x",
        ]),
        arrays.arrays(
            arrays.scalar_dtypes() | arrays.array_dtypes(),
            arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        min_size=1,
    )
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_arrays_are_read_or_refused_in_one_line(small, tmp_path, changes):
    path = tmp_path / "mine.npz"
    np.savez(path, **{**npz_arrays(small), **changes})
    try:
        load(str(path))
    except DataError as error:
        assert str(error).isprintable()
