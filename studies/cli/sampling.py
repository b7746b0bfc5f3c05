"""``fdrnn sample``: samples of a stored model, kept in the store, as a figure and as MIDI."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from fdrnn.datasets import BINARY, Dataset, load
from fdrnn.datasets.files import write_atomically
from fdrnn.reports.figures import samples as figures
from fdrnn.reports.figures.midi import DEFAULT_STEP_QUARTERS, midi_files
from fdrnn.search import (
    Samples,
    Study,
    default_storage_url,
    keep_samples,
    make_samples,
    open_store,
    stored_model,
)
from fdrnn.search.machine import limit_blas_threads
from fdrnn.studies.errors import OptionError

_DPI = 150


@dataclass(frozen=True)
class SampleRequest:
    """What a user wants to see and hear of a model.

    Attributes
    ----------
    trial
        Index of the trial; None for the one with the lowest validation NLL.
    sequence
        Index of the test sequence.
    steps
        Frames of the excerpt and of the sample.
    given
        Frames of the excerpt with which the sample begins.
    seed
        Of the draws.

    Raises
    ------
    OptionError
        If a number is out of its range, as far as that is known without the data.
    """

    trial: int | None
    sequence: int
    steps: int
    given: int
    seed: int

    def __post_init__(self) -> None:
        for option, value, least in (
            ("--steps", self.steps, 1),
            ("--given", self.given, 1),
            ("--seed", self.seed, 0),
        ):
            if value < least:
                raise OptionError(f"{option} must be at least {least}, got {value}")
        if self.given >= self.steps:
            raise OptionError(
                f"--given must be less than --steps ({self.steps}), got {self.given}: a sample "
                "goes on after the given steps"
            )


def sample_study(
    study: str, request: SampleRequest, storage: str | None, data_dir: Path | None, output: Path
) -> None:
    """Compute samples of a stored model, keep them with its trial, and write their files.

    Parameters
    ----------
    study
        Name of the study in the store.
    request
        What to compute.
    storage
        URL of the store; None for the default.
    data_dir
        Folder with data files; None where they are cached or fetched.
    output
        Folder of the files.
    """
    store = open_store(storage or default_storage_url())
    model = stored_model(store, study, request.trial)
    dataset = load(model.study.definition.data, data_dir, progress=sys.stderr.isatty())
    _require_sequence(dataset, request)
    # As a worker has it unless told otherwise, so that the last bits are those of the test NLL.
    limit_blas_threads(1)
    samples = make_samples(
        model,
        dataset,
        sequence=request.sequence,
        n_steps=request.steps,
        n_given=request.given,
        seed=request.seed,
    )
    keep_samples(store, study, samples)
    _say(
        f"study {study}, trial {samples.config_index}: excerpt and predictions of test sequence "
        f"{request.sequence} ({len(samples.excerpt)} of {samples.origin.sequence_length} steps), "
        f"sample of {len(samples.sample)} steps after {samples.origin.n_given} given, seed "
        f"{request.seed}; kept in store {store.database.shown}"
    )
    for path in write_music(output, model.study, samples):
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
    drawn = io.BytesIO()
    figures.draw(samples, study.data).savefig(drawn, format="png", dpi=_DPI)
    files = {f"{stem}-music.png": drawn.getvalue()}
    heard = {f"{stem}-{name}.mid": content for name, content in midi_files(samples, study.data)}
    files |= heard
    if heard and samples.origin.step_quarters is None:
        _say(
            f"{study.data.title} does not say how long a step is: its MIDI files take "
            f"{DEFAULT_STEP_QUARTERS} of a quarter note; the key step_quarters of a .npz or "
            ".mat file says it"
        )
    elif not heard and study.data.kind == BINARY:
        _say(
            f"no MIDI files: the columns of {study.data.title} are not MIDI notes up to 127; the "
            "key lowest_midi_note of a .npz or .mat file says which notes they are"
        )
    for name, content in files.items():
        write_atomically(folder / name, content, way_out="name another folder with --output")
    return [folder / name for name in files]


def _require_sequence(dataset: Dataset, request: SampleRequest) -> None:
    sequence = request.sequence
    n_sequences = len(dataset.test)
    if not 0 <= sequence < n_sequences:
        raise OptionError(
            f"--sequence must be in 0 .. {n_sequences - 1} for the test split, got {sequence}"
        )
    length = len(dataset.test[sequence])
    if request.given > length:
        raise OptionError(
            f"--given must be at most {length}, the steps of test sequence {sequence}, got "
            f"{request.given}"
        )


def _say(line: str) -> None:
    typer.echo(line, err=True)
