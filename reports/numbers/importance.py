"""Which hyperparameters decide whether a trial is among the best, and how sure that is.

Optuna's conditional PED-ANOVA compares how a hyperparameter is distributed among the best trials
with its distribution among all: the larger the divergence, the more it matters for being among
the best. It needs the order of the trials alone, so that a trial without a finite NLL counts as
what it is, the worst; fANOVA, the other evaluator, would leave such trials out and needs one more
library.

With 32 trials the best are 8, and some divergence occurs by chance. Two things show how much:
a bootstrap over trials (the interval), and the ranking with the trials' order shuffled (the chance
level). A hyperparameter of few values never has as large a share as one of many, so that shares
are compared in standard deviations above their mean over shuffles; the chance level is the 95 %
quantile of the largest of any hyperparameter (the max-T procedure of Westfall and Young 1993,
*Resampling-Based Multiple Testing*): where none matters, one passes it in one study of twenty.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import Study
from optuna.trial import FrozenTrial

from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import drawn_value
from fdrnn.search import Choices

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


class _Choices(CategoricalDistribution):
    """Choices that are quick to copy and compare, which Optuna does for every evaluation."""

    def __deepcopy__(self, memo: object) -> _Choices:
        return self

    def __eq__(self, other: object) -> bool:
        return self is other or bool(super().__eq__(other))

    __hash__ = CategoricalDistribution.__hash__


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
        shuffles. One that no trial has drawn has a share of 0. None with fewer than
        `LEAST_TRIALS` such trials or where none of them has a finite validation NLL.
    """
    if len(evidence.ranked) < LEAST_TRIALS or evidence.selected is None:
        return None
    names = list(evidence.space.names)
    trials, order = _trials(evidence), _order(evidence)
    random = np.random.default_rng(SEED)
    n, repetitions = len(trials), n_repetitions(len(trials))
    study = _study(trials)
    actual = _shares(study, order, names)
    resampled = np.empty((repetitions, len(names)))
    for repetition in range(repetitions):
        drawn = random.integers(n, size=n)
        resampled[repetition] = _shares(_study([trials[i] for i in drawn]), order[drawn], names)
    shuffled = [_shares(study, random.permutation(order), names) for _ in range(n_shuffles(n))]
    low, high = np.quantile(resampled, [0.05, 0.95], axis=0)
    table = pd.DataFrame(
        {
            "parameter": names,
            "importance": actual,
            "low": low,
            "high": high,
            "chance": _chance(np.array(shuffled)),
        }
    )
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _chance(shuffled: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    mean, deviation = shuffled.mean(axis=0), shuffled.std(axis=0)
    # A hyperparameter of a single value has no share, ever.
    largest = ((shuffled - mean) / np.where(deviation > 0, deviation, 1.0)).max(axis=1)
    chance: npt.NDArray[np.float64] = mean + np.quantile(largest, 0.95) * deviation
    return chance


def shares(evidence: Evidence) -> dict[str, float]:
    """Return only the importance of each hyperparameter, as `importance` has it."""
    names = list(evidence.space.names)
    found = _shares(_study(_trials(evidence)), _order(evidence), names)
    return dict(zip(names, found.tolist(), strict=True))


def _order(evidence: Evidence) -> npt.NDArray[np.float64]:
    ranks = evidence.ranked["valid_nll"].rank(method="first", na_option="bottom")
    return ranks.to_numpy(float)


def _trials(evidence: Evidence) -> list[FrozenTrial]:
    """Return the finished and pruned trials as Optuna knows them."""
    space = evidence.space
    distributions: dict[str, BaseDistribution] = {
        one.name: _Choices(one.distribution.values)
        if isinstance(one.distribution, Choices)
        else one.distribution.optuna()
        for one in space.parameters
    }
    trials = []
    for row in evidence.ranked.to_dict("records"):
        params = {
            one.name: drawn_value(one.distribution, row[one.name])
            for one in space.parameters
            if one.when is None or row[one.when.parameter] == one.when.value
        }
        drawn = {name: distributions[name] for name in params}
        # Every evaluation has its own order, which is used instead of the value.
        trials.append(optuna.create_trial(params=params, distributions=drawn, value=0.0))
    return trials


def _study(trials: Sequence[FrozenTrial]) -> Study:
    # Optuna would log every study.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    study.add_trials(trials)
    return study


def _shares(
    study: Study, order: npt.NDArray[np.float64], names: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return the importance of each name as a share, the trial of lowest order being the best."""
    # A value drawn under a condition may be in no trial, or in none of a sample; Optuna refuses it.
    trials = study.get_trials(deepcopy=False)
    known = [name for name in names if any(name in one.distributions for one in trials)]
    evaluator = PedAnovaImportanceEvaluator(target_quantile=TARGET_QUANTILE)
    with warnings.catch_warnings():
        # It warns of few trials with a value, which the repetitions measure, and that the lowest
        # is the best.
        warnings.simplefilter("ignore", UserWarning)
        found = evaluator.evaluate(study, known, target=lambda one: order[one.number])
    values = np.array([found.get(name, 0.0) for name in names])
    total = float(values.sum())
    return values / total if total > 0 else values
