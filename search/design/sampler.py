"""Draws as functions of the study's seed, the configuration and the parameter's name alone.

The value of parameter ``name`` in configuration ``k`` is what its distribution makes of the
SHA-256 of ``"seed/k/name"`` (`fdrnn.search.design.distributions`). Studies with one seed therefore
share the values of the parameters they have in common, whatever their number of trials, their
other parameters and the workers that train them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

from fdrnn.search.design.distributions import DIGEST_BITS, Value
from fdrnn.search.design.space import Configuration, Space

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

_TRAINING_SEED = "training seed"
_SEED_BITS = 31


def _digest(study_seed: int, index: int, name: str) -> int:
    text = f"{study_seed}/{index}/{name}".encode()
    return int.from_bytes(hashlib.sha256(text).digest(), "big")


def training_seed(study_seed: int, index: int) -> int:
    """Return the seed in [0, 2**31) with which configuration `index` is trained."""
    return _digest(study_seed, index, _TRAINING_SEED) >> (DIGEST_BITS - _SEED_BITS)


def repeat_seed(study_seed: int, index: int, repeat: int) -> int:
    """Return the seed in [0, 2**31) of repeat `repeat`, from 1, of configuration `index`."""
    return _digest(study_seed, index, f"repeat {repeat}") >> (DIGEST_BITS - _SEED_BITS)


class ConfigurationSampler(BaseSampler):
    """Optuna sampler of the draws described in this module; k is the trial's number.

    Parameters
    ----------
    space
        The space, by whose distributions parameters are drawn: Optuna's know no steps on a
        logarithmic range.
    study_seed
        Seed of the study.
    """

    def __init__(self, space: Space, study_seed: int) -> None:
        self._space = space
        self._study_seed = study_seed

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return no parameter: each is drawn by itself."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw no parameter jointly with others."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Value:
        """Draw a parameter of the space.

        Raises
        ------
        KeyError
            If the space has no such parameter.
        """
        digest = _digest(self._study_seed, trial.number, param_name)
        return self._space[param_name].distribution.value(digest)


def draw(space: Space, study_seed: int, indices: Iterable[int]) -> list[Configuration]:
    """Return configurations of a space, drawn by Optuna.

    Parameters
    ----------
    space
        The space.
    study_seed
        Seed of the study.
    indices
        The indices of the configurations, from 0.

    Returns
    -------
    list of Configuration
        One per index, in order.

    Examples
    --------
    >>> from fdrnn.search.design.space import SPACES
    >>> few = draw(SPACES["table2"], 1, range(2))
    >>> few == draw(SPACES["table2"], 1, range(32))[:2]
    True
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    scratch = optuna.create_study(sampler=ConfigurationSampler(space, study_seed))
    wanted = list(indices)
    drawn = [_suggest(space, scratch.ask()) for _ in range(max(wanted, default=-1) + 1)]
    return [Configuration(k, training_seed(study_seed, k), drawn[k]) for k in wanted]


def _suggest(space: Space, trial: optuna.Trial) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for parameter in space.parameters:
        condition = parameter.when
        if condition is None or condition.holds(values):
            values[parameter.name] = parameter.distribution.suggest(trial, parameter.name)
    return values
