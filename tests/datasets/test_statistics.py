from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fdrnn.datasets import Dataset, chunk, describe_statistics, load


def test_statistics_of_a_hand_made_set():
    one = np.array([[0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], np.uint8)
    data = Dataset(
        "x", "X", train=(one, one[:1], one[:2], one[:2]), valid=(one,), test=(one[[2, 2]],)
    )

    statistics = describe_statistics(data, chunk_length=2)

    train, valid, test = statistics.splits
    assert (train.n_sequences, train.n_frames) == (4, 8)
    assert (train.min_length, train.median_length, train.max_length) == (1, 2.0, 3)
    assert (train.n_chunks, train.padding_share) == (5, pytest.approx(0.2))
    assert train.notes_per_frame == pytest.approx(10 / 8)
    assert (train.lowest_feature, train.highest_feature) == (1, 2)
    assert (valid.n_chunks, valid.padding_share) == (2, pytest.approx(0.25))
    assert (test.n_chunks, test.padding_share, test.lowest_feature) == (None, None, None)
    assert statistics.dataset is data
    table = {row[0]: row[1:] for row in statistics.table()}
    assert table[""] == ("train", "valid", "test")
    assert table["chunks of 2"] == ("5", "2", "-")
    assert table["padding in chunks"] == ("20.0%", "25.0%", "-")
    assert table["columns used"] == ("1 to 2", "1 to 2", "none")
    notes = describe_statistics(dataclasses.replace(data, lowest_midi_note=21)).table()
    assert notes[-1] == ("MIDI notes used", "22 to 23", "22 to 23", "none")


def test_the_counts_are_those_of_the_chunks_themselves(small):
    for length in (1, 3, 100):
        chunks = chunk(small.train, length)
        train = describe_statistics(small, length).splits[0]
        assert train.n_chunks == len(chunks)
        assert train.padding_share == pytest.approx(
            chunks.starts.sum() / chunks.starts.size / length
        )


def test_43_percent_of_the_rows_of_jsb_are_padding(real_data_dir):
    statistics = describe_statistics(load("jsb", real_data_dir))
    assert statistics.splits[0].n_chunks == 243
    assert round(100 * statistics.splits[0].padding_share) == 43


def test_shortest_and_longest_sequence_of_the_benchmarks(real_data_dir):
    splits = [
        split
        for name in ("jsb", "nottingham", "musedata", "piano")
        for split in describe_statistics(load(name, real_data_dir)).splits
    ]
    assert min(split.min_length for split in splits) == 9
    assert max(split.max_length for split in splits) == 4273
