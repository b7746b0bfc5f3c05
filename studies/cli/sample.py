"""``fdrnn sample``: samples of a stored model, kept in the store, as a figure and as MIDI."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from fdrnn.datasets import BINARY, Dataset, load
from fdrnn.datasets.files import write_atomically
from fdrnn.reports.figures import samples as figures
from fdrnn.reports.figures.midi import DEFAULT_STEP_QUARTERS, midi_files
from fdrnn.search import (
    Samples,
    Study,
    make_samples,
    open_store,
    stored_model,
)
from fdrnn.search.machine import limit_threads
from fdrnn.studies.cli.options import (
    DataDir,
    Output,
    Storage,
    StoredStudy,
    Trial,
    commands,
    number,
)
from fdrnn.studies.cli.readable import stored_names
from fdrnn.studies.errors import OptionError

_DPI = 150

app = commands()


@app.command()
def sample(
    study: StoredStudy,
    trial: Trial,
    sequence: Annotated[
        int,
        number(least=0, default=0, metavar="I", help="Test sequence of the excerpt, from 0."),
    ],
    steps: Annotated[int, number(least=1, default=64, help="Steps of excerpt and sample.")],
    given: Annotated[
        int, number(least=1, default=8, help="Steps of the excerpt that the sample starts with.")
    ],
    seed: Annotated[int, number(least=0, default=0, metavar="S", help="Seed of the sample.")],
    storage: Storage,
    data_dir: DataDir,
    output: Output,
) -> None:
    """Draw music from a stored model; show its predictions of a test sequence.

    Writes piano-rolls of an excerpt, of the model's one-step predictions of it and of a sample
    as PNG, and excerpt and sample as MIDI where they are notes. Real values are drawn as lines,
    their predictions in a band of two standard deviations. The store keeps all three, instead of
    earlier ones of the trial, for reports.

    For example:

        fdrnn sample jsb

        fdrnn sample jsb --trial 5 --sequence 12 --steps 100 --seed 3
    """
    if given >= steps:
        raise OptionError(
            f"--given must be less than --steps ({steps}), got {given}: a sample continues after "
            "the given steps"
        )
    store = open_store(storage)
    (study,) = stored_names(store, [study])
    model = stored_model(store.study(study), trial)
    dataset = load(model.study.definition.data, data_dir, progress=sys.stderr.isatty())
    _require_sequence(dataset, sequence, given)
    # As a worker's default, so that the last bits are those of the test NLL.
    limit_threads(1)
    samples = make_samples(
        model, dataset, sequence=sequence, n_steps=steps, n_given=given, seed=seed
    )
    paths = write_music(output, model.study, samples)
    model.study.keep_samples(samples)
    typer.echo(
        f"study {study}, trial {samples.config_index}: excerpt and predictions of test sequence "
        f"{sequence} ({len(samples.excerpt)} of {samples.origin.sequence_length} steps), sample "
        f"of {len(samples.sample)} steps after {samples.origin.n_given} given, seed {seed}; kept "
        f"in store {store.shown}",
        err=True,
    )
    for path in paths:
        typer.echo(path)


def write_music(folder: Path, study: Study, samples: Samples) -> list[Path]:
    """Write the figure of samples as PNG, and excerpt and sample as MIDI where they are notes.

    Parameters
    ----------
    folder
        Made where it is missing; files of the same study and trial are replaced.
    study
        The study.
    samples
        Of one of its trials.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    FileError
        If the folder or a file cannot be written.
    """
    stem = f"{study.definition.name}-trial-{samples.config_index}"
    drawing = io.BytesIO()
    figures.draw(samples, study.data).savefig(drawing, format="png", dpi=_DPI)
    midi = {f"{stem}-{name}.mid": content for name, content in midi_files(samples, study.data)}
    if midi and samples.origin.step_quarters is None:
        typer.echo(
            f"{study.data.title} does not say how long a step is: its MIDI files take "
            f"{DEFAULT_STEP_QUARTERS} of a quarter note; the key step_quarters of a .npz or "
            ".mat file says it",
            err=True,
        )
    elif not midi and study.data.kind == BINARY:
        typer.echo(
            f"no MIDI files: the columns of {study.data.title} are not MIDI notes up to 127; the "
            "key lowest_midi_note of a .npz or .mat file says which notes they are",
            err=True,
        )
    files = {f"{stem}-music.png": drawing.getvalue(), **midi}
    for name, content in files.items():
        write_atomically(folder / name, content, way_out="name another folder with --output")
    return [folder / name for name in files]


def _require_sequence(dataset: Dataset, sequence: int, given: int) -> None:
    if sequence >= len(dataset.test):
        raise OptionError(
            f"--sequence must be at most {len(dataset.test) - 1} for the test split, got {sequence}"
        )
    length = len(dataset.test[sequence])
    if given > length:
        raise OptionError(
            f"--given must be at most {length}, the steps of test sequence {sequence}, got {given}"
        )
