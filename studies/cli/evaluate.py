"""``fdrnn evaluate``: the NLL of a stored model on other data."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fdrnn.datasets import REAL, SPLITS, load
from fdrnn.model.results import pooled_nll, sequence_mean_nll
from fdrnn.reports.numbers.text import plural
from fdrnn.search import evaluate as evaluate_model
from fdrnn.search import open_store, stored_model
from fdrnn.search.machine import limit_threads
from fdrnn.studies.cli.options import DataDir, Storage, StoredStudy, Trial, commands, option
from fdrnn.studies.cli.readable import stored_names
from fdrnn.studies.errors import OptionError

app = commands()


@app.command()
def evaluate(
    study: StoredStudy,
    data: Annotated[
        str,
        typer.Option(
            metavar="DATA",
            help="A known data set, or the path of a data file; its kind and columns must be those "
            "of the study's data.",
        ),
    ],
    split: Annotated[str, option(default="test", help="Split that is scored.")],
    trial: Trial,
    storage: Storage,
    data_dir: DataDir,
) -> None:
    """Score a stored model on other data of the same kind.

    Scores whole sequences and prints the NLL in nats per predicted step, over all steps and as the
    mean over sequences. Real values are standardised as in training, and the NLL is in the units of
    the file. Nothing is stored.

    For example:

        fdrnn evaluate jsb --data mine.npz

        fdrnn evaluate jsb --data nottingham --split valid
    """
    if split not in SPLITS:
        raise OptionError(f"--split must be one of {', '.join(SPLITS)}, got {split!r}")
    limit_threads(1)
    store = open_store(storage)
    (study,) = stored_names(store, [study])
    model = stored_model(store.study(study), trial)
    dataset = load(data, data_dir, progress=sys.stderr.isatty())
    own = load(model.study.definition.data, data_dir) if dataset.kind == REAL else None
    sums, steps = evaluate_model(model, dataset, split, own)
    typer.echo(
        f"study {study}, trial {model.config_index}, on the {split} split of {dataset.title} "
        f"({plural(len(steps), 'sequence')}, {steps.sum():,} predicted steps)"
    )
    typer.echo(f"NLL, nats per predicted step: {pooled_nll(sums, steps):.4f}")
    typer.echo(f"mean over sequences:          {sequence_mean_nll(sums, steps):.4f}")
