"""``bach``: four-part chorales by J. S. Bach out of the music21 package.

The set needs no download, because music21 carries its scores in its wheel. It is made like JSB
Chorales but is NOT that benchmark: other scores, other sampling, another split. Its numbers
must not be compared with published ones.

Recipe (version `RECIPE`):

1. The chorales that ``music21.corpus.chorales.Iterator`` lists, each name once, in alphabetical
   order, as music21 parses them. A chorale is kept if its score has four parts.
2. Each is transposed by -6 to 5 semitones, so that the key that music21's analysis finds (by the
   profiles of Aarden 2003) becomes C major or A minor.
3. At each quarter note from the beginning, a frame holds the notes that sound: those that have
   begun and not yet ended. Silent frames at either end are dropped. Columns are the MIDI notes
   21 to 108.
4. Of chorales with equal frames the first name stays.
5. The first four bytes of the SHA-256 of a chorale's name, as a big-endian integer modulo 5, say
   its split: 0, 1, 2 train, 3 valid, 4 test. So a chorale's split depends on nothing but its
   name.

Chorales that are merely alike stay: two settings of one tune may be in different splits and
have up to 72 % of their frames in common.

Parsing takes about a minute of processor time, on every core. The result is kept in the cache
for each music21 version and recipe; if the cached file is damaged, a warning is logged and the
chorales are parsed again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.benchmarks import LOWEST_PIANO_NOTE, N_PIANO_NOTES
from fdrnn.datasets.cache import data_directory, write_cached
from fdrnn.datasets.dataset import SPLITS, Dataset
from fdrnn.datasets.errors import DataError, MissingFileError, error_line
from fdrnn.datasets.formats import read_dataset, write_npz

NAME = "bach"
TITLE = "Bach chorales (music21)"
NOTE = "not the JSB Chorales benchmark: its NLL must not be compared with published numbers"
RECIPE = 1

_N_PARTS = 4
_STEP_QUARTERS = 1.0
_SPLIT_OF_REMAINDER = ("train", "train", "train", "valid", "test")

_A = 9

# Lines of a parser that are no piano-roll.
_OTHER, _FAILED = "other", "failed: "

_log = logging.getLogger(__name__)


def make(*, progress: bool = False) -> Dataset:
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
        return read_dataset(path, name=NAME, title=TITLE, note=NOTE, step_quarters=_STEP_QUARTERS)
    except MissingFileError:
        pass
    except DataError as error:
        _log.warning("%s; the chorales are parsed again", error)
    dataset = _make(progress)
    write_cached(path, lambda file: write_npz(file, dataset))
    return dataset


def cached_path() -> Path:
    """Return the file of the cache that holds the set once it was made."""
    version = importlib.metadata.version("music21")
    return data_directory() / f"bach-music21-{version}-recipe-{RECIPE}.npz"


def _make(progress: bool) -> Dataset:
    splits: dict[str, list[npt.NDArray[np.uint8]]] = {split: [] for split in SPLITS}
    seen = set()
    for name, roll in _rolls(_names(), progress):
        if roll is not None and roll.tobytes() not in seen:
            seen.add(roll.tobytes())
            splits[split_of(name)].append(roll)
    return Dataset(
        name=NAME,
        title=TITLE,
        train=tuple(splits["train"]),
        valid=tuple(splits["valid"]),
        test=tuple(splits["test"]),
        lowest_midi_note=LOWEST_PIANO_NOTE,
        step_quarters=_STEP_QUARTERS,
        note=NOTE,
    )


def _names() -> list[str]:
    from music21 import corpus  # noqa: PLC0415 - slow, and needed once per cache

    return sorted(set(corpus.chorales.Iterator(returnType="filename")))


def _rolls(names: list[str], progress: bool) -> Iterator[tuple[str, npt.NDArray[np.uint8] | None]]:
    """Yield each chorale's name and piano-roll, None if it has not four parts."""
    from tqdm import tqdm  # noqa: PLC0415 - needed once per cache

    n_parsers = min(len(os.sched_getaffinity(0)), len(names))
    # Not multiprocessing, which would import the caller's script again. With -P, as here, no
    # module in the current directory hides one of the library.
    command = [sys.executable, "-P", "-c", f"from {__name__} import _parse; _parse()"]
    parsers = [
        subprocess.Popen(
            [*command, *names[index::n_parsers]],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for index in range(n_parsers)
    ]
    try:
        shown = tqdm(names, desc="reading Bach chorales", unit="score", disable=not progress)
        for index, name in enumerate(shown):
            line = cast("IO[str]", parsers[index % n_parsers].stdout).readline().rstrip("\n")
            if not line or line.startswith(_FAILED):
                reason = line.removeprefix(_FAILED) or "its process ended"
                raise DataError(f"music21 cannot read its score {name}: {reason}; install it again")
            yield name, _unpacked(line)
    finally:
        for parser in parsers:
            parser.kill()
            parser.communicate()


def _parse() -> None:
    """Write a line for each chorale named in the arguments; the whole of a parser's process."""
    from music21 import converter, corpus  # noqa: PLC0415 - as in _names

    lines, sys.stdout = sys.stdout, sys.stderr
    for name in sys.argv[1:]:
        try:
            found = corpus.getWork(name)
            path = found[0] if isinstance(found, list) else found
            # Without music21's own cache of pickles, which takes a third of the time.
            score: Any = converter.parse(path, forceSource=True, storePickle=False)
            four = len(score.parts) == _N_PARTS
            line = _packed(sample(notes_of(score), transposition(score))) if four else _OTHER
        except Exception as error:  # music21 raises anything
            line = f"{_FAILED}{error_line(error)}"
        print(line, file=lines, flush=True)


def _packed(roll: npt.NDArray[np.uint8]) -> str:
    return np.packbits(roll).tobytes().hex()


def _unpacked(line: str) -> npt.NDArray[np.uint8] | None:
    if line == _OTHER:
        return None
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(line), np.uint8))
    return bits.reshape(-1, N_PIANO_NOTES)


class Note(NamedTuple):
    """A sounding note.

    Attributes
    ----------
    onset, duration
        In quarter notes from the beginning of the score.
    midi
        MIDI number of the pitch, 60 for middle C.
    """

    onset: float | Fraction
    duration: float | Fraction
    midi: int


def notes_of(score: Any) -> list[Note]:
    """Return the notes of all parts of a music21 score; grace notes, which take no time, not."""
    return [
        Note(element.offset, element.quarterLength, pitch.midi)
        for part in score.parts
        for element in part.flatten().notes
        if not element.duration.isGrace
        for pitch in element.pitches
    ]


def split_of(name: str) -> str:
    """Return the split of the chorale that the corpus calls `name`, for example "bach/bwv269"."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return _SPLIT_OF_REMAINDER[number % len(_SPLIT_OF_REMAINDER)]


def transposition(score: Any) -> int:
    """Return the semitones, -6 to 5, that carry a music21 score to C major or A minor."""
    key = score.analyze("key")
    target = 0 if key.mode == "major" else _A
    return int((target - key.tonic.pitchClass + 6) % 12 - 6)


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
