"""Naive predictions, against loops over every step and column."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from fdrnn.datasets import CATEGORICAL, REAL, Dataset

RANDOM = np.random.default_rng(0)
LENGTHS = (12, 7, 1)


def test_columns_of_0_and_1_are_predicted_by_their_frequencies() -> None:
    train, test = (
        tuple((RANDOM.random((n, 3)) < 0.3).astype(np.uint8) for n in LENGTHS) for _ in range(2)
    )
    data = Dataset(name="x", title="x", train=train, valid=train, test=test)
    frames = np.concatenate(train)
    share = [(frames[:, column].sum() + 1) / (len(frames) + 2) for column in range(3)]
    steps = [frame for sequence in test for frame in sequence[1:]]
    nll = [
        -math.log(p if on else 1 - p) for frame in steps for on, p in zip(frame, share, strict=True)
    ]
    assert data.baseline_nll == pytest.approx(math.fsum(nll) / len(steps))
    assert data.description.baseline_nll == data.baseline_nll


def test_symbols_are_predicted_by_their_frequencies() -> None:
    train, test = (
        tuple(np.eye(4, dtype=np.uint8)[RANDOM.integers(0, 3, n)] for n in LENGTHS)
        for _ in range(2)
    )
    data = Dataset(name="x", title="x", train=train, valid=train, test=test, kind=CATEGORICAL)
    counts = np.concatenate(train).sum(axis=0) + 1
    symbols = [int(frame.argmax()) for sequence in test for frame in sequence[1:]]
    nll = [-math.log(counts[one] / counts.sum()) for one in symbols]
    assert data.baseline_nll == pytest.approx(sum(nll) / len(nll))


def test_real_values_are_predicted_by_the_last_one() -> None:
    train, test = (
        tuple(RANDOM.normal(size=(n, 2)).cumsum(axis=0) for n in LENGTHS) for _ in range(2)
    )
    data = Dataset(name="x", title="x", train=train, valid=train, test=test, kind=REAL)
    moves = np.concatenate([np.diff(sequence, axis=0) for sequence in train])
    nll, n_steps = 0.0, 0
    for sequence in test:
        for before, after in pairwise(sequence):
            n_steps += 1
            for column in range(2):
                variance = np.mean(moves[:, column] ** 2)
                nll += 0.5 * math.log(2 * math.pi * variance)
                nll += (after[column] - before[column]) ** 2 / (2 * variance)
    assert data.baseline_nll == pytest.approx(nll / n_steps)


def test_a_column_that_stands_still_within_every_sequence_has_none() -> None:
    still = (np.full((5, 1), 1.0), np.full((5, 1), 2.0))
    data = Dataset(name="x", title="x", train=still, valid=still, test=still, kind=REAL)
    assert data.baseline_nll is None
    assert "baseline_nll" not in data.description.to_mapping()
