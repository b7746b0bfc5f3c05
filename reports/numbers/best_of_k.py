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

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdrnn.search import TrialState

QUANTILES = (0.1, 0.9)
"""Of the selected trial's test NLL over the subsets: the spread that the figure shades."""

LEAST_SHARE = 0.9
"""Share of the subsets that must have an outcome where a figure shows it. Under halving most
subsets have none, unless they have the selected trial."""

_MOST_SIZES = 500


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
        A row per ``k`` from 1 to the number of draws, or for 500 of them where there are more, the
        last among them: ``mean``, ``deviation`` and the quantiles ``low`` and ``high``
        (`QUANTILES`) of the outcome over the subsets that have one, exactly; ``none``, the share
        of subsets that have none; and ``hours``, the mean over the subsets of the wall time of
        their trials' epochs. Pooled test NLL in nats per predicted step. Empty if no trial has an
        outcome.
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
    order = np.argsort(outcome, kind="stable")
    n, seconds = len(ended), float(ended["seconds"].sum())

    def numbers(k: int) -> tuple[float, ...]:
        chances = selection_chances(k, n, len(ranked))[known]
        # Exact sums: those of NumPy have other last bits on other CPUs.
        some = math.fsum(chances)
        weights = chances / some
        mean = math.fsum(weights * outcome)
        deviation = math.sqrt(max(math.fsum(weights * outcome**2) - mean**2, 0.0))
        cumulative = np.cumsum(weights[order])
        # A sum of weights may miss 1 by rounding.
        low, high = (
            outcome[order][min((cumulative < level - 1e-12).sum(), len(order) - 1)]
            for level in QUANTILES
        )
        return k, mean, deviation, low, high, 1 - some, k / n * seconds / 3600

    table = pd.DataFrame([numbers(k) for k in _sizes(n)], columns=columns)
    return table.astype({"k": "int64"})


def _sizes(n: int) -> list[int]:
    """Return the sizes k of subsets: the first ones, where curves are steep, then evenly to n."""
    if n <= _MOST_SIZES:
        return list(range(1, n + 1))
    half = _MOST_SIZES // 2
    return [*range(1, half + 1), *np.linspace(half, n, half + 1).round().astype(int).tolist()[1:]]


def selection_chances(k: int, n_draws: int, n_ranked: int) -> npt.NDArray[np.float64]:
    """Return the chance that the trial of a rank is the best of k draws.

    Parameters
    ----------
    k
        Draws, without replacement.
    n_draws
        n, trials to draw from.
    n_ranked
        How many of them can be selected, at most n.

    Returns
    -------
    numpy.ndarray
        Shape (n_ranked,): entry r - 1 is for rank r; C(n - r, k - 1) / C(n, k).
    """
    rank = np.arange(1, n_ranked, dtype=float)
    # From one rank to the next: C(n-r-1, k-1) / C(n-r, k-1) = (n-r-k+1) / (n-r).
    ratios = np.maximum(n_draws - rank - k + 1, 0.0) / (n_draws - rank)
    chances: npt.NDArray[np.float64] = k / n_draws * np.concatenate([[1.0], np.cumprod(ratios)])
    return chances


def draws_to_reach(table: pd.DataFrame, nll: float) -> int | None:
    """Return the least k from which on the expected test NLL is at most `nll`; None if none is.

    Of the sizes in the table, which has not all of many draws.
    """
    above = np.flatnonzero(~(table["mean"] <= nll))
    first = 0 if not len(above) else int(above[-1]) + 1
    return None if first == len(table) else int(table["k"].iloc[first])


def with_outcome(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `best_of_k` with an outcome of at least `LEAST_SHARE` of the subsets."""
    table = best_of_k(trials)
    # A share may miss its value by rounding.
    return table[table["none"] < 1 - LEAST_SHARE + 1e-12].reset_index(drop=True)
