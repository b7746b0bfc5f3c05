"""``bach``: four-part chorales by J. S. Bach out of the music21 package.

The set needs no download, because music21 carries its scores in its wheel. It is made like JSB
Chorales but is NOT that benchmark: other scores, other sampling, another split. Its numbers
must not be compared with published ones.

Recipe (version `RECIPE`):

1. The chorales that ``music21.corpus.chorales.Iterator`` lists, each name once, in alphabetical
   order. A chorale is kept if its score has four parts.
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

Most scores are MusicXML, read here for notes alone: music21's own parser, which builds everything
that a printed score has, takes a minute for what takes seconds. The result is kept in the cache for
each music21 version and recipe; if the cached file is damaged, a warning is logged and the chorales
are parsed again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import math
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

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

_SCORE = re.compile(r"[^/]+xml")
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

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
    from tqdm import tqdm  # noqa: PLC0415 - needed once per cache

    splits: dict[str, list[npt.NDArray[np.uint8]]] = {split: [] for split in SPLITS}
    seen = set()
    for name in tqdm(_names(), "reading Bach chorales", unit="score", disable=not progress):
        roll = _roll(name)
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


def _roll(name: str) -> npt.NDArray[np.uint8] | None:
    """Return a chorale's piano-roll, None if it has not four parts."""
    from music21 import corpus  # noqa: PLC0415 - as in _names

    try:
        found = corpus.getWork(name)
        parts = read_parts(Path(found[0] if isinstance(found, list) else found))
        notes = [note for part in parts for note in part]
        return sample(notes, transposition(notes)) if len(parts) == _N_PARTS else None
    except Exception as error:  # music21 raises anything
        raise DataError(
            f"music21's score {name} cannot be read: {error_line(error)}; install it again"
        ) from error


class Note(NamedTuple):
    """A sounding note.

    Attributes
    ----------
    onset, duration
        In quarter notes from the beginning of the score.
    midi
        MIDI number of the pitch, 60 for middle C.
    """

    onset: Fraction
    duration: Fraction
    midi: int


def read_parts(path: Path) -> list[list[Note]]:
    """Read the notes of each part of a score.

    What a piano-roll has no use for is ignored: ties, which make no difference, repetitions, and
    grace notes, which take no time. A measure is as long as the notes and rests in it.

    Parameters
    ----------
    path
        A file of MusicXML, ``.xml`` or compressed ``.mxl``, or any other that music21 parses.
    """
    if path.suffix not in {".mxl", ".xml"}:
        from music21 import converter  # noqa: PLC0415 - as in _names

        # Without music21's own cache of pickles.
        score: Any = converter.parse(path, forceSource=True, storePickle=False)
        return [_parsed_notes(part) for part in score.parts]
    if path.suffix == ".mxl":
        with zipfile.ZipFile(path) as archive:
            text = archive.read(next(name for name in archive.namelist() if _SCORE.fullmatch(name)))
    else:
        text = path.read_bytes()
    return [_notes_of(part) for part in ElementTree.fromstring(text).iter("part")]


def _parsed_notes(part: Any) -> list[Note]:
    return [
        Note(Fraction(element.offset), Fraction(element.quarterLength), pitch.midi)
        for element in part.flatten().notes
        if not element.duration.isGrace
        for pitch in element.pitches
    ]


def _notes_of(part: ElementTree.Element) -> list[Note]:
    notes: list[Note] = []
    divisions, measure_begin = 1, Fraction(0)
    for measure in part.iter("measure"):
        onset = following = end = measure_begin
        for element in measure:
            divisions = int(element.findtext("divisions", divisions))
            duration = Fraction(element.findtext("duration", "0")) / divisions
            if element.tag == "backup":
                following -= duration
            elif element.tag == "forward":
                following += duration
            elif element.tag == "note":
                if element.find("chord") is None:
                    onset, following = following, following + duration
                pitch = element.find("pitch")
                if pitch is not None and duration:
                    notes.append(Note(onset, duration, _midi(pitch)))
            end = max(end, following)
        measure_begin = end
    return notes


def _midi(pitch: ElementTree.Element) -> int:
    step = _SEMITONES[pitch.findtext("step", "")] + int(pitch.findtext("alter", "0"))
    return 12 * (int(pitch.findtext("octave", "")) + 1) + step


def split_of(name: str) -> str:
    """Return the split of the chorale that the corpus calls `name`, for example "bach/bwv269"."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return _SPLIT_OF_REMAINDER[number % len(_SPLIT_OF_REMAINDER)]


def transposition(notes: Iterable[Note]) -> int:
    """Return the semitones, -6 to 5, that carry notes to C major or A minor."""
    from music21 import note, stream  # noqa: PLC0415 - as in _names
    from music21.analysis import discrete  # noqa: PLC0415

    # The analysis depends on the time that each pitch class sounds, and on nothing else.
    lengths: defaultdict[int, Fraction] = defaultdict(Fraction)
    for one in notes:
        lengths[one.midi % 12] += one.duration
    sounding = [note.Note(60 + pitch, quarterLength=length) for pitch, length in lengths.items()]
    profiles: Any = discrete.AardenEssen
    (tonic, mode, _), _ = profiles().process(stream.Stream(sounding))
    target = _SEMITONES["C" if mode == "major" else "A"]
    return int((target - tonic.pitchClass + 6) % 12 - 6)


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
