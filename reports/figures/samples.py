"""A study's samples in a report: what `fdrnn sample` kept with the selected trial."""

from __future__ import annotations

from collections.abc import Iterator

from fdrnn.datasets import REAL
from fdrnn.reports.artefacts import Artefact, Attachment, Figure
from fdrnn.reports.figures.midi import midi_files
from fdrnn.reports.figures.piano_rolls import music_alt, music_figure
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.series import series_alt, series_figure
from fdrnn.search import Samples


def music(evidence: Evidence, samples: Samples) -> Iterator[Artefact]:
    """Yield the figure of samples, and excerpt and sample as MIDI where the columns are notes.

    Parameters
    ----------
    evidence
        The study.
    samples
        Of its selected trial.
    """
    data, origin = evidence.stored.data, samples.origin
    is_real = data.kind == REAL
    draw, alt = (series_figure, series_alt) if is_real else (music_figure, music_alt)
    expected = "expected values" if is_real else "probabilities"
    yield Figure(
        name=f"{evidence.name}-music",
        title="Sample" if is_real else "Music",
        caption=(
            f"An excerpt of test sequence {origin.sequence} (from 0), the {expected} that trial "
            f"{samples.config_index} predicts for each of its steps from those before, and a "
            f"sample of the trial: {origin.n_given} given steps, up to the dashed line, then "
            f"draws with seed {origin.seed}. Made by fdrnn {origin.code_version}."
        ),
        alt=alt(samples, data),
        draw=lambda: draw(samples, data),
        formats=("svg", "pdf", "png"),
    )
    for name, content in midi_files(samples, data):
        yield Attachment(
            name=f"{evidence.name}-{name}.mid", title=f"MIDI file of the {name}", content=content
        )
