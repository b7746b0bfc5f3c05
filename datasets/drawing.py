"""Drawing a sequence: a piano-roll, or a line for each column of real values."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from fdrnn.datasets.dataset import REAL, Dataset, Frames

MOST_COLUMNS = 8
"""Real columns that are drawn; of wider data, the first ones."""

MOST_STEPS, MOST_FEATURES = 10_000, 512
"""Steps and features of a piano-roll that are drawn; of larger data, the first ones.

More would share pixels. Matplotlib takes 50 bytes and half a microsecond for each value.
"""

_COLOUR = "#1f4e79"
_STEPS_PER_INCH = 12
_WIDTH_RANGE_INCHES = (7.0, 40.0)
_LINES_WIDTH_INCHES, _COLUMN_INCHES = 9.0, 1.6


def draw_sequence(dataset: Dataset, split: str, index: int) -> Figure:
    """Draw one sequence of a data set.

    Notes are shown from the octave of the lowest that sounds to the octave of the highest;
    columns that are not notes are all shown. Of a large sequence the beginning is drawn, and the
    title says so.

    Parameters
    ----------
    dataset
        The data set.
    split, index
        The sequence.

    Returns
    -------
    Figure
        A matplotlib figure, drawn without any display.
    """
    frames = dataset.split(split)[index]
    title = f"{dataset.title}, {split} sequence {index}"
    draw = _lines if dataset.kind == REAL else partial(_roll, dataset.lowest_midi_note)
    figure = draw(frames, title)
    escape_missing_glyphs(figure)
    return figure


def escape_missing_glyphs(figure: Figure) -> None:
    r"""Escape the characters of a figure's texts that their font lacks, as in ``\u5199``.

    Matplotlib would draw an empty box for each, and warn.
    """
    for text in figure.findobj(Text):
        characters = text.get_text()
        if not characters.isascii():
            font = get_font(findfont(text.get_fontproperties()))
            text.set_text("".join(map(partial(_escaped, font), characters)))


def _escaped(font: FT2Font, character: str) -> str:
    if character.isspace() or font.get_char_index(ord(character)):
        return character
    return character.encode("unicode_escape").decode()


def _roll(lowest_midi_note: int | None, frames: Frames, title: str) -> Figure:
    n_steps, n_features = frames.shape
    frames = frames[:MOST_STEPS, :MOST_FEATURES]
    if n_steps > MOST_STEPS:
        title = f"{title}, the first {MOST_STEPS} of {n_steps} steps"
    if n_features > MOST_FEATURES:
        title = f"{title}, the first {MOST_FEATURES} of {n_features} features"
    width = float(np.clip(len(frames) / _STEPS_PER_INCH, *_WIDTH_RANGE_INCHES))
    figure = _figure(width, 4.0)
    axes = figure.add_subplot()
    axes.set_title(title, parse_math=False)
    _pianoroll(axes, frames, lowest_midi_note)
    return figure


def _figure(width_inches: float, height_inches: float) -> Figure:
    figure = Figure(figsize=(width_inches, height_inches), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _pianoroll(axes: Axes, frames: Frames, lowest_midi_note: int | None) -> None:
    n_frames, n_features = frames.shape
    first = lowest_midi_note or 0
    axes.imshow(
        frames.T,
        cmap=ListedColormap(["white", _COLOUR]),
        vmin=0,
        vmax=1,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, n_frames - 0.5, first - 0.5, first + n_features - 0.5),
    )
    axes.set_xlabel("time step")
    if lowest_midi_note is None:
        axes.set_ylabel("feature")
        return
    axes.set_ylabel("MIDI note")
    used = np.flatnonzero(frames.any(axis=0))
    low, high = (used[0], used[-1]) if used.size else (0, n_features - 1)
    low, high = (first + low) // 12 * 12, (first + high) // 12 * 12 + 12
    axes.set_ylim(low - 0.5, high - 0.5)
    cs = range(low, high + 1, 12)
    axes.set_yticks([c - 0.5 for c in cs], labels=[f"{c} (C{c // 12 - 1})" for c in cs])
    axes.grid(axis="y", color="0.8", linewidth=0.8)


def _lines(frames: Frames, title: str) -> Figure:
    n_columns = min(frames.shape[1], MOST_COLUMNS)
    figure = _figure(_LINES_WIDTH_INCHES, 0.8 + _COLUMN_INCHES * n_columns)
    if n_columns < frames.shape[1]:
        title = f"{title}, the first {n_columns} of {frames.shape[1]} columns"
    figure.suptitle(title, parse_math=False)
    for column, axes in enumerate(figure.subplots(n_columns, 1, sharex=True, squeeze=False)[:, 0]):
        # A line through one point is invisible.
        marker = "o" if len(frames) == 1 else None
        axes.plot(frames[:, column], color=_COLOUR, linewidth=1.2, marker=marker)
        axes.set_ylabel(f"column {column}")
    axes.set_xlabel("time step")
    return figure
