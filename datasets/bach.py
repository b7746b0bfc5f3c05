"""``bach``: four-part chorales by J. S. Bach out of the music21 package.

The set needs no download, because music21 carries its scores in its wheel. It is made like JSB
Chorales but is NOT that benchmark: other scores, other sampling, another split. Its numbers
must not be compared with published ones.

Recipe (version `RECIPE`):

1. The chorales that ``music21.corpus.chorales.Iterator`` lists, each name once, in alphabetical
   order. A name is kept if the corpus has a MusicXML file of exactly that name and the score
   has four parts.
2. A chorale's key is the one of 24 whose profile (Aarden 2003) correlates best with the
   durations of its twelve pitch classes. It is transposed by -6 to 5 semitones, so that major
   keys become C major and minor keys A minor.
3. At each quarter note from the beginning, a frame holds the notes that sound: those that have
   begun and not yet ended. Silent frames at either end are dropped. Columns are the MIDI notes
   21 to 108.
4. Of chorales with equal frames the first name stays.
5. The first four bytes of the SHA-256 of a chorale's name, as a big-endian integer modulo 5, say
   its split: 0, 1, 2 train, 3 valid, 4 test. So a chorale's split depends on nothing but its
   name.

Chorales that are merely alike stay: two settings of one tune may stand in different splits and
have up to 72 % of their frames in common.

music21's own parser takes half a minute for these scores, `fdrnn.datasets.musicxml` a few
seconds, and both see the same notes. The result is kept in the cache, for each music21 version
and recipe; if the cached file is damaged, the log says so and it is made anew.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.benchmarks import LOWEST_PIANO_NOTE, N_PIANO_NOTES
from fdrnn.datasets.cache import data_directory, write_atomically
from fdrnn.datasets.dataset import Dataset, Sequences
from fdrnn.datasets.errors import DataError, MissingFileError
from fdrnn.datasets.formats import read_dataset, write_npz
from fdrnn.datasets.musicxml import Note, read_parts

NAME = "bach"
TITLE = "Bach chorales (music21)"
NOTE = "not the JSB Chorales benchmark: its NLL must not be compared with published numbers"
RECIPE = 1

_N_PARTS = 4
_SPLIT_OF_REMAINDER = ("train", "train", "train", "valid", "test")

# Aarden (2003), Dynamic melodic expectancy: weight of each scale degree in semitones above the
# tonic, fitted to the Essen folk song collection; music21's own default. On these chorales its
# tonic is the final bass note more often than that of other published profiles.
_MAJOR = (
    17.7661, 0.145624, 14.9265, 0.160186, 19.8049, 11.3587,
    0.291248, 22.062, 0.145624, 8.15494, 0.232998, 4.95122,
)  # fmt: skip
_MINOR = (
    18.2648, 0.737619, 14.0499, 16.8599, 0.702494, 14.4362,
    0.702494, 18.6161, 4.56621, 1.93186, 7.37619, 1.75623,
)  # fmt: skip
_A = 9

_log = logging.getLogger(__name__)


def load_bach(*, progress: bool = False) -> Dataset:
    """Return the set, from the cache if it is there.

    Parameters
    ----------
    progress
        Whether to show a progress bar on standard error while scores are read.

    Raises
    ------
    DataError
        If music21's scores cannot be read.
    CacheError
        If the cache directory cannot be written.
    """
    path = cached_path()
    try:
        return read_dataset(path, name=NAME, title=TITLE, note=NOTE)
    except MissingFileError:
        pass
    except DataError as error:
        _log.warning("%s; the chorales are read anew", error)
    dataset = _make(progress)
    write_atomically(path, lambda file: write_npz(file, dataset))
    return dataset


def cached_path() -> Path:
    """Return the file of the cache that holds the set once it was made."""
    version = importlib.metadata.version("music21")
    return data_directory() / f"bach-music21-{version}-recipe-{RECIPE}.npz"


def _make(progress: bool) -> Dataset:
    from tqdm import tqdm  # noqa: PLC0415 - as below

    splits: dict[str, list[npt.NDArray[np.uint8]]] = {"train": [], "valid": [], "test": []}
    seen = set()
    scores = tqdm(_scores(), desc="reading Bach chorales", unit="score", disable=not progress)
    for name, path in scores:
        parts = read_parts(path)
        if len(parts) != _N_PARTS:
            continue
        notes = [note for part in parts for note in part]
        roll = sample(notes, transposition(notes))
        if roll.tobytes() not in seen:
            seen.add(roll.tobytes())
            splits[split_of(name)].append(roll)
    sequences: dict[str, Sequences] = {split: tuple(rolls) for split, rolls in splits.items()}
    return Dataset(
        name=NAME,
        title=TITLE,
        train=sequences["train"],
        valid=sequences["valid"],
        test=sequences["test"],
        lowest_midi_note=LOWEST_PIANO_NOTE,
        note=NOTE,
    )


def _scores() -> list[tuple[str, Path]]:
    """Names and files of the listed chorales, in alphabetical order of the names."""
    from music21 import common, corpus  # noqa: PLC0415 - slow, and needed once per cache

    root = Path(common.getCorpusFilePath())
    names = sorted(set(corpus.chorales.Iterator(returnType="filename")))
    files = ((name, root / f"{name}{suffix}") for name in names for suffix in (".mxl", ".xml"))
    scores = [(name, path) for name, path in files if path.is_file()]
    if not scores:
        raise DataError(f"music21 has no chorales in {root}; install it again")
    return scores


def split_of(name: str) -> str:
    """Return the split of the chorale that the corpus calls `name`, for example "bach/bwv269"."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return _SPLIT_OF_REMAINDER[number % len(_SPLIT_OF_REMAINDER)]


def transposition(notes: Iterable[Note]) -> int:
    """Return the semitones, -6 to 5, that carry notes to C major or A minor.

    The key is the one whose profile correlates best with the durations of the pitch classes.
    """
    durations = np.zeros(12)
    for note in notes:
        durations[note.midi % 12] += float(note.duration)
    best = max(
        (float(np.corrcoef(durations, np.roll(profile, tonic))[0, 1]), target - tonic)
        for profile, target in ((_MAJOR, 0), (_MINOR, _A))
        for tonic in range(12)
    )
    return (best[1] + 6) % 12 - 6


def sample(notes: Iterable[Note], semitones: int = 0) -> npt.NDArray[np.uint8]:
    """Return the frames of notes at each quarter note, uint8 of shape (n_frames, 88).

    Parameters
    ----------
    notes
        At least one note that sounds on a quarter note.
    semitones
        Transposition of all notes.
    """
    notes = list(notes)
    n_frames = max(math.ceil(note.onset + note.duration) for note in notes)
    roll = np.zeros((n_frames, N_PIANO_NOTES), np.uint8)
    for note in notes:
        begin, end = math.ceil(note.onset), math.ceil(note.onset + note.duration)
        roll[begin:end, note.midi + semitones - LOWEST_PIANO_NOTE] = 1
    sounding = np.flatnonzero(roll.any(axis=1))
    return roll[sounding[0] : sounding[-1] + 1]
