"""Bach's chorales, sampled and transposed, against a naive sampling of transposed scores."""

from __future__ import annotations

import hashlib
import logging
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fdrnn.datasets import SPLITS, DataError, describe, fetch, load
from fdrnn.datasets.bach import (
    Note,
    cached_path,
    read_parts,
    sample,
    split_of,
    transposition,
)

# The fourth is not MusicXML; the last has five parts.
CHORALES = ("bach/bwv10.7", "bach/bwv153.1", "bach/bwv343", "bach/bwv277", "bach/bwv136.6")


def corpus_path(name):
    from music21 import corpus  # noqa: PLC0415 - slow

    found = corpus.getWork(name)
    return Path(found[0] if isinstance(found, list) else found)


@pytest.fixture(scope="module", params=CHORALES)
def score(request):
    from music21 import corpus  # noqa: PLC0415 - slow

    return request.param, corpus.parse(request.param)


def naive_frames(notes, semitones):
    """Sets of sounding notes at each quarter note, without the silent ends."""
    end = max(onset + duration for onset, duration, _ in notes)
    frames = [
        {midi + semitones for onset, duration, midi in notes if onset <= t < onset + duration}
        for t in range(int(end) + 1)
    ]
    while not frames[0]:
        frames.pop(0)
    while not frames[-1]:
        frames.pop()
    return frames


def frames_of(roll):
    return [set((np.flatnonzero(row) + 21).tolist()) for row in roll]


def test_a_chorale_of_four_parts_stands_in_the_split_of_its_name(score, bach_cache):
    name, parsed = score
    _, bach = bach_cache
    notes = [note for part in read_parts(corpus_path(name)) for note in part]
    transposed = parsed.transpose(transposition(notes))
    key = transposed.analyze("key")
    assert (key.tonic.name, key.mode) in {("C", "major"), ("A", "minor")}
    notes = [
        (Fraction(element.offset), Fraction(element.quarterLength), pitch.midi)
        for part in transposed.parts
        for element in part.flatten().notes
        for pitch in element.pitches
    ]
    expected = naive_frames(notes, 0)
    found = [split for split in SPLITS for roll in bach.split(split) if frames_of(roll) == expected]
    number = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 5
    by_rule = ["train", "train", "train", "valid", "test"][number]
    assert found == ([by_rule] if len(parsed.parts) == 4 else [])


def test_a_frame_holds_the_notes_that_have_begun_and_not_ended():
    half = Fraction(1, 2)
    notes = [Note(half, half, 60), Note(Fraction(1), Fraction(3, 2), 64), Note(half, half * 6, 67)]
    assert frames_of(sample(notes)) == [{64, 67}, {64, 67}, {67}]
    assert frames_of(sample(notes, semitones=-2)) == [{62, 65}, {62, 65}, {65}]


def test_the_set_is_piano_rolls_without_repetition_and_about_60_20_20(bach_cache):
    _, bach = bach_cache
    sizes = [len(bach.split(split)) for split in SPLITS]
    assert sum(sizes) > 300
    np.testing.assert_allclose(np.array(sizes) / sum(sizes), [0.6, 0.2, 0.2], atol=0.03)
    rolls = [roll for split in SPLITS for roll in bach.split(split)]
    assert len({roll.tobytes() for roll in rolls}) == len(rolls)
    assert bach.n_features == 88
    assert (bach.lowest_midi_note, bach.step_quarters) == (21, 1.0)
    notes_per_frame = np.concatenate(rolls).sum(axis=1)
    assert notes_per_frame.max() <= 8
    assert 3.5 < notes_per_frame.mean() <= 4
    assert "not the JSB Chorales benchmark" in bach.note
    assert {split_of(f"bach/bwv{n}") for n in range(253, 439)} == set(SPLITS)


def test_the_cached_set_is_the_one_first_made_and_needs_no_music21(
    bach_cache, monkeypatch, tmp_path
):
    directory, bach = bach_cache
    monkeypatch.setenv("FDRNN_CACHE_DIR", str(directory))
    monkeypatch.setattr("fdrnn.datasets.bach._names", lambda: pytest.fail("read again"))

    again = load("bach", tmp_path / "any folder")

    assert again.fingerprint == bach.fingerprint
    assert (again.name, again.title, again.note) == (bach.name, bach.title, bach.note)
    assert fetch("bach") == cached_path()
    entry = describe()[0]
    assert (entry.name, entry.origin, entry.path) == ("bach", "cache", cached_path())


@pytest.fixture
def few_scores(monkeypatch):
    """Make the set of its first 12 scores, in a separate cache."""
    from fdrnn.datasets import bach  # noqa: PLC0415 - the module that is changed here

    names = bach._names()[:12]
    monkeypatch.setattr(bach, "_names", lambda: names)


@pytest.mark.usefixtures("few_scores")
def test_a_damaged_cached_set_is_named_and_made_again(caplog, capfd):
    made = load("bach")
    cached_path().write_bytes(cached_path().read_bytes()[:500])
    with caplog.at_level(logging.WARNING):
        again = load("bach")
    assert again.fingerprint == made.fingerprint
    assert str(cached_path()) in caplog.text
    caplog.clear()
    assert load("bach").fingerprint == made.fingerprint
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("few_scores")
def test_several_that_make_it_at_once_get_the_same(capfd):
    fingerprints = []
    threads = [
        threading.Thread(target=lambda: fingerprints.append(load("bach").fingerprint))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fingerprints) == 4
    assert len(set(fingerprints)) == 1
    assert [path.name for path in cached_path().parent.iterdir()] == [cached_path().name]


def test_both_sets_are_those_of_the_studies(bach_cache, monkeypatch):
    directory, bach = bach_cache
    monkeypatch.setenv("FDRNN_CACHE_DIR", str(directory))
    assert bach.fingerprint.startswith("7e455af3d1411a89edb1041018e0e2d4")
    assert load("bach-melody").fingerprint.startswith("b4f76a39dc1f86fa42338f35c70525f0")


@pytest.mark.usefixtures("few_scores")
def test_music21_writes_no_cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    load("bach")
    assert [path for path in (tmp_path / "temporary").rglob("*") if path.is_file()] == []


def test_a_score_that_cannot_be_read_is_one_line_and_nothing_stays(monkeypatch):
    monkeypatch.setattr("fdrnn.datasets.bach._names", lambda: ["bach/bwv269", "bach/none"])
    with pytest.raises(DataError, match=r"score bach/none cannot be read: CorpusException: "):
        load("bach")
    assert not cached_path().exists()


@pytest.mark.usefixtures("few_scores")
def test_the_progress_bar_goes_to_standard_error(capfd):
    load("bach", progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "reading Bach chorales" in shown.err
    assert "12/12" in shown.err
