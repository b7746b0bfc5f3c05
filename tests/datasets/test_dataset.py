from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fdrnn.datasets import DataError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid": ()}, "the valid split has no sequence"),
        ({"valid": (np.zeros((1, 88), np.uint8),)}, "the valid split predicts nothing"),
        ({"test": (np.zeros((3, 88), np.float32),)}, "sequence 0 of the test split must be"),
        ({"test": (np.zeros((0, 88), np.uint8),)}, "non-empty"),
        ({"train": (np.full((2, 88), 2, np.uint8),)}, "0 and 1 only, found 2"),
        ({"test": (np.zeros((3, 5), np.uint8),)}, r"one width, found \[5, 88\]"),
        ({"step_quarters": -0.5}, r"step_quarters must be positive and finite, got -0\.5"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused(small, change, message):
    with pytest.raises(DataError, match=message):
        dataclasses.replace(small, **change)


def test_the_fingerprint_tells_frames_and_splits_apart_but_not_names(small):
    flipped = tuple(roll.copy() for roll in small.train)
    flipped[0][0, 0] ^= 1
    joined = (np.concatenate(small.train),)
    others = [
        dataclasses.replace(small, train=flipped),
        dataclasses.replace(small, train=joined),
        dataclasses.replace(small, valid=small.test, test=small.valid),
    ]
    assert len({small.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert dataclasses.replace(small, name="other").fingerprint == small.fingerprint


def test_an_unknown_split_is_refused(small):
    with pytest.raises(ValueError, match="'validation'"):
        small.split("validation")
