"""What a study recorded of its gradient's two parts, section 2.2.2, over training."""

from __future__ import annotations

import numpy as np
import pandas as pd

MATRICES = ("W_in", "W_rec", "W_out")
UNITS = ("hidden", "output")
SIGNS = ("negative", "zero", "positive")


def is_recorded(curves: pd.DataFrame) -> bool:
    """Return whether curves have the decomposition that `fdrnn.model.gradients` records."""
    return "regularizer_gradient_norm_W_rec" in curves


def total_norms(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the norms of both parts of the gradient, all weight matrices together.

    Parameters
    ----------
    curves
        Of a study that records the decomposition.

    Returns
    -------
    pandas.DataFrame
        ``config_index``, ``epoch``, ``train_nll``, and the norms ``loss_gradient`` and
        ``regularizer`` with ``ratio``, the second by the first, of the epochs where they are
        known and finite. A matrix whose layer has no variances, W_out with an ordinary final
        layer, is left out of both.
    """
    squares = {
        part: sum(
            curves[f"{part}_norm_{matrix}"].fillna(0.0) ** 2
            for matrix in MATRICES
            if f"{part}_norm_{matrix}" in curves
        )
        for part in ("loss_gradient", "regularizer_gradient")
    }
    table = curves[["config_index", "epoch", "train_nll"]].assign(
        loss_gradient=np.sqrt(squares["loss_gradient"]),
        regularizer=np.sqrt(squares["regularizer_gradient"]),
    )
    known = curves["regularizer_gradient_norm_W_rec"].notna() & (table["loss_gradient"] > 0)
    finite = np.isfinite(table.to_numpy(float)).all(axis=1)
    table["ratio"] = table["regularizer"] / table["loss_gradient"]
    kept: pd.DataFrame = table[known & finite]
    return kept


def rank_correlation(norms: pd.DataFrame, column: str = "loss_gradient") -> float:
    """Return Spearman's rank correlation of the regulariser's norm with a column, over epochs.

    Parameters
    ----------
    norms
        Of one trial, as `total_norms` returns them.
    column
        One of its columns.

    Returns
    -------
    float
        NaN if one of the two is constant.
    """
    pair = norms[[column, "regularizer"]]
    if len(pair) < 2 or (pair.nunique() < 2).any():
        return float("nan")
    # SciPy's costs half a second to import, and says more than this number.
    return float(pair["regularizer"].rank().corr(pair[column].rank()))
