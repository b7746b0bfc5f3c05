"""MIDI files read back by music21, which shares nothing with the writer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from music21 import midi as music21_midi

from fdrnn.datasets import DataDescription
from fdrnn.reports.figures.midi import QUARTERS_PER_MINUTE, are_notes, midi_file, midi_files
from fdrnn.search import SampleOrigin, Samples

LOWEST = 21

Notes = list[tuple[int, float, float]]


def held_notes(frames: npt.NDArray[np.uint8], step_quarters: float) -> Notes:
    """(MIDI number, onset, duration in quarters) by a loop over columns."""
    notes = []
    for column in range(frames.shape[1]):
        onset = None
        for step, on in enumerate([*frames[:, column], 0]):
            if on and onset is None:
                onset = step
            elif not on and onset is not None:
                length = (step - onset) * step_quarters
                notes.append((LOWEST + column, onset * step_quarters, length))
                onset = None
    return sorted(notes)


def parsed(data: bytes) -> tuple[Notes, music21_midi.MidiFile]:
    file = music21_midi.MidiFile()
    file.readstr(data)
    (track,) = file.tracks
    notes, sounding, time = [], {}, 0
    for event in track.events:
        if event.isDeltaTime():
            time += event.time
        elif event.isNoteOn():
            assert event.pitch not in sounding
            sounding[event.pitch] = time
        elif event.isNoteOff():
            onset = sounding.pop(event.pitch)
            ticks = file.ticksPerQuarterNote
            notes.append((event.pitch, onset / ticks, (time - onset) / ticks))
    assert not sounding
    return sorted(notes), file


@pytest.mark.parametrize("step_quarters", [0.25, 0.5, 1.0])
def test_the_notes_are_those_of_the_frames(step_quarters: float) -> None:
    frames = (np.random.default_rng(0).random((50, 88)) < 0.2).astype(np.uint8)
    frames[:, :2] = [1, 0]
    frames[20] = 0
    notes, _ = parsed(midi_file(frames, LOWEST, step_quarters))
    assert notes == held_notes(frames, step_quarters)
    assert notes[0] == (21, 0.0, 20 * step_quarters)


def test_music21_makes_a_score_of_it() -> None:
    frames = np.zeros((8, 88), np.uint8)
    frames[2:6, 60 - LOWEST] = 1
    frames[4:7, 64 - LOWEST] = 1
    _, file = parsed(midi_file(frames, LOWEST, 0.5, title="sample, trial 3"))
    score = music21_midi.translate.midiFileToStream(file)
    notes = {
        (pitch.midi, float(element.getOffsetInHierarchy(score)), element.quarterLength)
        for element in score.recurse().notes
        for pitch in element.pitches
    }
    assert notes == {(60, 1.0, 2.0), (64, 2.0, 1.5)}
    (tempo,) = {mark.number for mark in score.recurse().getElementsByClass("MetronomeMark")}
    assert tempo == QUARTERS_PER_MINUTE


def test_equal_frames_give_equal_bytes_and_a_step_is_an_eighth_unless_said() -> None:
    frames = np.eye(5, 88, dtype=np.uint8)
    first = midi_file(frames, LOWEST, title="title with ü and ♯")
    assert first == midi_file(frames.copy(), LOWEST, 0.5, title="title with ü and ♯")
    assert parsed(first)[0] == held_notes(frames, 0.5)


def test_silence_keeps_its_length() -> None:
    def length(frames: npt.NDArray[np.uint8]) -> int:
        _, file = parsed(midi_file(frames, LOWEST, 1.0))
        return sum(event.time for event in file.tracks[0].events if event.isDeltaTime())

    assert length(np.zeros((4, 88), np.uint8)) == length(np.eye(4, 88, dtype=np.uint8)) == 4 * 480


@pytest.mark.parametrize(
    ("lowest", "n_features", "expected"),
    [
        (21, 88, True),
        (None, 88, False),
        (100, 28, True),
        (100, 29, False),
        (0, 128, True),
        (-1, 3, False),
    ],
)
def test_columns_beyond_midi_are_no_notes(
    lowest: int | None, n_features: int, expected: bool
) -> None:
    assert are_notes(lowest, n_features) is expected
    if lowest is not None and not expected:
        with pytest.raises(
            ValueError, match=f"MIDI notes, 0 to 127, got {n_features} from {lowest}"
        ):
            midi_file(np.zeros((2, n_features), np.uint8), lowest)


@pytest.mark.parametrize(
    ("kind", "lowest", "expected"),
    [
        ("binary", LOWEST, ["excerpt", "sample"]),
        ("binary", None, []),
        # Real values are no notes, even where the file names one.
        ("real", LOWEST, []),
    ],
)
def test_files_of_samples_that_are_notes(
    kind: str, lowest: int | None, expected: list[str]
) -> None:
    frames = np.eye(3, dtype=np.uint8)
    origin = SampleOrigin(
        sequence=0, sequence_length=3, n_given=1, seed=0, step_quarters=1.0, code_version="0"
    )
    samples = Samples(
        config_index=0,
        excerpt=frames,
        predictions=np.zeros((2, 3)),
        sample=frames[::-1],
        origin=origin,
    )
    data = DataDescription(
        title="Set",
        note="",
        n_features=3,
        lowest_midi_note=lowest,
        fingerprint="0" * 64,
        kind=kind,
    )
    made = dict(midi_files(samples, data))
    assert list(made) == expected
    if made:
        assert made["sample"] == midi_file(frames[::-1], LOWEST, 1.0, "Set: sample")
