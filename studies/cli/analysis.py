"""``fdrnn analyze``: the decomposition of a stored model's gradient, on the terminal and as CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import typer

from fdrnn.datasets.files import write_atomically
from fdrnn.search import Analysis, analyze, default_storage_url, open_store
from fdrnn.search.machine import limit_blas_threads
from fdrnn.studies.cli.tables import print_table

_HEADER = ("weights", "units", "ratio", "delta < 0", "delta = 0", "delta > 0", "error")
_LEGEND = """\
ratio: norm of the regulariser's gradient by that of the training loss's
delta: shares of steps and units, by the sign of the loss's derivative with
       respect to the variance of a unit's pre-synaptic activation
error: of the sum of both gradients, beside back-propagation's"""


def analyze_study(
    study: str, trial: int | None, storage: str | None, data_dir: Path | None, output: Path
) -> None:
    """Print the decomposition of a trial's gradient and write its numbers per unit.

    Parameters
    ----------
    study
        Name of the study in the store.
    trial
        Index of the trial; None for the one with the lowest validation NLL.
    storage
        URL of the store; None for the default.
    data_dir
        Folder with data files; None where they are cached or fetched.
    output
        Folder of the CSV file.
    """
    limit_blas_threads(1)
    found = analyze(open_store(storage or default_storage_url()), study, trial, data_dir)
    typer.echo(f"study {study}, trial {found.config_index}, after epoch {found.epoch}")
    rows = [
        (
            layer.name,
            str(layer.weights.shape[1]),
            f"{layer.norm_ratio:.3g}",
            *(f"{share:.1%}" for share in layer.shares),
            f"{layer.residual:.0e}",
        )
        for layer in found.layers
    ]
    print_table(_HEADER, rows, n_text=1)
    typer.echo(_LEGEND)
    name = f"{study}-trial-{found.config_index}-decomposition.csv"
    content = units(found).to_csv(index=False).encode()
    write_atomically(output / name, content, way_out="name another folder with --output")
    typer.echo(f"Written: {output / name}", err=True)


def units(analysis: Analysis) -> pd.DataFrame:
    """Return the decomposition per unit.

    Returns
    -------
    pandas.DataFrame
        One row for each unit and matrix of incoming weights: ``weights``, ``unit``; the sum of
        delta over rows and the shares of rows by its sign; the sum of eta over rows and incoming
        weights; the norms over the incoming weights of the training loss's gradient, the
        regulariser's and the full one.
    """
    tables = []
    for layer in analysis.layers:
        sign = np.sign(layer.delta)
        tables.append(
            pd.DataFrame(
                {
                    "weights": layer.name,
                    "unit": np.arange(layer.weights.shape[1]),
                    "delta_sum": layer.delta.sum(axis=0),
                    "delta_negative": (sign < 0).mean(axis=0),
                    "delta_zero": (sign == 0).mean(axis=0),
                    "delta_positive": (sign > 0).mean(axis=0),
                    "eta_sum": layer.eta.sum(axis=0),
                    "loss_gradient_norm": np.linalg.norm(layer.loss_gradient, axis=0),
                    "regularizer_gradient_norm": np.linalg.norm(layer.regularizer_gradient, axis=0),
                    "full_gradient_norm": np.linalg.norm(layer.full_gradient, axis=0),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
