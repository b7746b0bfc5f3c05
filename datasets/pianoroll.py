"""Drawing a sequence: time to the right, notes or features upward."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

_COLOURS = ListedColormap(["white", "#1f4e79"])
_STEPS_PER_INCH = 12
_WIDTH_RANGE_INCHES = (7.0, 40.0)


def draw_pianoroll(
    sequence: npt.NDArray[np.uint8], *, lowest_midi_note: int | None = None, title: str = ""
) -> Figure:
    """Draw one binary sequence.

    Notes are shown from the octave of the lowest that sounds to the octave of the highest;
    sequences that are not notes in full.

    Parameters
    ----------
    sequence
        Values 0 and 1, shape (n_frames, n_features).
    lowest_midi_note
        MIDI number of column 0 where the columns are notes, else None.
    title
        Text above the drawing.

    Returns
    -------
    Figure
        A matplotlib figure with one pair of axes, drawn without any display.

    Raises
    ------
    ValueError
        If `sequence` has not two axes or is empty.
    """
    if sequence.ndim != 2 or not sequence.size:
        raise ValueError(f"a sequence must be (n_frames, n_features), got {sequence.shape}")
    n_frames, n_features = sequence.shape
    width = float(np.clip(n_frames / _STEPS_PER_INCH, *_WIDTH_RANGE_INCHES))
    figure = Figure(figsize=(width, 4.0), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    first = lowest_midi_note or 0
    axes.imshow(
        sequence.T,
        cmap=_COLOURS,
        vmin=0,
        vmax=1,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, n_frames - 0.5, first - 0.5, first + n_features - 0.5),
    )
    axes.set_xlabel("time step")
    axes.set_title(title, parse_math=False)
    if lowest_midi_note is None:
        axes.set_ylabel("feature")
    else:
        axes.set_ylabel("MIDI note")
        low, high = _octaves(sequence, lowest_midi_note)
        axes.set_ylim(low - 0.5, high - 0.5)
        cs = range(low, high + 1, 12)
        axes.set_yticks([c - 0.5 for c in cs], labels=[f"{c} (C{c // 12 - 1})" for c in cs])
        axes.grid(axis="y", color="0.8", linewidth=0.8)
    return figure


def save_pianoroll(
    path: Path,
    sequence: npt.NDArray[np.uint8],
    *,
    lowest_midi_note: int | None = None,
    title: str = "",
) -> None:
    """Draw one binary sequence into a PNG file; the parameters of `draw_pianoroll`."""
    figure = draw_pianoroll(sequence, lowest_midi_note=lowest_midi_note, title=title)
    figure.savefig(path, format="png")


def _octaves(sequence: npt.NDArray[np.uint8], lowest_midi_note: int) -> tuple[int, int]:
    """MIDI numbers of the C at or below the lowest note that sounds, and above the highest."""
    sounding = np.flatnonzero(sequence.any(axis=0)) + lowest_midi_note
    if not sounding.size:
        sounding = np.array([lowest_midi_note, lowest_midi_note + sequence.shape[1] - 1])
    return int(sounding[0]) // 12 * 12, int(sounding[-1]) // 12 * 12 + 12
