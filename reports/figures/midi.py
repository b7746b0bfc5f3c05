"""Piano-rolls as Standard MIDI Files, to be heard in any player.

A piano-roll does not distinguish a held note from one that is struck again, so a note that
sounds in consecutive frames is one note, held over all of them. Frames have no loudness and no
tempo either: every note has the same velocity, and a quarter note lasts 0.6 s.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import mido
import numpy as np
import numpy.typing as npt

from fdrnn.datasets import REAL, DataDescription
from fdrnn.search import Samples

QUARTERS_PER_MINUTE = 100
DEFAULT_STEP_QUARTERS = 0.5
"""Quarter notes per frame where a data set does not define it."""

_TICKS_PER_QUARTER = 480
_VELOCITY = 80
_HIGHEST_NOTE = 127
_PIANO = 0


def are_notes(lowest_midi_note: int | None, n_features: int) -> bool:
    """Return whether the columns from MIDI note `lowest_midi_note` on are notes of MIDI."""
    if lowest_midi_note is None:
        return False
    return 0 <= lowest_midi_note <= lowest_midi_note + n_features - 1 <= _HIGHEST_NOTE


def midi_files(samples: Samples, data: DataDescription) -> Iterator[tuple[str, bytes]]:
    """Yield ``"excerpt"`` and ``"sample"`` with their MIDI files, if the frames are notes.

    Real values are no notes, whatever their columns are called.
    """
    lowest = data.lowest_midi_note
    if data.kind == REAL or lowest is None or not are_notes(lowest, data.n_features):
        return
    for name, frames in (("excerpt", samples.excerpt), ("sample", samples.sample)):
        title = f"{data.title}: {name}"
        yield name, midi_file(frames, lowest, samples.origin.step_quarters, title)


def midi_file(
    frames: npt.NDArray[np.uint8],
    lowest_midi_note: int,
    step_quarters: float | None = None,
    title: str = "",
) -> bytes:
    """Return frames as a Standard MIDI File of one piano track; equal frames give equal bytes.

    Parameters
    ----------
    frames
        Values 0 and 1, shape (n_frames, n_features).
    lowest_midi_note
        MIDI number of column 0, at least 0; the last column must be at most 127.
    step_quarters
        Quarter notes that a frame lasts, rounded to 1/480, at least one of these; None for
        `DEFAULT_STEP_QUARTERS`.
    title
        Name of the track.

    Raises
    ------
    ValueError
        If a column is beyond MIDI's notes.
    """
    n_frames, n_features = frames.shape
    if not are_notes(lowest_midi_note, n_features):
        raise ValueError(
            f"the columns must be MIDI notes, 0 to {_HIGHEST_NOTE}, got {n_features} from "
            f"{lowest_midi_note}"
        )
    quarters = DEFAULT_STEP_QUARTERS if step_quarters is None else step_quarters
    ticks = max(1, round(quarters * _TICKS_PER_QUARTER))
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name=title))
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(QUARTERS_PER_MINUTE)))
    track.append(mido.Message("program_change", program=_PIANO))
    silence = np.zeros((1, n_features), np.int8)
    changes = np.diff(np.concatenate([silence, frames.astype(np.int8), silence]), axis=0)
    written = 0
    for step in range(n_frames + 1):
        # Ends come before beginnings.
        for change, kind in ((-1, "note_off"), (1, "note_on")):
            for column in np.flatnonzero(changes[step] == change):
                note, velocity = lowest_midi_note + int(column), _VELOCITY * (change > 0)
                wait = (step - written) * ticks
                track.append(mido.Message(kind, note=note, velocity=velocity, time=wait))
                written = step
    # Silence at the end is part of the music.
    track.append(mido.MetaMessage("end_of_track", time=(n_frames - written) * ticks))
    file = mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_QUARTER, charset="utf-8")
    file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()
