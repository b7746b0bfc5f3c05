"""Which hyperparameters decide whether a trial is among the best, and how sure that is.

Conditional PED-ANOVA (Kawai and Watanabe 2026, arXiv:2601.20800), as Optuna has it, compares how a
hyperparameter is distributed among the best trials with its distribution among all: the larger the
divergence, the more it matters for being among the best. It needs the order of the trials alone, so
that a trial without a finite NLL counts as what it is, the worst. Optuna evaluates one ranking at a
time, in milliseconds, and takes most of a report's time for the hundreds needed here; the functions
below evaluate all of them at once, and the tests compare them with Optuna's.

With 32 trials the best are 8, and some divergence occurs by chance. Two things show how much:
a bootstrap over trials (the interval), and the ranking with the trials' order shuffled (the chance
level). A hyperparameter of few values never has as large a share as one of many, so that shares
are compared in standard deviations above their mean over shuffles; the chance level is the 95 %
quantile of the largest of any hyperparameter (the max-T procedure of Westfall and Young 1993,
*Resampling-Based Multiple Testing*): where none matters, one passes it in one study of twenty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import having, part_index
from fdrnn.search import Choices
from fdrnn.search.design.distributions import IntRange
from fdrnn.search.design.space import Parameter

TARGET_QUANTILE = 0.25
"""Share of trials that are "the best"."""

SEED = 2013
_MOST_REPETITIONS = 50
_LEAST_REPETITIONS = 10
_TRIALS_IN_ALL = 3200
_MOST_SHUFFLES = 200
_LEAST_SHUFFLES = 40
_SHUFFLED_IN_ALL = 12_800
LEAST_TRIALS = 8
"""Below so many finished trials the best are too few to compare with the rest."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MOST_CELLS = 50
_LEAST_OF_REGIME = 2
_LEAST_DEVIATION = 0.5 / 1.64


def n_repetitions(n_trials: int) -> int:
    """Return how often to resample: less often for many trials, which vary less."""
    return max(_LEAST_REPETITIONS, min(_MOST_REPETITIONS, _TRIALS_IN_ALL // n_trials))


def n_shuffles(n_trials: int) -> int:
    """Return how often to shuffle: less often for many trials, of which each takes longer."""
    return max(_LEAST_SHUFFLES, min(_MOST_SHUFFLES, _SHUFFLED_IN_ALL // n_trials))


def importance(evidence: Evidence) -> pd.DataFrame | None:
    """Rank a study's hyperparameters.

    Parameters
    ----------
    evidence
        The study. Its finished and pruned trials are ordered by validation NLL; those without a
        finite one come last.

    Returns
    -------
    pandas.DataFrame or None
        Most important first: ``parameter``; ``importance``, its share of the sum over
        parameters; ``low`` and ``high``, the 5 % and 95 % quantile over bootstrap samples of the
        trials; ``chance``, the level that the share of any hyperparameter passes in 5 % of
        shuffles, at most 1, which no share passes. One that no trial has drawn has a share of 0.
        None with fewer than `LEAST_TRIALS` such trials or where none of them has a finite
        validation NLL.
    """
    if len(evidence.ranked) < LEAST_TRIALS or evidence.selected is None:
        return None
    axes, order = _axes(evidence), _order(evidence)
    random = np.random.default_rng(SEED)
    n = len(order)
    drawn = np.array([random.integers(n, size=n) for _ in range(n_repetitions(n))])
    every = np.arange(n)[None, :]
    low, high = np.quantile(_shares(axes, drawn, order[drawn]), [0.05, 0.95], axis=0)
    shuffled = np.array([random.permutation(order) for _ in range(n_shuffles(n))])
    table = pd.DataFrame(
        {
            "parameter": evidence.space.names,
            "importance": _shares(axes, every, order[every])[0],
            "low": low,
            "high": high,
            "chance": _chance(_shares(axes, np.repeat(every, len(shuffled), axis=0), shuffled)),
        }
    )
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _chance(shuffled: Floats) -> Floats:
    mean, deviation = shuffled.mean(axis=0), shuffled.std(axis=0)
    # A hyperparameter of a single value has no share, ever.
    largest = ((shuffled - mean) / np.where(deviation > 0, deviation, 1.0)).max(axis=1)
    # Where few hyperparameters share the sum, the level would be above the largest share possible.
    chance: Floats = np.minimum(mean + np.quantile(largest, 0.95) * deviation, 1.0)
    return chance


def shares(evidence: Evidence) -> dict[str, float]:
    """Return only the importance of each hyperparameter, as `importance` has it."""
    order = _order(evidence)
    of_axes = _shares(_axes(evidence), np.arange(len(order))[None, :], order[None, :])[0]
    return dict(zip(evidence.space.names, of_axes.tolist(), strict=True))


def _order(evidence: Evidence) -> Floats:
    ranks = evidence.ranked["valid_nll"].rank(method="first", na_option="bottom")
    return ranks.to_numpy(float)


@dataclass(frozen=True, eq=False)
class _Axis:
    """A hyperparameter's values in the cells of a grid.

    Attributes
    ----------
    cells
        The cell of each trial's value, shape (n_trials,); -1 where the trial has no value.
    size
        Number of cells.
    is_ordered
        Whether neighbouring cells have similar values.
    """

    cells: Integers
    size: int
    is_ordered: bool


def _axes(evidence: Evidence) -> list[_Axis]:
    return [_axis(evidence.ranked, parameter) for parameter in evidence.space.parameters]


def _axis(trials: pd.DataFrame, parameter: Parameter) -> _Axis:
    distribution = parameter.distribution
    drawn = having(trials, parameter)
    cells = np.full(len(trials), -1, np.int64)
    having_it = trials.index.isin(drawn.index)
    if isinstance(distribution, Choices):
        cells[having_it] = [part_index(parameter, value) for value in drawn[parameter.name]]
        return _Axis(cells, len(distribution.values), is_ordered=False)
    low, high, values = distribution.low, distribution.high, drawn[parameter.name].to_numpy(float)
    if isinstance(distribution, IntRange) and distribution.log:
        size = math.ceil(math.log(high - low + 1) / math.log(2)) + 1
    else:
        size = round((high - low) / distribution.step) + 1 if distribution.step else _MOST_CELLS
    size = min(size, _MOST_CELLS)
    if distribution.log:
        low, high, values = math.log(low), math.log(high), np.log(values)
    positions = np.ceil((values - low) / (high - low) * (size - 1) - 0.5)
    cells[having_it] = np.clip(positions, 0, size - 1).astype(np.int64)
    return _Axis(cells, size, is_ordered=True)


def _shares(axes: Sequence[_Axis], samples: Integers, order: Floats) -> Floats:
    """Return the importance of each axis as a share of their sum, for several samples of trials.

    `samples` are positions of trials and `order` their order, the lowest being the best; both of
    shape (n_samples, n_trials). The result has the shape (n_samples, n_axes).
    """
    n_best = math.ceil(TARGET_QUANTILE * order.shape[1])
    best = order <= np.partition(order, n_best - 1, axis=1)[:, n_best - 1, None]
    importances = np.stack([_importance(axis, samples, best) for axis in axes], axis=1)
    total = importances.sum(axis=1, keepdims=True)
    shares: Floats = importances / np.where(total > 0, total, 1.0)
    return shares


def _importance(axis: _Axis, samples: Integers, best: npt.NDArray[np.bool_]) -> Floats:
    """Return an axis's importance in each sample, but for a factor that all axes share."""
    cells = axis.cells[samples]
    among_all, among_best = _counts(axis, cells, cells >= 0), _counts(axis, cells, best)
    n_all, n_best = among_all.sum(axis=1), among_best.sum(axis=1)
    density = _ordered_density if axis.is_ordered else _choices_density
    whole, part = density(among_all) + 1e-12, density(among_best) + 1e-12
    divergence = (whole * (part / whole - 1) ** 2).sum(axis=1)
    known = (n_all >= _LEAST_OF_REGIME) & (n_best > 0) & (axis.size > 1)
    weight = (n_best / best.sum(axis=1)) ** 2 / (np.maximum(n_all, 1) / samples.shape[1])
    return np.where(known, weight * divergence, 0.0)


def _counts(axis: _Axis, cells: Integers, kept: npt.NDArray[np.bool_]) -> Integers:
    """Return how many of the kept trials of each sample are in each cell."""
    rows = np.arange(len(cells))[:, None] * axis.size
    places = (rows + cells)[kept & (cells >= 0)]
    return np.bincount(places, minlength=len(cells) * axis.size).reshape(-1, axis.size)


def _choices_density(counts: Integers) -> Floats:
    """Return Optuna's Parzen estimate over choices, from counts of shape (n_samples, n_choices).

    A kernel for each choice that occurs, weighted by its count, and a flat one of weight 1.
    """
    total, size = counts.sum(axis=1, keepdims=True), counts.shape[1]
    n_kernels = (counts > 0).sum(axis=1, keepdims=True) + 1
    kernels = (total / n_kernels + counts) / (size / n_kernels + 1)
    density: Floats = (kernels + 1 / size) / (total + 1)
    return density


def _ordered_density(counts: Integers) -> Floats:
    """Return Optuna's Parzen estimate over a grid, from counts of shape (n_samples, n_cells).

    Normal kernels cut off at the grid's ends, of Scott's width, and a flat one of weight 1.
    """
    size = counts.shape[1]
    total, cells = counts.sum(axis=1), np.arange(size)
    n = np.maximum(total, 1)
    mean = counts @ cells / n
    squares = (counts * (cells - mean[:, None]) ** 2).sum(axis=1)
    deviation = np.sqrt(squares / np.maximum(total - 1, 1))
    ends = np.array([_quartiles(one) for one in counts])
    spread = np.minimum((ends[:, 1] - ends[:, 0]) / 1.34, deviation)
    width = np.maximum(1.059 * spread * n**-0.2, _LEAST_DEVIATION)
    # The distribution function at every distance of an edge of a cell from a kernel's centre.
    edges = ndtr((np.arange(-size, size) + 0.5) / width[:, None])
    at = np.arange(size + 1) - 1 - cells[:, None] + size
    kernels = np.diff(edges[:, at], axis=2)
    kernels /= kernels.sum(axis=2, keepdims=True)
    flat = np.diff(ndtr((np.arange(size + 1) - size / 2) / size))
    weighted = np.einsum("rk,rkc->rc", counts.astype(float), kernels)
    density: Floats = (weighted + flat / flat.sum()) / (total[:, None] + 1)
    return density


def _quartiles(counts: Integers) -> tuple[int, int]:
    """Return the cells of the quartiles as Optuna takes them."""
    occupied = np.flatnonzero(counts)
    if not len(occupied):
        return 0, 0
    cumulative = np.cumsum(counts[occupied])
    first = np.searchsorted(cumulative, cumulative[-1] // 4, side="left")
    third = np.searchsorted(cumulative, cumulative[-1] * 3 // 4, side="right")
    return int(occupied[first]), int(occupied[min(len(occupied) - 1, third)])
