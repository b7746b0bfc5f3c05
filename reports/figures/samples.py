"""A study's samples in a report: what `fdrnn sample` stored with the selected trial."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from matplotlib.figure import Figure as Drawing

from fdrnn.datasets import REAL, DataDescription
from fdrnn.reports.artefacts import Artefact, Attachment, Figure
from fdrnn.reports.figures import piano_rolls, series
from fdrnn.reports.figures.midi import midi_files
from fdrnn.search import Samples


def draw(samples: Samples, data: DataDescription) -> Drawing:
    """Draw samples: real values as lines, columns of 0 and 1 as piano-rolls."""
    drawing: Drawing = _module(data).draw(samples, data)
    return drawing


def artefacts(
    study: str, samples: Samples, data: DataDescription, output: str
) -> Iterator[Artefact]:
    """Yield the figure of samples, and excerpt and sample as MIDI where the columns are notes.

    `samples` are of the study's selected trial, `data` describes its data, and `output` is the
    name of its networks' output.
    """
    origin, is_real = samples.origin, data.kind == REAL
    expected = "probabilities"
    # A NADE has no other probabilities in closed form.
    columns = (
        ", of each column given the step's columns before it too," if output == "nade" else ","
    )
    if is_real:
        band = samples.deviations is not None
        expected = f"expected values{' and bands of two standard deviations' if band else ''}"
    drawn = ""
    if is_real and data.n_features > series.MOST_COLUMNS:
        drawn = f" The first {series.MOST_COLUMNS} of {data.n_features} columns are drawn."
    yield Figure(
        name=f"{study}-music",
        title="Sample" if data.lowest_midi_note is None else "Music",
        caption=(
            f"An excerpt of test sequence {origin.sequence} (counted from 0), the {expected} that "
            f"trial {samples.config_index} predicts for each of its steps from those before"
            f"{columns} and a sample of the trial: {origin.n_given} given steps, up to the dashed "
            f"line, then draws with seed {origin.seed}.{drawn} Made by fdrnn {origin.code_version}."
        ),
        alt=_module(data).alt(samples, data),
        draw=lambda: draw(samples, data),
    )
    for name, content in midi_files(samples, data):
        yield Attachment(
            name=f"{study}-{name}.mid", title=f"MIDI file of the {name}", content=content
        )


def _module(data: DataDescription) -> ModuleType:
    return series if data.kind == REAL else piano_rolls
