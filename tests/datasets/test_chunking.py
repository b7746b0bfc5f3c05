from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdrnn.datasets import BENCHMARKS, chunk, load


def sequence(length, width=3, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (length, width)).astype(np.uint8)


def test_a_sequence_is_cut_from_its_beginning_and_its_last_chunk_padded_in_front():
    ramp = np.eye(7, dtype=np.uint8)

    chunks = chunk([ramp], length=3)

    assert chunks.starts.tolist() == [0, 0, 2]
    assert chunks.starts.dtype == np.int64
    assert chunks.frames.dtype == np.uint8
    np.testing.assert_array_equal(chunks.frames[0], ramp[0:3])
    np.testing.assert_array_equal(chunks.frames[1], ramp[3:6])
    np.testing.assert_array_equal(chunks.frames[2], [[0] * 7, [0] * 7, ramp[6]])


def test_zeros_are_appended_to_short_chunks_where_a_study_says_so():
    ramp = np.eye(7, dtype=np.uint8)

    chunks = chunk([ramp], length=3, side="back")

    assert chunks.starts.tolist() == [0, 0, 0]
    assert chunks.n_frames.tolist() == [3, 3, 1]
    np.testing.assert_array_equal(chunks.frames[2], [ramp[6], [0] * 7, [0] * 7])


def test_a_side_is_front_or_back():
    with pytest.raises(ValueError, match="side must be front or back, got 'left'"):
        chunk([sequence(4)], length=3, side="left")


def test_a_sequence_of_exactly_one_chunk_is_not_padded():
    chunks = chunk([sequence(4)], length=4)
    assert chunks.frames.shape == (1, 4, 3)
    assert chunks.starts.tolist() == [0]


@given(
    lengths=st.lists(st.integers(1, 25), min_size=1, max_size=6),
    length=st.integers(1, 12),
)
def test_the_real_frames_of_the_chunks_are_the_sequences_and_the_rest_is_zero(lengths, length):
    sequences = [sequence(n, seed=n) for n in lengths]

    chunks = chunk(sequences, length)

    real = np.concatenate(
        [frames[start:] for frames, start in zip(chunks.frames, chunks.starts, strict=True)]
    )
    np.testing.assert_array_equal(real, np.concatenate(sequences))
    for frames, start in zip(chunks.frames, chunks.starts, strict=True):
        assert 0 <= start < length
        assert not frames[:start].any()
    assert len(chunks) == sum(int(np.ceil(n / length)) for n in lengths)


@pytest.mark.parametrize(
    ("sequences", "length", "message"),
    [([], 10, "at least one sequence"), ([sequence(3)], 0, "at least 1, got 0")],
)
def test_nothing_to_cut_and_no_length_are_refused(sequences, length, message):
    with pytest.raises(ValueError, match=message):
        chunk(sequences, length)


@pytest.mark.parametrize(
    ("name", "n_chunks", "n_single"),
    [("jsb", 243, 1), ("piano", 802, 2), ("nottingham", 1994, 1), ("musedata", 2719, 17)],
)
def test_chunks_of_100_in_the_benchmarks(real_data_dir, name, n_chunks, n_single):
    chunks = chunk(load(name, real_data_dir).train)
    assert len(chunks) == n_chunks
    assert int((chunks.starts == 99).sum()) == n_single


@pytest.mark.parametrize(
    ("name", "sequences", "frames"),
    [
        ("jsb", (229, 76, 77), (13807, 4602, 4725)),
        ("piano", (87, 12, 25), (75911, 8540, 19036)),
        ("nottingham", (694, 173, 170), (176561, 45513, 44463)),
        ("musedata", (524, 135, 124), (245202, 82755, 64339)),
    ],
)
def test_sequences_and_frames_of_the_benchmarks(real_data_dir, name, sequences, frames):
    data = load(name, real_data_dir)
    splits = (data.train, data.valid, data.test)
    assert tuple(map(len, splits)) == sequences
    assert tuple(sum(map(len, split)) for split in splits) == frames
    assert data.n_features == 88
    assert data.lowest_midi_note == 21
    assert data.title == BENCHMARKS[name].title
