r"""What fewer draws would have given: the expected test NLL of the best of k trials.

Of the n finished trials, take every subset of size k, select its trial with the lowest
validation NLL, and take that trial's test NLL. The subsets need not be listed: with trials in
order of validation NLL, trial r (from 1) is the best of
:math:`\binom{n-r}{k-1}` of the :math:`\binom{n}{k}` subsets.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure as Drawing

from fdrnn.model import VARIANTS
from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.reports.numbers.text import plural
from fdrnn.search import TrialState

QUANTILES = (0.1, 0.9)
"""Of the selected trial's test NLL over the subsets: the spread that the figure shades."""


def best_of_k(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the test NLL of the best-validation trial of k draws.

    Parameters
    ----------
    trials
        As `fdrnn.search.Study.trials` returns them. Finished and pruned trials count as draws;
        those waiting, running, paused or failed do not. Of equal validation NLL the lower index is
        the better, as in `fdrnn.search.selected_trial`. A trial without a finite validation NLL,
        or without a test NLL, as the pruned are, is never the outcome: it counts as a draw and
        loses to every other.

    Returns
    -------
    pandas.DataFrame
        A row per ``k`` from 1 to the number of finished trials: ``mean``, ``deviation`` and the
        quantiles ``low`` and ``high`` (`QUANTILES`) of the outcome over the subsets that have
        one, exactly; and ``none``, the share of subsets that have none. Pooled test NLL in nats
        per predicted step. Empty if no trial has an outcome.
    """
    finished = trials[trials["state"].isin([TrialState.FINISHED, TrialState.PRUNED])]
    has_outcome = np.isfinite(finished["valid_nll"]) & np.isfinite(finished["test_nll_pooled"])
    ranked = finished[has_outcome].sort_values(["valid_nll", "config_index"])
    outcome = ranked["test_nll_pooled"].to_numpy(float)
    columns = ["k", "mean", "deviation", "low", "high", "none"]
    if not len(outcome):
        return pd.DataFrame(columns=columns)
    chances = selection_chances(len(finished), len(outcome))
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
    k = np.arange(1, len(finished) + 1)
    values = (k, mean, deviation, low, high, 1 - some)
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


def figure(evidence: Evidence, plain: Evidence | None = None) -> Figure | None:
    """Return the figure of a study; None if no trial has an outcome.

    The mean of its plain counterpart is drawn beside it.
    """
    own = best_of_k(evidence.trials)
    if own.empty:
        return None
    lines = {evidence.definition.variant: own}
    if plain is not None and len(table := best_of_k(plain.trials)):
        lines["plain"] = table
    is_plain = evidence.definition.variant == "plain"
    target, words = None, ""
    if published := TABLE_1.get(evidence.definition.data):
        target = published.plain if is_plain else published.fd
        words = (
            f"the {target:.2f} that the paper cites" if is_plain else f"the paper's {target:.2f}"
        )
    answer = f"{evidence.name}: {_answer(own, target, words)}"
    bias = ""
    pruned = ""
    if evidence.n_pruned:
        pruned = f" The {evidence.n_pruned} pruned trials count as draws, too, that never win."
    if len(evidence.ranked) < len(evidence.trials):
        bias = (
            f" Of {len(evidence.trials)} trials {len(evidence.finished)} have finished, quick ones "
            "first: the curve will change."
        )
    return Figure(
        name=f"{evidence.name}-best-of-k",
        title="How many draws does it take",
        caption=(
            f"{answer} Expected pooled test NLL of the trial with the lowest validation NLL among "
            "k of the finished trials: the exact mean over all subsets of size k, and the band "
            "from the 10 % to the 90 % quantile. Near the last k most subsets share their best "
            "trial, so that the band narrows there by construction. Diverged trials count as "
            f"draws; unfinished and failed ones do not.{pruned}{bias} The axis ends at the "
            "highest mean (of two networks, the lower one's) or at the paper's number; lines and "
            "bands above it are cut off."
        ),
        alt=f"Line plot of the expected test NLL over the number of draws. {answer}",
        draw=lambda: _draw(lines, target, "plain, cited by the paper" if is_plain else "paper, FD"),
    )


def _answer(table: pd.DataFrame, target: float | None, words: str) -> str:
    n, last = len(table), float(table["mean"].iloc[-1])
    draws = "the 1 draw gives" if n == 1 else f"all {n} draws give"
    if target is None:
        return f"{draws} {last:.2f}."
    k = draws_to_reach(table, target)
    if k is None:
        return f"{draws} a test NLL of {last:.2f}, above {words}."
    expected = f"from {plural(k, 'draw')} on the expected test NLL is at most {words}"
    return f"{expected}; {draws} {last:.2f}."


def _draw(lines: dict[str, pd.DataFrame], target: float | None, label: str) -> Drawing:
    figure, ((axes,),) = style.new_figure()
    for variant, table in lines.items():
        color, line = (style.PLAIN, "--") if variant == "plain" else (style.FD, "-")
        k, mean, low, high = (table[name] for name in ("k", "mean", "low", "high"))
        axes.fill_between(k, low, high, color=color, alpha=0.18, linewidth=0)
        axes.plot(
            k,
            mean,
            color=color,
            linestyle=line,
            marker="o" if len(table) == 1 else None,
            label=VARIANTS[variant].title,
        )
    values = [
        min(float(table["low"].min()) for table in lines.values()),
        min(float(table["mean"].max()) for table in lines.values()),
    ]
    if target is not None:
        axes.axhline(target, color=style.INK, linestyle=":", linewidth=1.0, label=label)
        values.append(target)
    margin = 0.06 * (max(values) - min(values)) or 0.1
    axes.set_ylim(min(values) - margin, max(values) + margin)
    axes.set_xlim(1, max(2, *map(len, lines.values())))
    style.count_axis(axes.xaxis)
    axes.set_xlabel("draws k")
    axes.set_ylabel("test NLL (nats per step)")
    style.legend_above(axes, "network")
    return figure
