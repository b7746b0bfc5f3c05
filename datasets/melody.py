"""``bach-melody``: the top line of the chorales of ``bach``, one pitch a step; categorical data.

Each frame of `fdrnn.datasets.bach` gives its highest note, which is the soprano's unless voices
cross or it rests. Silent frames are left out. Symbol 0 is the lowest pitch of the whole set, so
that the columns are MIDI notes without a gap. Splits are those of ``bach``, and it is not a
benchmark either.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import bach
from fdrnn.datasets.dataset import CATEGORICAL, SPLITS, Dataset, Frames, one_hot

NAME = "bach-melody"
TITLE = "Bach chorales, melody (music21)"
NOTE = "one pitch a step, from the set bach: the paper has no number for it"


def make(*, progress: bool = False) -> Dataset:
    """Return the set; parameters and errors are those of `fdrnn.datasets.bach.make`."""
    return melody_of(bach.make(progress=progress))


def cached_path() -> Path:
    """Return the file of the cache that holds the chorales."""
    return bach.cached_path()


def melody_of(chorales: Dataset) -> Dataset:
    """Return the top line of piano-rolls.

    Parameters
    ----------
    chorales
        Binary data whose columns are notes, none of its sequences silent throughout.
    """
    pitches = {split: [top_line(roll) for roll in chorales.split(split)] for split in SPLITS}
    every = np.concatenate([line for lines in pitches.values() for line in lines])
    lowest, n_symbols = int(every.min()), int(np.ptp(every)) + 1
    train, valid, test = (
        tuple(one_hot(line - lowest, n_symbols) for line in pitches[split]) for split in SPLITS
    )
    first = chorales.lowest_midi_note
    return Dataset(
        name=NAME,
        title=TITLE,
        note=NOTE,
        kind=CATEGORICAL,
        lowest_midi_note=None if first is None else first + lowest,
        step_quarters=chorales.step_quarters,
        train=train,
        valid=valid,
        test=test,
    )


def top_line(roll: Frames) -> npt.NDArray[np.int64]:
    """Return the highest column that is 1 of every frame that has one."""
    sounding = roll[roll.any(axis=1)]
    highest: npt.NDArray[np.int64] = sounding.shape[1] - 1 - sounding[:, ::-1].argmax(axis=1)
    return highest
