"""Data files as others write them, without the project's own code."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import scipy.io

SPLITS = ("train", "valid", "test")


def cells(matrices):
    """A MATLAB row of cells."""
    array = np.empty((1, len(matrices)), object)
    for index, matrix in enumerate(matrices):
        array[0, index] = matrix
    return array


def write_mat(path: Path, dataset, **more) -> None:
    """Write the .mat form of the benchmarks."""
    variables = {f"{split}data": cells(dataset.split(split)) for split in SPLITS}
    scipy.io.savemat(path, {**variables, **more}, do_compression=True)


def write_pickle(path: Path, dataset, protocol: int = 2) -> None:
    """Write the pickle form of the benchmarks: tuples of MIDI notes as numpy integers."""
    content = {
        split: [
            [tuple(np.int64(note) for note in np.flatnonzero(frame) + 21) for frame in sequence]
            for sequence in dataset.split(split)
        ]
        for split in SPLITS
    }
    path.write_bytes(pickle.dumps(content, protocol))
