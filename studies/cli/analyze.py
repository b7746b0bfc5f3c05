"""``fdrnn analyze``: the decomposition of a stored model's gradient, printed and as CSV."""

from __future__ import annotations

import numpy as np
import pandas as pd
import typer

from fdrnn.datasets.files import write_atomically
from fdrnn.search import Analysis, open_store
from fdrnn.search import analyze as analyze_model
from fdrnn.search.machine import limit_threads
from fdrnn.studies.cli.options import DataDir, Output, Storage, StoredStudy, Trial, commands
from fdrnn.studies.cli.readable import stored_names
from fdrnn.studies.cli.tables import print_table

_HEADER = ("weights", "units", "ratio", "delta < 0", "delta = 0", "delta > 0", "error")
_LEGEND = """\
ratio: norm of the regulariser's gradient divided by that of the training loss's
delta: shares of steps and units, by the sign of the loss's derivative with
       respect to the variance of a unit's pre-synaptic activation
error: of the sum of both gradients, relative to back-propagation's"""

app = commands()


@app.command()
def analyze(
    study: StoredStudy, trial: Trial, storage: Storage, data_dir: DataDir, output: Output
) -> None:
    """Split a model's gradient into training loss and regulariser.

    These are the two parts of section 2.2.2 of the paper. For each weight matrix of a finished
    trial (at its best epoch) or a running one (at its last checkpoint), on the first minibatch of
    the training set: the ratio of their norms, the signs of delta = dJ/dV[a], and whether they add
    up. Numbers per unit are written to a CSV file.

    For example:

        fdrnn analyze jsb

        fdrnn analyze jsb --trial 5
    """
    limit_threads(1)
    store = open_store(storage)
    (study,) = stored_names(store, [study])
    analysis = analyze_model(store.study(study), trial, data_dir)
    typer.echo(f"study {study}, trial {analysis.config_index}, after epoch {analysis.epoch}")
    rows = [
        (
            layer.name,
            str(layer.weights.shape[1]),
            f"{layer.norm_ratio:.3g}",
            *(f"{share:.1%}" for share in layer.shares),
            f"{layer.residual:.0e}",
        )
        for layer in analysis.layers
    ]
    print_table(_HEADER, rows, n_text=1)
    typer.echo(_LEGEND)
    name = f"{study}-trial-{analysis.config_index}-decomposition.csv"
    content = units(analysis).to_csv(index=False).encode()
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
