"""Notes of a MusicXML score, with their times.

Only what a piano-roll needs is read: pitches as they are written, onsets and durations. Grace
notes, which take no time, and rests are left out; repeats are not played twice. Tied notes stay
separate, which a piano-roll does not show.
"""

from __future__ import annotations

import zipfile
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from fdrnn.datasets.errors import DataError

_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


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
    """Read a score's notes, part by part.

    Parameters
    ----------
    path
        A MusicXML file: ``.mxl`` (compressed) or ``.xml``, in the partwise form.

    Returns
    -------
    list of list of Note
        For each part its notes in the order in which they are written.

    Raises
    ------
    DataError
        If the file is damaged or not of this form.
    """
    try:
        return [_read_part(part) for part in _root(path).findall("part")]
    except (
        OSError,
        zipfile.BadZipFile,
        ElementTree.ParseError,
        LookupError,
        ValueError,
        ZeroDivisionError,
    ) as error:
        raise DataError(f"{path} is no readable MusicXML score ({error})") from error


def _root(path: Path) -> ElementTree.Element:
    if path.suffix != ".mxl":
        return ElementTree.parse(path).getroot()
    with zipfile.ZipFile(path) as archive:
        (score,) = (
            name
            for name in archive.namelist()
            if name.endswith((".xml", ".musicxml")) and not name.startswith("META-INF/")
        )
        return ElementTree.fromstring(archive.read(score))


def _read_part(part: ElementTree.Element) -> list[Note]:
    notes: list[Note] = []
    measure_begin, divisions = Fraction(0), 1
    for measure in part.findall("measure"):
        now = measure_end = onset = measure_begin
        for element in measure:
            if element.tag == "attributes":
                divisions = int(element.findtext("divisions") or divisions)
            elif element.tag == "backup":
                now -= _duration(element, divisions)
            elif element.tag == "forward":
                now += _duration(element, divisions)
            elif element.tag == "note" and element.find("grace") is None:
                duration = _duration(element, divisions)
                if element.find("chord") is None:  # else it sounds with the note before
                    onset = now
                    now += duration
                pitch = element.find("pitch")
                if pitch is not None:
                    notes.append(Note(onset, duration, _midi(pitch)))
            measure_end = max(measure_end, now)
        measure_begin = measure_end
    return notes


def _duration(element: ElementTree.Element, divisions: int) -> Fraction:
    return Fraction(int(element.findtext("duration", "")), divisions)


def _midi(pitch: ElementTree.Element) -> int:
    step, octave = pitch.findtext("step", ""), pitch.findtext("octave", "")
    alter = pitch.findtext("alter") or "0"
    return 12 * (int(octave) + 1) + _SEMITONES[step] + round(float(alter))
