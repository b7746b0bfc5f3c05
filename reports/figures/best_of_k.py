r"""What fewer draws would have given: the expected test NLL of the best of k trials.

Of the n finished trials, take every subset of size k, select its trial with the lowest
validation NLL, and look at that trial's test NLL. The subsets need not be listed: with trials in
order of validation NLL, trial r (from 1) is the best of
:math:`\binom{n-r}{k-1}` of the :math:`\binom{n}{k}` subsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdrnn.model import VARIANTS
from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.search import TrialState

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

QUANTILES = (0.1, 0.9)
"""Of the selected trial's test NLL over the subsets: the spread that the figure shades."""


def best_of_k(trials: pd.DataFrame) -> pd.DataFrame:
    """Compute the test NLL of the best-validation trial of k draws.

    Parameters
    ----------
    trials
        As `fdrnn.search.trials` returns them. Finished trials alone count as draws; those
        waiting, running or failed do not. Of equal validation NLL the lower index is the better,
        as in `fdrnn.search.selected`. A trial without a finite validation NLL, or without a
        finite test NLL, is never the outcome: it counts as a draw and loses to every other.

    Returns
    -------
    pandas.DataFrame
        A row per ``k`` from 1 to the number of finished trials: ``mean``, ``deviation`` and the
        quantiles ``low`` and ``high`` (`QUANTILES`) of the outcome over the subsets that have
        one, exactly; and ``none``, the share of subsets that have none. Pooled test NLL in nats
        per predicted step. Empty if no trial has an outcome.
    """
    finished = trials[trials["state"] == TrialState.FINISHED]
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


@dataclass(frozen=True)
class _Target:
    nll: float
    label: str
    words: str


@dataclass(frozen=True, eq=False)
class _Line:
    label: str
    color: str
    style: str
    table: pd.DataFrame


def figure(evidence: Evidence, plain: Evidence | None = None) -> Figure | None:
    """Return the figure of a study; None if no trial has an outcome.

    Parameters
    ----------
    evidence
        The study.
    plain
        Its plain counterpart, for comparison.
    """
    own = _line(evidence)
    if own.table.empty:
        return None
    counterpart = [] if plain is None else [_line(plain)]
    lines = [own, *(line for line in counterpart if not line.table.empty)]
    target = _target(evidence)
    answer = _answer(evidence, own.table, target)
    return Figure(
        name=f"{evidence.name}-best-of-k",
        title="How many draws does it take",
        caption=(
            f"{answer} Expected pooled test NLL of the trial with the lowest validation NLL among "
            "k of the finished trials: the exact mean over all subsets of size k, and the band "
            "from the 10 % to the 90 % quantile. Near the last k most subsets share their best "
            "trial, so that the band narrows there by construction. Diverged trials count as "
            f"draws; unfinished and failed ones do not.{_bias(evidence)} The axis ends at the "
            "highest mean (of two networks, the lower one's) or at the paper's number; lines and "
            "bands above it are cut off."
        ),
        alt=f"Line plot of the expected test NLL over the number of draws. {answer}",
        draw=lambda: _draw(lines, target),
    )


def _bias(evidence: Evidence) -> str:
    if len(evidence.finished) == len(evidence.trials):
        return ""
    return (
        f" Of {len(evidence.trials)} trials {len(evidence.finished)} have finished, quick ones "
        "first: the curve will change."
    )


def _line(evidence: Evidence) -> _Line:
    plain = evidence.definition.variant == "plain"
    return _Line(
        label=VARIANTS[evidence.definition.variant].title,
        color=style.PLAIN if plain else style.FD,
        style="--" if plain else "-",
        table=best_of_k(evidence.trials),
    )


def _target(evidence: Evidence) -> _Target | None:
    """Return the paper's number for networks of this kind."""
    published = TABLE_1.get(evidence.definition.data)
    if published is None:
        return None
    if evidence.definition.variant == "plain":
        nll = published.plain
        return _Target(nll, "plain, cited by the paper", f"the {nll:.2f} that the paper cites")
    return _Target(published.fd, "paper, FD", f"the paper's {published.fd:.2f}")


def _answer(evidence: Evidence, table: pd.DataFrame, target: _Target | None) -> str:
    n = len(table)
    last = float(table["mean"].iloc[-1])
    draws, gives = ("the 1 draw", "gives") if n == 1 else (f"all {n} draws", "give")
    if target is None:
        return (
            f"{evidence.name}: {draws} {gives} {last:.2f}; the paper has no number for these data."
        )
    k = draws_to_reach(table, target.nll)
    if k is None:
        return f"{evidence.name}: {draws} {gives} a test NLL of {last:.2f}, above {target.words}."
    return (
        f"{evidence.name}: from {k} draw{'s' if k > 1 else ''} on the expected test NLL is at most "
        f"{target.words}; {draws} {gives} {last:.2f}."
    )


def _draw(lines: list[_Line], target: _Target | None) -> Drawing:
    figure, ((axes,),) = style.new_figure()
    for line in lines:
        table = line.table
        axes.fill_between(
            table["k"], table["low"], table["high"], color=line.color, alpha=0.18, linewidth=0
        )
        axes.plot(
            table["k"],
            table["mean"],
            color=line.color,
            linestyle=line.style,
            marker="o" if len(table) == 1 else None,
            label=line.label,
        )
    if target is not None:
        axes.axhline(target.nll, color=style.INK, linestyle=":", linewidth=1.0, label=target.label)
    top = min(float(line.table["mean"].max()) for line in lines)
    low = min(float(line.table["low"].min()) for line in lines)
    values = [low, top] if target is None else [low, top, target.nll]
    margin = 0.06 * (max(values) - min(values)) or 0.1
    axes.set_ylim(min(values) - margin, max(values) + margin)
    axes.set_xlim(1, max(2, *(len(line.table) for line in lines)))
    axes.set_xlabel("draws k")
    axes.set_ylabel("test NLL (nats per step)")
    style.legend_above(axes)
    return figure
