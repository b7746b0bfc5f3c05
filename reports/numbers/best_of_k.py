r"""What fewer draws would have given: the expected test NLL of the best of k trials.

Of the n finished trials, take every subset of size k, select its trial with the lowest
validation NLL, and take that trial's test NLL. The subsets need not be listed: with trials in
order of validation NLL, trial r (from 1) is the best of
:math:`\binom{n-r}{k-1}` of the :math:`\binom{n}{k}` subsets. Each trial is in k / n of the subsets,
so that on average these cost k / n of the worker hours of all n draws.

Under halving both are estimates, exact for k = n alone: among k draws some would continue that
were pruned among n, and nobody knows their test NLL. A subset whose lowest validation NLL is a
pruned trial's has no outcome.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdrnn.search import TrialState

QUANTILES = (0.1, 0.9)
"""Of the selected trial's test NLL over the subsets: the spread that the figure shades."""

LEAST_SHARE = 0.9
"""Share of the subsets that must have an outcome where a figure shows it. Under halving most
subsets have none, unless they have the selected trial."""


def best_of_k(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the test NLL of the best-validation trial of k draws.

    Parameters
    ----------
    trials
        As `fdrnn.search.Study.trials` returns them. Finished and pruned trials count as draws;
        those waiting, running, paused or failed do not. Of equal validation NLL the lower index is
        the better, as in `fdrnn.search.selected_trial`. A finished trial without a finite
        validation or test NLL counts as a draw and loses to every other. Where a pruned one has the
        lowest validation NLL, the subset has no outcome; it never ranks before the study's selected
        trial.

    Returns
    -------
    pandas.DataFrame
        A row per ``k`` from 1 to the number of finished trials: ``mean``, ``deviation`` and the
        quantiles ``low`` and ``high`` (`QUANTILES`) of the outcome over the subsets that have
        one, exactly; ``none``, the share of subsets that have none; and ``hours``, the mean over
        the subsets of the wall time of their trials' epochs. Pooled test NLL in nats per predicted
        step. Empty if no trial has an outcome.
    """
    ended = trials[trials["state"].isin([TrialState.FINISHED, TrialState.PRUNED])]
    pruned = ended["state"] == TrialState.PRUNED
    has_outcome = ~pruned & np.isfinite(ended["valid_nll"]) & np.isfinite(ended["test_nll_pooled"])
    columns = ["k", "mean", "deviation", "low", "high", "none", "hours"]
    if not has_outcome.any():
        return pd.DataFrame(columns=columns)
    # With an earlier plan's rungs a pruned trial may have come lower than the selected one.
    lowest = ended.loc[has_outcome, "valid_nll"].min()
    ranked = ended.assign(pruned=pruned, valid_nll=ended["valid_nll"].clip(lower=lowest))
    ranked = ranked[has_outcome | (pruned & np.isfinite(ended["valid_nll"]))]
    ranked = ranked.sort_values(["valid_nll", "pruned", "config_index"])
    known = ~ranked["pruned"].to_numpy(bool)
    outcome = ranked["test_nll_pooled"].to_numpy(float)[known]
    chances = selection_chances(len(ended), len(ranked))[:, known]
    some = chances.sum(axis=1)
    weights = chances / some[:, None]
    mean = weights @ outcome
    deviation = np.sqrt(np.maximum(weights @ outcome**2 - mean**2, 0.0))
    order = np.argsort(outcome, kind="stable")
    cumulative = np.cumsum(weights[:, order], axis=1)
    # A sum of weights may miss 1 by rounding.
    low, high = (
        outcome[order][np.minimum((cumulative < level - 1e-12).sum(axis=1), len(order) - 1)]
        for level in QUANTILES
    )
    k = np.arange(1, len(ended) + 1)
    hours = k / len(ended) * float(ended["seconds"].sum()) / 3600
    values = (k, mean, deviation, low, high, 1 - some, hours)
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def selection_chances(n_draws: int, n_ranked: int) -> npt.NDArray[np.float64]:
    """Return the chance that the trial of a rank is the best of k draws.

    Parameters
    ----------
    n_draws
        n, trials to draw from.
    n_ranked
        How many of them can be selected, at most n.

    Returns
    -------
    numpy.ndarray
        Shape (n, n_ranked): row k - 1 is for k draws without replacement, column r - 1 for rank
        r; C(n - r, k - 1) / C(n, k).
    """
    k = np.arange(1, n_draws + 1, dtype=float)[:, None]
    rank = np.arange(1, n_ranked, dtype=float)[None, :]
    # From one rank to the next: C(n-r-1, k-1) / C(n-r, k-1) = (n-r-k+1) / (n-r).
    ratios = np.maximum(n_draws - rank - k + 1, 0.0) / (n_draws - rank)
    return np.hstack([k / n_draws, k / n_draws * np.cumprod(ratios, axis=1)])


def draws_to_reach(table: pd.DataFrame, nll: float) -> int | None:
    """Return the least k from which on the expected test NLL is at most `nll`; None if none is."""
    above = np.flatnonzero(~(table["mean"] <= nll))
    first = 0 if not len(above) else int(above[-1]) + 1
    return None if first == len(table) else int(table["k"].iloc[first])


def with_outcome(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `best_of_k` with an outcome of at least `LEAST_SHARE` of the subsets."""
    table = best_of_k(trials)
    # A share may miss its value by rounding.
    return table[table["none"] < 1 - LEAST_SHARE + 1e-12].reset_index(drop=True)
