from __future__ import annotations

import zipfile
from fractions import Fraction

import pytest

from fdrnn.datasets import DataError
from fdrnn.datasets.musicxml import read_parts


def note(pitch=None, duration=None, extra=""):
    if pitch is None:
        sound = "<rest/>"
    else:
        step, alter, octave = pitch
        altered = f"<alter>{alter}</alter>" if alter else ""
        sound = f"<pitch><step>{step}</step>{altered}<octave>{octave}</octave></pitch>"
    timed = "" if duration is None else f"<duration>{duration}</duration>"
    return f"<note>{extra}{sound}{timed}</note>"


def score(*parts):
    def measures(contents):
        return "".join(f"<measure>{content}</measure>" for content in contents)

    body = "".join(f"<part>{measures(part)}</part>" for part in parts)
    return f"<?xml version='1.0'?><score-partwise>{body}</score-partwise>"


DIVISIONS = "<attributes><divisions>2</divisions></attributes>"
SCORE = score(
    [
        DIVISIONS + note(("C", 0, 4), 1) + note(("G", 1, 4), 1, "<chord/>") + note(duration=2),
        note(("D", 0, 5), None, "<grace/>")
        + note(("B", -1, 3), 4)
        + "<backup><duration>4</duration></backup><forward><duration>1</duration></forward>"
        + note(("A", 0, 0), 1),
        note(("C", 0, 8), 3),
    ],
    [DIVISIONS + note(("E", -2, 4), 3)],
)
EXPECTED = [
    [
        (Fraction(0), Fraction(1, 2), 60),
        (Fraction(0), Fraction(1, 2), 68),
        (Fraction(3, 2), Fraction(2), 58),
        (Fraction(2), Fraction(1, 2), 21),
        (Fraction(7, 2), Fraction(3, 2), 108),
    ],
    [(Fraction(0), Fraction(3, 2), 62)],
]


def test_rests_chords_grace_notes_and_several_voices(tmp_path):
    path = tmp_path / "score.xml"
    path.write_text(SCORE)
    assert read_parts(path) == EXPECTED


def test_a_compressed_score(tmp_path):
    path = tmp_path / "score.mxl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", SCORE)
    assert read_parts(path) == EXPECTED


@pytest.mark.parametrize(
    "text", ["", SCORE[:100], SCORE.replace("<step>C", "<step>X"), SCORE.replace(">2<", ">0<")]
)
def test_a_damaged_score_is_named(tmp_path, text):
    path = tmp_path / "score.xml"
    path.write_text(text)
    with pytest.raises(DataError, match="no readable MusicXML score"):
        read_parts(path)
    (tmp_path / "score.mxl").write_text(text)
    with pytest.raises(DataError, match="no readable MusicXML score"):
        read_parts(tmp_path / "score.mxl")
