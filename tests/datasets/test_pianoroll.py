from __future__ import annotations

import matplotlib.image
import numpy as np
import pytest

from fdrnn.datasets.pianoroll import draw_pianoroll, save_pianoroll

ROLL = np.zeros((40, 88), np.uint8)
ROLL[3:9, 60 - 21] = 1
ROLL[5, 71 - 21] = 1


def test_a_note_is_drawn_at_its_time_and_number_and_the_axes_are_labelled():
    axes = draw_pianoroll(ROLL, lowest_midi_note=21, title="a title").axes[0]

    image = axes.images[0]
    left, right, bottom, top = image.get_extent()
    drawn = {
        (left + 0.5 + step, bottom + 0.5 + row)
        for row, step in np.argwhere(np.asarray(image.get_array()))
    }
    assert drawn == {(step, 60) for step in range(3, 9)} | {(5, 71)}
    assert (right - left, top - bottom) == ROLL.shape
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time step", "MIDI note")
    assert axes.get_title() == "a title"
    assert axes.get_ylim() == (59.5, 71.5)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["60 (C4)", "72 (C5)"]


def test_features_that_are_not_notes_are_shown_in_full():
    axes = draw_pianoroll(ROLL[:, :10]).axes[0]
    assert axes.get_ylabel() == "feature"
    assert axes.get_ylim() == (-0.5, 9.5)


def test_a_silent_sequence_can_be_drawn():
    axes = draw_pianoroll(np.zeros((2, 88), np.uint8), lowest_midi_note=21).axes[0]
    assert axes.get_ylim() == (11.5, 119.5)


@pytest.mark.parametrize("n_frames", [1, 4273])
def test_short_and_long_sequences_are_saved_as_png_in_bounded_size(tmp_path, n_frames):
    path = tmp_path / "roll.png"
    save_pianoroll(path, np.ones((n_frames, 88), np.uint8), lowest_midi_note=21)
    image = matplotlib.image.imread(path)
    height, width, _ = image.shape
    assert 500 <= width <= 5000
    assert 300 <= height <= 1000
    assert (image[:, :, 0] < 0.2).mean() > 0.3


def test_what_is_no_sequence_is_refused():
    with pytest.raises(ValueError, match=r"\(n_frames, n_features\), got \(88,\)"):
        draw_pianoroll(ROLL[0])
