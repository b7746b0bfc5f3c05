"""The figure of what a model predicts of columns of 0 and 1, music above all.

An excerpt, its predictions below it, and a sample, as `fdrnn sample` stored them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from fdrnn.datasets import BINARY, CATEGORICAL, DataDescription
from fdrnn.reports.numbers.text import plural
from fdrnn.search import Samples

_COLOURS = LinearSegmentedColormap.from_list("probability", ["#ffffff", "#56b4e9", "#00304d"])
_MARK = "#d55e00"
_NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_WIDTH_IN, _HEIGHT_IN = 7.0, 6.0
_SURE = 0.5


def draw(samples: Samples, data: DataDescription) -> Figure:
    """Draw three piano-rolls above each other: excerpt, predictions, sample.

    Time steps run from 1 to the right, pitches upward with their names where the columns are
    notes, else columns from 0. The predictions are probabilities on a colour scale from 0 to 1;
    they begin at step 2. A line marks the end of the sample's given frames.
    """
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained")
    above, middle, below = figure.subplots(3, 1, sharex=True, sharey=True)
    first = data.lowest_midi_note or 0
    origin = samples.origin
    source = (
        f"{data.title}, test sequence {origin.sequence}, {len(samples.excerpt)} of "
        f"{origin.sequence_length} steps"
    )
    image = _draw(above, samples.excerpt, first, source)
    title = f"Predictions of it by trial {samples.config_index}, each from what comes before it"
    if len(samples.predictions):
        _draw(middle, samples.predictions, first, title, first_step=2)
    given = plural(origin.n_given, "step")
    _draw(below, samples.sample, first, f"Sample of the trial after {given} of the sequence")
    below.axvline(origin.n_given + 0.5, color=_MARK, linewidth=1.2, linestyle="--")
    below.set_xlabel("time step")
    below.set_xlim(0.5, max(len(samples.excerpt), len(samples.sample)) + 0.5)
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    _label_pitches(above, samples, data)
    for axes in (above, middle, below):
        axes.set_ylabel(_COLUMN[data.kind] if data.lowest_midi_note is None else "pitch")
    colours = figure.colorbar(image, ax=[above, middle, below], shrink=0.35, aspect=25, pad=0.01)
    colours.set_label("probability")
    return figure


def alt(samples: Samples, data: DataDescription) -> str:
    """Return what a reader who cannot see the figure must know, in sentences."""
    excerpt, predictions, sample = samples.excerpt, samples.predictions, samples.sample
    drawn = sample[samples.origin.n_given :]
    sounding = excerpt[1:].astype(bool)
    is_music = data.lowest_midi_note is not None
    ones = "notes" if is_music else _ONES[data.kind]
    present = ones + _PRESENT.get(ones, "")
    rolls = "piano-rolls" if is_music else f"images of {_COLUMN[data.kind]}s"
    parts = [
        f"Three {rolls}. Above, the first {plural(len(excerpt), 'step')} of test sequence "
        f"{samples.origin.sequence} of {data.title}, "
        f"{excerpt.sum(axis=1).mean():.1f} {ones} a step."
    ]
    if sounding.any():
        parts.append(
            "In the middle, the predictions: a mean probability of "
            f"{predictions[sounding].mean():.2f} for the {present} and "
            f"{predictions[~sounding].mean():.3f} for the others."
            if not sounding.all()
            else "In the middle, the predictions."
        )
    if len(drawn):
        parts.append(
            f"Below, a sample: {plural(samples.origin.n_given, 'step')} of the sequence, then "
            f"{len(drawn)} drawn from the model, {drawn.sum(axis=1).mean():.1f} {ones} a step."
        )
    return " ".join(parts)


_COLUMN = {BINARY: "column", CATEGORICAL: "symbol"}
_ONES = {BINARY: "ones", CATEGORICAL: "symbols"}
_PRESENT = {"notes": " that sound", "symbols": " that come"}


def _draw(
    axes: Axes,
    values: npt.NDArray[np.uint8] | npt.NDArray[np.float64],
    first: int,
    title: str,
    first_step: int = 1,
) -> AxesImage:
    n_steps, n_features = values.shape
    left, bottom = first_step - 0.5, first - 0.5
    axes.set_title(title, loc="left", fontsize="medium", parse_math=False)
    return axes.imshow(
        values.T,
        cmap=_COLOURS,
        vmin=0.0,
        vmax=1.0,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(left, left + n_steps, bottom, bottom + n_features),
    )


def _label_pitches(axes: Axes, samples: Samples, data: DataDescription) -> None:
    likely = samples.predictions > _SURE
    used = np.flatnonzero(
        samples.excerpt.any(axis=0) | samples.sample.any(axis=0) | likely.any(axis=0)
    )
    if data.lowest_midi_note is None:
        axes.set_ylim(-0.5, data.n_features - 0.5)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        return
    if not used.size:
        used = np.array([0, data.n_features - 1])
    low, high = int(used[0]) + data.lowest_midi_note, int(used[-1]) + data.lowest_midi_note
    axes.set_ylim(low - 2.5, high + 2.5)
    # C and G of every octave in sight: seven and five semitones apart.
    pitches = [pitch for pitch in range(low - 2, high + 3) if pitch % 12 in (0, 7)]
    axes.set_yticks(pitches, labels=[note_name(pitch) for pitch in pitches])


def note_name(pitch: int) -> str:
    """Return the name of a MIDI note: 60 is C4, 69 is A4."""
    return f"{_NOTES[pitch % 12]}{pitch // 12 - 1}"
