"""What the interactive part of a page shows: every trial, its curve, and every pair of studies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from fdrnn.reports.numbers.evidence import Evidence, difference
from fdrnn.reports.numbers.names import (
    chosen,
    having,
    in_order,
    label,
    network,
    numeric_order,
    value_text,
)
from fdrnn.reports.numbers.symbols import unicode
from fdrnn.search import Choices, StudyDefinition
from fdrnn.search.design.halving import Halving
from fdrnn.search.design.space import Parameter

_POINTS_IN_ALL = 100_000
_MOST_POINTS, _LEAST_POINTS = 120, 8
_DIGITS, _DIGITS_OF_CURVES = 8, 5


def exploration(studies: Sequence[Evidence]) -> dict[str, Any]:
    """Return the trials of studies as JSON has them, numbers rounded and those missing null.

    Returns
    -------
    dict
        ``parameters``: of all studies, each with ``name``, ``label`` and either ``choices``, as
        printed and in numeric order, or ``log``; a training setting that one study draws has the
        value of all trials in the others. ``studies``: ``name``, ``network``, ``data``,
        ``selected``, ``padding`` (its rule and side), ``seed``, ``settings`` (pairs of name and
        text) and ``trials``, each with its numbers,
        ``values`` by parameter, and ``curve``: lists of epochs, training and validation NLL, evenly
        thinned. ``pairs``: for two studies tested on the same sequences, their positions, the
        test NLL of the first minus the second's, and the ends of its interval.
    """
    parameters = _parameters(studies)
    names = [one["name"] for one in parameters]
    ranges = {one["name"] for one in parameters if "log" in one}
    n_points = _POINTS_IN_ALL // max(1, sum(len(one.trials) for one in studies))
    n_points = min(max(n_points, _LEAST_POINTS), _MOST_POINTS)
    return {
        "parameters": parameters,
        "studies": [_study(one, names, ranges, n_points) for one in studies],
        "pairs": list(_pairs(studies)),
    }


def _parameters(studies: Sequence[Evidence]) -> list[dict[str, Any]]:
    found: dict[str, list[Parameter]] = {}
    for study in studies:
        for parameter in study.space.parameters:
            found.setdefault(parameter.name, []).append(parameter)
    given: dict[str, list[Any]] = {}
    for study in studies:
        for name, value in study.given_settings(found).items():
            given.setdefault(name, []).append(value)
    return [_parameter(name, found[name], given.get(name, [])) for name in in_order(found)]


def _parameter(name: str, parameters: Sequence[Parameter], given: Sequence[Any]) -> dict[str, Any]:
    distributions = [one.distribution for one in parameters]
    choices = [value for one in distributions if isinstance(one, Choices) for value in one.values]
    described: dict[str, Any] = {"name": name, "label": unicode(label(name))}
    ranges = [one for one in distributions if not isinstance(one, Choices)]
    if ranges:
        # A logarithmic axis has no zero, which is a setting's value for "off".
        is_positive = all(value > 0 for value in (*choices, *given) if value is not None)
        return described | {"log": is_positive and all(one.log for one in ranges)}
    texts = dict.fromkeys(value_text(name, value) for value in (*choices, *given))
    return described | {"choices": sorted(texts, key=numeric_order)}


def _study(
    evidence: Evidence, names: Sequence[str], ranges: set[str], n_points: int
) -> dict[str, Any]:
    definition = evidence.definition
    curves = dict(list(evidence.curves.groupby("config_index")))
    values = {
        one.name: having(evidence.trials, one)[one.name].astype(object).map(partial(chosen, one))
        for one in evidence.space.parameters
    }
    given = evidence.given_settings(names)
    valid = definition.training.valid_nll_column

    def trial(position: Any, row: Any) -> dict[str, Any]:
        drawn = {name: column[position] for name, column in values.items() if position in column}
        drawn |= given
        return {
            "trial": int(row.config_index),
            "state": "diverged" if row.diverged else str(row.state),
            "valid": _number(row.valid_nll),
            "masked": _number(row.valid_nll_masked),
            "test": _number(row.test_nll_pooled),
            "best": None if pd.isna(row.best_epoch) else int(row.best_epoch),
            "epochs": int(row.n_epochs),
            "minutes": _number(row.seconds / 60),
            "values": {
                name: _number(value) if name in ranges else value_text(name, value)
                for name, value in drawn.items()
            },
            "curve": _curve(curves.get(row.config_index), valid, n_points),
        }

    rows = zip(evidence.trials.index, evidence.trials.itertuples(), strict=True)
    return {
        "name": evidence.name,
        "network": network(definition.variant, definition.output),
        "data": evidence.data.title,
        "selected": evidence.selected,
        "padding": f"{definition.training.padding}, {definition.training.padding_side}",
        "seed": definition.seed,
        "settings": _settings(definition, given),
        "trials": [trial(position, row) for position, row in rows],
    }


def _settings(definition: StudyDefinition, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    settings = {
        "space": definition.space.name,
        "seed": definition.seed,
        "output": definition.output,
        "n_trials": definition.n_trials,
        "repeats": definition.repeats,
        "halving": _halving(definition.halving),
    }
    training = {
        name: value
        for name, value in vars(definition.training).items()
        if name not in definition.space.names and name not in given
    }
    return [(name.replace("_", " "), _text(value)) for name, value in (settings | training).items()]


def _halving(halving: Halving | None) -> str:
    if halving is None:
        return "none"
    return f"keeps {halving.keep:g} after epochs {_text(halving.rungs)}"


def _text(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else f"{value}"


def _curve(curve: pd.DataFrame | None, valid: str, n_points: int) -> list[list[Any]]:
    if curve is None:
        return [[], [], []]
    positions = np.unique(np.linspace(0, len(curve) - 1, min(n_points, len(curve))).round())
    kept = curve.iloc[positions.astype(int)]
    nll = ([_number(one, _DIGITS_OF_CURVES) for one in kept[name]] for name in ("train_nll", valid))
    return [kept["epoch"].tolist(), *nll]


def _pairs(studies: Sequence[Evidence]) -> Iterator[list[Any]]:
    for (i, one), (j, other) in combinations(enumerate(studies), 2):
        if one.data.fingerprint == other.data.fingerprint:
            found = difference(one, other)
            if found.value is not None:
                yield [i, j, *map(_number, (found.value, found.low, found.high))]


def _number(value: Any, digits: int = _DIGITS) -> float | None:
    """Return a number as JSON has it: rounded, and None for what is missing or not finite."""
    if pd.isna(value) or not math.isfinite(value):
        return None
    return float(f"{float(value):.{digits}g}")
