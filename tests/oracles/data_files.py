"""Data files as others write them, without the project's own code."""

from __future__ import annotations

import pickle
import struct
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


def matlab_object(name: str) -> bytes:
    """A variable of MATLAB's class string, as far as its name: flags of class 17, no axes."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)

    texts = [element(1, text.encode()) for text in (name, "MCOS", "string")]
    return element(14, b"".join([element(6, struct.pack("<II", 17, 0)), *texts]))
