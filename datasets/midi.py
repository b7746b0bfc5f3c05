"""A folder of MIDI files as a data set of piano-rolls.

A note belongs to the frames between its beginning and its end, each rounded to the nearest step,
halves up, and to at least one. Times are counted in quarter notes, so that tempo does not matter;
neither do loudness, instruments and the pedal. Percussion (channel 10) is left out, and so is
silence at either end. Of pieces with equal frames one stays. Which split a piece is in depends on
the frames of all pieces and on the seed, and not on names or order.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.benchmarks import LOWEST_PIANO_NOTE, N_PIANO_NOTES
from fdrnn.datasets.dataset import SPLITS, Dataset
from fdrnn.datasets.errors import DataError, FdrnnError, MissingFileError, error_line, shown
from fdrnn.datasets.files import MIB, read_file
from fdrnn.datasets.limits import Budget

SUFFIXES = (".mid", ".midi")
"""File name suffixes of MIDI files, in either case."""

FILE_LIMIT = 2 * MIB
"""Bytes of a MIDI file."""

MOST_STEPS = 2**18
"""Steps of a piece."""

_PERCUSSION = 9
_N_NOTES = 128
_SINGLE_SONG_TYPES = (0, 1)

# Krumhansl and Kessler 1982: how well a pitch class fits C major and C minor.
_PROFILES = (
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)
_TONICS = (0, 9)  # C major and A minor


@dataclass(frozen=True, kw_only=True)
class MidiOptions:
    """How MIDI files become a data set.

    Attributes
    ----------
    step_quarters
        Quarter notes that a frame lasts, positive.
    shares
        Shares of the pieces in training, validation and test; positive, in any unit.
    seed
        Of the split, at least 0.
    lowest, highest
        MIDI numbers of the first and the last column, from 0 to 127; other notes are left out.
    to_c
        Whether each piece is transposed by -6 to 5 semitones, so that its key, found by the
        profiles of Krumhansl and Kessler, becomes C major or A minor.

    Raises
    ------
    DataError
        If a value is out of range.
    """

    step_quarters: Fraction = Fraction(1)
    shares: tuple[int, int, int] = (70, 15, 15)
    seed: int = 0
    lowest: int = LOWEST_PIANO_NOTE
    highest: int = LOWEST_PIANO_NOTE + N_PIANO_NOTES - 1
    to_c: bool = False

    def __post_init__(self) -> None:
        if not Fraction(1, 256) <= self.step_quarters <= 256:
            raise DataError(
                "a step must last from 1/256 to 256 quarter notes, got "
                f"{shown(str(self.step_quarters))}"
            )
        if len(self.shares) != len(SPLITS) or not all(0 < share < 2**31 for share in self.shares):
            raise DataError(
                "the shares of training, validation and test must be three numbers from 1 to "
                f"2^31 - 1, got {shown(self.shares)}"
            )
        if not 0 <= self.seed < 2**63:
            raise DataError(f"the seed must be from 0 to 2^63 - 1, got {shown(self.seed)}")
        if not 0 <= self.lowest < self.highest < _N_NOTES:
            raise DataError(
                "the range must be two ascending MIDI notes from 0 to 127, got "
                f"{shown(self.lowest)} and {shown(self.highest)}"
            )


@dataclass(frozen=True, eq=False)
class MidiImport:
    """What came out of a folder of MIDI files.

    Attributes
    ----------
    dataset
        Its pieces.
    skipped
        Files that are not part of it, each with the reason.
    duplicates
        Files whose frames are those of another one.
    """

    dataset: Dataset
    skipped: tuple[tuple[Path, str], ...]
    duplicates: tuple[Path, ...]


def import_midi(folder: Path, options: MidiOptions) -> MidiImport:
    """Make a data set of the MIDI files in a folder and the folders in it.

    Parameters
    ----------
    folder
        Where the files are.
    options
        How they are sampled and split.

    Raises
    ------
    MissingFileError
        If there is no such folder.
    DataError
        If it holds no MIDI file, or fewer than three different pieces that can be read.
    """
    if not folder.is_dir():
        raise MissingFileError(f"there is no folder {folder}")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(f"{folder} holds no MIDI file ({', '.join(SUFFIXES)})")
    pieces: dict[bytes, npt.NDArray[np.uint8]] = {}
    skipped, duplicates = [], []
    budget = Budget(str(folder), way_out="take fewer files, or a longer --step")
    for path in paths:
        try:
            roll = read_midi(path, options)
        except FdrnnError as error:
            skipped.append((path, str(error)))
            continue
        digest = hashlib.sha256(b"%d " % options.seed + roll.tobytes()).digest()
        if digest in pieces:
            duplicates.append(path)
            continue
        budget.take(roll.size)
        pieces[digest] = roll
    if len(pieces) < len(SPLITS):
        reason = f"; {skipped[0][1]}" if skipped else ""
        raise DataError(
            f"{folder} holds {len(pieces)} different pieces that can be read, and each of the "
            f"three splits needs one{reason}"
        )
    # In the order of their digests: by content, and at random.
    rolls = iter([pieces[digest] for digest in sorted(pieces)])
    counts = _counts(len(pieces), options.shares)
    train, valid, test = (tuple(next(rolls) for _ in range(count)) for count in counts)
    dataset = Dataset(
        name=str(folder),
        title=folder.name,
        train=train,
        valid=valid,
        test=test,
        lowest_midi_note=options.lowest,
        step_quarters=float(options.step_quarters),
    )
    return MidiImport(dataset, tuple(skipped), tuple(duplicates))


def read_midi(path: Path, options: MidiOptions) -> npt.NDArray[np.uint8]:
    """Return the piano-roll of a MIDI file, shape (n_frames, highest - lowest + 1).

    Raises
    ------
    FileError
        If it cannot be read or is larger than `FILE_LIMIT`.
    DataError
        If it is no MIDI file, damaged, longer than `MOST_STEPS`, or has no two frames of notes
        in the range.
    """
    import mido  # noqa: PLC0415 - needed for MIDI files alone

    content = read_file(path, limit_bytes=FILE_LIMIT, what="MIDI file")
    try:
        file = mido.MidiFile(file=io.BytesIO(content), clip=True)
        ticks, is_song = file.ticks_per_beat, file.type in _SINGLE_SONG_TYPES
        notes = [note for track in file.tracks for note in _notes(track)]
    except Exception as error:  # damaged bytes make the parser raise anything
        raise DataError(f"{path}: not a MIDI file, or damaged ({error_line(error)})") from error
    if ticks < 1 or not is_song:
        raise DataError(f"{path}: only MIDI files of type 0 and 1, timed in beats, are read")
    per_step = options.step_quarters * ticks
    # Halves up: rounded to even, notes that follow each other would sound together.
    half = Fraction(1, 2)
    steps = [
        (math.floor(begin / per_step + half), math.floor(end / per_step + half), note)
        for begin, end, note in notes
    ]
    n_frames = max((max(begin + 1, end) for begin, end, _ in steps), default=0)
    if n_frames > MOST_STEPS:
        raise DataError(f"{path}: a piece must have at most {MOST_STEPS:,} steps, got {n_frames:,}")
    roll = np.zeros((n_frames, _N_NOTES), np.uint8)
    for begin, end, note in steps:
        roll[begin : max(begin + 1, end), note] = 1
    if options.to_c:
        roll = _transposed(roll, _semitones_to_c(roll))
    roll = roll[:, options.lowest : options.highest + 1]
    sounding = np.flatnonzero(roll.any(axis=1))
    if len(sounding) < 2:
        raise DataError(f"{path}: it has fewer than two steps with notes in the range")
    return np.ascontiguousarray(roll[sounding[0] : sounding[-1] + 1])


def _notes(track: Iterable[Any]) -> Iterator[tuple[int, int, int]]:
    """Yield beginning and end in ticks, and MIDI number, of each note of a track."""
    now = 0
    begun: dict[tuple[int, int], int] = {}
    struck_again: dict[tuple[int, int], int] = {}
    for message in track:
        now += message.time
        if message.type not in ("note_on", "note_off") or message.channel == _PERCUSSION:
            continue
        key = message.channel, message.note
        begins = message.type == "note_on" and message.velocity > 0
        if not begins and struck_again.pop(key, None) == now:
            continue  # it ends the note before, which the new one has ended
        if key in begun:  # a note that is struck again ends
            yield begun.pop(key), now, message.note
            if begins:
                struck_again[key] = now
        if begins:
            begun[key] = now
    for (_, note), begin in begun.items():
        yield begin, now, note


def _semitones_to_c(roll: npt.NDArray[np.uint8]) -> int:
    classes = np.zeros(12)
    np.add.at(classes, np.arange(_N_NOTES) % 12, roll.sum(axis=0, dtype=np.int64))
    # Correlations, up to a factor that all keys share.
    profiles = [(np.array(profile) - np.mean(profile)) / np.std(profile) for profile in _PROFILES]
    fits = [
        (float(np.dot(np.roll(profile, tonic), classes)), tonic, mode)
        for mode, profile in enumerate(profiles)
        for tonic in range(12)
    ]
    _, tonic, mode = max(fits)
    return (_TONICS[mode] - tonic + 6) % 12 - 6


def _transposed(roll: npt.NDArray[np.uint8], semitones: int) -> npt.NDArray[np.uint8]:
    moved = np.roll(roll, semitones, axis=1)
    if semitones > 0:
        moved[:, :semitones] = 0
    elif semitones < 0:
        moved[:, semitones:] = 0
    return moved


def _counts(n_pieces: int, shares: tuple[int, ...]) -> list[int]:
    """Return how many pieces each split has: by its share, and at least one."""
    ends = [round(end * n_pieces / sum(shares)) for end in accumulate(shares)]
    counts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    while min(counts) < 1:
        counts[counts.index(min(counts))] += 1
        counts[counts.index(max(counts))] -= 1
    return counts
