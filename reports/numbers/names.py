"""Hyperparameters as reports name and print them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from fdrnn.search.design.space import Choice, Parameter, Space

LABELS = {
    "n_hidden": "hidden units",
    "dropout_input": "dropout: input",
    "dropout_hidden_to_hidden": "dropout: hidden to hidden",
    "fast_dropout_final_layer": "fast dropout: final layer",
    "dropout_hidden_to_output": "dropout: hidden to output",
    "step_rate": "step rate",
    "momentum": "momentum",
    "decay": "decay",
    "sigma2_rec_out": "sigma^2 of W_rec, W_out",
    "sigma2_in": "sigma^2 of W_in",
    "spectral_radius": "spectral radius of W_rec",
    "max_incoming": "incoming connections (nu)",
    "weight_decay": "weight decay",
    "sigma2_noise": "sigma^2 of the weight noise",
}
"""Names of the hyperparameters: those of Table 2 in its order, then those of other variants."""


def value_text(name: str, value: object) -> str:
    """Return a hyperparameter's value as the paper prints it.

    Parameters
    ----------
    name
        Its name.
    value
        A value of the space, or of a frame of trials, where a missing number means no limit.
    """
    if isinstance(value, bool) or name == "fast_dropout_final_layer":
        return "yes" if value else "no"
    if _is_missing(value):
        return "no limit" if name == "max_incoming" else "-"
    return np.format_float_positional(float(value), trim="-")  # type: ignore[arg-type]


def occurring(space: Space) -> list[Parameter]:
    """Return the parameters of a space that some configuration has."""
    by_name = {one.name: one for one in space.parameters}
    return [
        one
        for one in space.parameters
        if one.only_if is None or one.only_if.value in by_name[one.only_if.parameter].choices
    ]


def is_fixed(space: Space) -> bool:
    """Return whether a space has only one configuration, such as a column of Table 3."""
    return all(len(one.choices) == 1 for one in occurring(space))


def having(trials: pd.DataFrame, parameter: Parameter) -> pd.DataFrame:
    """Return the trials whose configuration has a parameter: all, or those of its condition."""
    condition = parameter.only_if
    return trials if condition is None else trials[trials[condition.parameter] == condition.value]


def choice_index(parameter: Parameter, value: object) -> int:
    """Return the position of a value of a frame of trials among a parameter's choices."""
    return next(i for i, choice in enumerate(parameter.choices) if _is_choice(value, choice))


def _is_choice(value: object, choice: Choice) -> bool:
    if choice is None or _is_missing(value):
        return choice is None and _is_missing(value)
    return float(value) == float(choice)  # type: ignore[arg-type]


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
