"""A folder of MIDI files as a data set."""

from __future__ import annotations

import os
from fractions import Fraction
from functools import partial

import mido
import numpy as np
import pytest

from fdrnn.datasets import SPLITS, DataError, MissingFileError, load, write_npz
from fdrnn.datasets.limits import Budget
from fdrnn.datasets.midi import MidiOptions, import_midi, read_midi

TICKS = 480


def write_midi(path, notes, *, channel=0, kind=1, transpose=0, ticks=TICKS):
    """Write (onset, duration, MIDI number), times in quarter notes; type 1 in two tracks."""
    file = mido.MidiFile(type=kind, ticks_per_beat=ticks)
    tracks = [mido.MidiTrack() for _ in range(2 if kind == 1 else 1)]
    for index, track in enumerate(tracks):
        events = []
        for onset, duration, note in notes[index :: len(tracks)]:
            events.append((round(onset * ticks), 1, note))
            events.append((round((onset + duration) * ticks), 0, note))
        now = 0
        for time, velocity, note in sorted(events):
            # Both ways to end a note.
            name = "note_off" if velocity == 0 and index else "note_on"
            track.append(
                mido.Message(
                    name, note=note + transpose, velocity=64 * velocity, time=time - now,
                    channel=channel,
                )
            )  # fmt: skip
            now = time
        file.tracks.append(track)
    file.save(path)


def melody(seed, n_notes=12):
    rng = np.random.default_rng(seed)
    return [(i, 1, int(note)) for i, note in enumerate(rng.integers(50, 70, n_notes))]


@pytest.fixture
def folder(tmp_path):
    """20 pieces in two folders."""
    made = tmp_path / "midi"
    (made / "below").mkdir(parents=True)
    for index in range(20):
        write_midi(made / ("below" if index % 2 else ".") / f"{index}.mid", melody(index))
    return made


def contents(dataset):
    return {split: [roll.tobytes() for roll in dataset.split(split)] for split in SPLITS}


@pytest.mark.parametrize("kind", [0, 1])
def test_frames_are_the_notes_of_each_step(tmp_path, kind):
    notes = [(0, 1, 60), (0, 2.5, 64), (1, 0.05, 67), (1.5, 0.5, 70), (3, 1, 72)]
    write_midi(tmp_path / "x.mid", notes, kind=kind)
    quarters = read_midi(tmp_path / "x.mid", MidiOptions())
    sounding = [set(np.flatnonzero(frame) + 21) for frame in quarters]
    # 2.5 and 1.5 are rounded up; a short note has one step.
    assert sounding == [{60, 64}, {64, 67}, {64, 70}, {72}]
    eighths = read_midi(tmp_path / "x.mid", MidiOptions(step_quarters=Fraction(1, 2)))
    sounding = [set(np.flatnonzero(frame) + 21) for frame in eighths]
    assert sounding == [{60, 64}, {60, 64}, {64, 67}, {64, 70}, {64}, set(), {72}, {72}]


def test_a_note_struck_again_or_never_ended_and_silence_at_the_ends(tmp_path):
    track = mido.MidiTrack([
        mido.Message("note_on", note=60, velocity=9, time=3 * TICKS),
        mido.Message("note_on", note=60, velocity=9, time=TICKS),
        mido.Message("note_on", note=62, velocity=9, time=0),
        mido.Message("note_off", note=60, time=TICKS),
        mido.MetaMessage("end_of_track", time=2 * TICKS),
    ])  # fmt: skip
    mido.MidiFile(tracks=[track], ticks_per_beat=TICKS).save(tmp_path / "x.mid")
    frames = read_midi(tmp_path / "x.mid", MidiOptions())
    sounding = [set(np.flatnonzero(frame) + 21) for frame in frames]
    assert sounding == [{60}, {60, 62}, {62}, {62}]


@pytest.mark.parametrize("end_first", [True, False])
def test_a_note_that_follows_itself_lasts_whichever_message_is_first(tmp_path, end_first):
    between = [("note_off", TICKS), ("note_on", 0)] if end_first else [
        ("note_on", TICKS), ("note_off", 0)
    ]  # fmt: skip
    track = mido.MidiTrack(
        mido.Message(kind, note=60, velocity=9, time=time)
        for kind, time in [("note_on", 0), *between, ("note_off", TICKS)]
    )
    mido.MidiFile(tracks=[track], ticks_per_beat=TICKS).save(tmp_path / "x.mid")
    roll = read_midi(tmp_path / "x.mid", MidiOptions(step_quarters=Fraction(1, 4)))
    assert roll[:, 60 - 21].tolist() == [1] * 8


def test_notes_that_follow_each_other_off_the_steps_do_not_sound_together(tmp_path):
    notes = [(number + 0.5, 1, note) for number, note in enumerate((60, 62, 64, 65, 67))]
    write_midi(tmp_path / "x.mid", notes)
    frames = read_midi(tmp_path / "x.mid", MidiOptions())
    assert [set(np.flatnonzero(frame) + 21) for frame in frames] == [{60}, {62}, {64}, {65}, {67}]


def test_range_and_percussion(tmp_path):
    write_midi(tmp_path / "x.mid", melody(1))
    whole = read_midi(tmp_path / "x.mid", MidiOptions())
    part = read_midi(tmp_path / "x.mid", MidiOptions(lowest=50, highest=69))
    np.testing.assert_array_equal(whole[:, 29:49], part)
    write_midi(tmp_path / "drums.mid", melody(1), channel=9)
    with pytest.raises(DataError, match="fewer than two steps with notes in the range"):
        read_midi(tmp_path / "drums.mid", MidiOptions())


@pytest.mark.parametrize("transpose", range(-5, 7))
def test_every_key_becomes_c_major_or_a_minor(tmp_path, transpose):
    major = [(i, 1, note) for i, note in enumerate((60, 64, 67, 72, 65, 69, 67, 71, 67, 64, 60))]
    minor = [(i, 1, note) for i, note in enumerate((57, 60, 64, 69, 62, 65, 64, 68, 64, 60, 57))]
    for notes in (major, minor):
        write_midi(tmp_path / "x.mid", notes, transpose=transpose)
        roll = read_midi(tmp_path / "x.mid", MidiOptions(to_c=True))
        assert (roll.argmax(axis=1) + 21).tolist() == [note for _, _, note in notes]


def test_the_split_has_the_shares_and_depends_on_content_and_seed_alone(folder, tmp_path):
    made = import_midi(folder, MidiOptions())
    assert [len(made.dataset.split(split)) for split in SPLITS] == [14, 3, 3]
    assert (made.skipped, made.duplicates) == ((), ())
    assert (made.dataset.lowest_midi_note, made.dataset.step_quarters) == (21, 1.0)
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for index, path in enumerate(sorted(folder.rglob("*.mid"), reverse=True)):
        os.link(path, renamed / f"{index:03}.MIDI")
    again = import_midi(renamed, MidiOptions())
    assert contents(again.dataset) == contents(made.dataset)
    assert again.dataset.fingerprint == made.dataset.fingerprint
    other = import_midi(folder, MidiOptions(seed=1))
    assert contents(other.dataset) != contents(made.dataset)
    every = [
        {roll for rolls in contents(data.dataset).values() for roll in rolls}
        for data in (made, other)
    ]
    assert every[0] == every[1]


def test_duplicates_and_unreadable_files_are_named_and_left_out(folder):
    write_midi(folder / "copy.mid", melody(3), kind=0)
    (folder / "text.mid").write_text("not music")
    (folder / "cut.mid").write_bytes((folder / "0.mid").read_bytes()[:40])
    os.mkfifo(folder / "pipe.mid")
    (folder / "large.mid").write_bytes(bytes(3 * 2**20))
    (folder / "notes.txt").write_text("ignored")
    made = import_midi(folder, MidiOptions())
    assert [path.name for path in made.duplicates] == ["copy.mid"]
    reasons = {path.name: reason for path, reason in made.skipped}
    assert "not a MIDI file, or damaged" in reasons["text.mid"]
    assert "damaged" in reasons["cut.mid"]
    assert "is a named pipe" in reasons["pipe.mid"]
    assert "may have at most 2 MiB" in reasons["large.mid"]
    assert len(reasons) == 4
    assert sum(len(made.dataset.split(split)) for split in SPLITS) == 20


def test_the_file_made_of_it_is_the_same_data_set(folder, tmp_path):
    made = import_midi(folder, MidiOptions(step_quarters=Fraction(1, 2)))
    write_npz(tmp_path / "mine.npz", made.dataset)
    read = load(str(tmp_path / "mine.npz"))
    assert read.fingerprint == made.dataset.fingerprint
    assert (read.lowest_midi_note, read.step_quarters) == (21, 0.5)


@pytest.mark.parametrize("shares", [(70, 15, 15), (1, 1, 1), (1, 1, 1000), (1000, 1, 1)])
@pytest.mark.parametrize("n_pieces", [3, 4, 7, 50])
def test_every_split_has_a_piece(tmp_path, shares, n_pieces):
    for index in range(n_pieces):
        write_midi(tmp_path / f"{index}.mid", melody(index))
    data = import_midi(tmp_path, MidiOptions(shares=shares)).dataset
    sizes = np.array([len(data.split(split)) for split in SPLITS])
    assert sizes.sum() == n_pieces
    assert sizes.min() >= 1
    np.testing.assert_allclose(sizes, n_pieces * np.array(shares) / sum(shares), atol=2)


def test_a_folder_of_more_than_the_limit_is_one_line(folder, monkeypatch):
    monkeypatch.setattr("fdrnn.datasets.midi.Budget", partial(Budget, n_bytes=5))
    with pytest.raises(
        DataError, match=r"more than 5 bytes .* take fewer files, or a longer --step"
    ):
        import_midi(folder, MidiOptions())


def test_folders_without_music_are_one_line(tmp_path):
    with pytest.raises(MissingFileError, match="there is no folder"):
        import_midi(tmp_path / "none", MidiOptions())
    with pytest.raises(DataError, match=r"holds no MIDI file \(\.mid, \.midi\)"):
        import_midi(tmp_path, MidiOptions())
    write_midi(tmp_path / "1.mid", melody(1))
    (tmp_path / "2.mid").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds 1 different pieces .* needs one; .*2\.mid: not a"):
        import_midi(tmp_path, MidiOptions())


def test_a_piece_of_a_billion_steps_is_refused(tmp_path):
    write_midi(tmp_path / "x.mid", [(0, 1, 60), (500_000, 1, 60)])
    with pytest.raises(DataError, match="at most 262,144 steps, got 500,001"):
        read_midi(tmp_path / "x.mid", MidiOptions())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_quarters": Fraction(0)}, "from 1/256 to 256 quarter notes, got '0'"),
        ({"step_quarters": Fraction(-(10**400))}, "from 1/256 to 256 quarter notes, got '-1"),
        ({"shares": (70, 30, 0)}, r"three numbers from 1 to 2\^31 - 1, got \(70, 30, 0\)"),
        ({"shares": (70, 30)}, "three numbers from 1"),
        ({"shares": (2**31, 1, 1)}, r"three numbers from 1 to 2\^31 - 1, got \(2147483648, 1, 1"),
        ({"seed": -1}, r"the seed must be from 0 to 2\^63 - 1, got -1"),
        ({"lowest": 60, "highest": 60}, "two ascending MIDI notes from 0 to 127, got 60 and 60"),
        ({"highest": 128}, "two ascending MIDI notes"),
    ],
)
def test_options_out_of_range_are_one_line(change, message):
    with pytest.raises(DataError, match=message):
        MidiOptions(**change)
