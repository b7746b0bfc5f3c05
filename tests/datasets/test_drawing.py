from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest

from fdrnn.datasets import SPLITS, Dataset
from fdrnn.datasets.drawing import MOST_COLUMNS, MOST_FEATURES, MOST_STEPS, draw_sequence

ROLL = np.zeros((40, 88), np.uint8)
ROLL[3:9, 60 - 21] = 1
ROLL[5, 71 - 21] = 1


def drawn(frames, *, lowest_midi_note=None, title="x"):
    splits = dict.fromkeys(SPLITS, (frames,))
    kind = "binary" if frames.dtype == np.uint8 else "real"
    data = Dataset("x", title, **splits, kind=kind, lowest_midi_note=lowest_midi_note)
    return draw_sequence(data, "valid", 0)


def test_a_note_is_drawn_at_its_time_and_number_and_the_axes_are_labelled():
    axes = drawn(ROLL, lowest_midi_note=21, title="a title").axes[0]

    image = axes.images[0]
    left, right, bottom, top = image.get_extent()
    notes = {
        (left + 0.5 + step, bottom + 0.5 + row)
        for row, step in np.argwhere(np.asarray(image.get_array()))
    }
    assert notes == {(step, 60) for step in range(3, 9)} | {(5, 71)}
    assert (right - left, top - bottom) == ROLL.shape
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time step", "MIDI note")
    assert axes.get_title() == "a title, valid sequence 0"
    assert axes.get_ylim() == (59.5, 71.5)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["60 (C4)", "72 (C5)"]


def test_features_that_are_not_notes_are_shown_in_full():
    axes = drawn(ROLL[:, :10]).axes[0]
    assert axes.get_ylabel() == "feature"
    assert axes.get_ylim() == (-0.5, 9.5)


def test_a_silent_sequence_can_be_drawn():
    axes = drawn(np.zeros((2, 88), np.uint8), lowest_midi_note=21).axes[0]
    assert axes.get_ylim() == (11.5, 119.5)


@pytest.mark.parametrize("n_frames", [2, 4273])
def test_short_and_long_sequences_are_drawn_in_bounded_size(tmp_path, n_frames):
    path = tmp_path / "roll.png"
    drawn(np.ones((n_frames, 88), np.uint8), lowest_midi_note=21).savefig(path)
    image = matplotlib.image.imread(path)
    height, width, _ = image.shape
    assert 500 <= width <= 5000
    assert 300 <= height <= 1000
    assert (image[:, :, 0] < 0.2).mean() > 0.3


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, MOST_FEATURES + 1), f", the first {MOST_FEATURES} of {MOST_FEATURES + 1} features"),
        ((MOST_STEPS + 1, 2), f", the first {MOST_STEPS} of {MOST_STEPS + 1} steps"),
    ],
)
def test_of_a_large_roll_the_beginning_is_drawn(shape, said):
    axes = drawn(np.ones(shape, np.uint8)).axes[0]
    n_features, n_steps = axes.images[0].get_array().shape
    assert (n_steps, n_features) == (min(shape[0], MOST_STEPS), min(shape[1], MOST_FEATURES))
    assert axes.get_title() == f"x, valid sequence 0{said}"


def test_real_values_are_a_line_for_each_column():
    frames = np.random.default_rng(0).standard_normal((5, 2))
    figure = drawn(frames)
    assert figure.get_suptitle() == "x, valid sequence 0"
    np.testing.assert_array_equal([axes.lines[0].get_ydata() for axes in figure.axes], frames.T)


def test_a_single_step_of_real_values_is_a_dot():
    long, short = np.arange(3.0)[:, None], np.ones((1, 1))
    data = Dataset("x", "X", (long,), (long, short), (long,), kind="real")
    (line,) = draw_sequence(data, "valid", 1).axes[0].lines
    assert line.get_marker() == "o"


def test_of_wide_real_data_the_first_columns_are_drawn():
    frames = np.random.default_rng(0).standard_normal((3, MOST_COLUMNS + 2))
    figure = drawn(frames, title="cost$1_vs_$2")
    figure.savefig(io.BytesIO())
    assert len(figure.axes) == MOST_COLUMNS
    of = f"the first {MOST_COLUMNS} of {MOST_COLUMNS + 2} columns"
    assert figure.get_suptitle() == f"cost$1_vs_$2, valid sequence 0, {of}"


def test_characters_without_a_glyph_are_escaped_and_nothing_is_warned_of(tmp_path, recwarn):
    figure = drawn(ROLL, title="\u5199\u771f \u00e9tude")
    figure.savefig(tmp_path / "roll.png")
    assert figure.axes[0].get_title().startswith("\\u5199\\u771f \u00e9tude")
    assert not recwarn.list
