"""Parameters of a space as reports name, print and group them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from fdrnn.model import DEFAULT_OUTPUT, OUTPUTS, VARIANTS
from fdrnn.search.design.distributions import DIGEST_BITS, Choices, IntRange, Value
from fdrnn.search.design.space import Parameter

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
    "mean_factor": "factor of the recurrent mean",
    "weight_decay": "weight decay",
    "sigma2_noise": "sigma^2 of the weight noise",
    "n_layers": "layers",
    "dropout_between_layers": "dropout: between layers",
    "n_pooled": "projections of an Lp unit",
    "n_nade": "hidden units of NADE",
    "sigma2_nade": "sigma^2 of NADE's weights",
    "column_order": "order of NADE's columns",
    "batch_size": "chunks per minibatch",
    "chunk_length": "frames of a chunk",
    "clip_norm": "gradient norm at most",
    "init_scale": "reading of sigma^2",
    "output_bias": "initial output bias",
    "max_incoming_in_out": "incoming connections of W_in, W_out",
    "step_rate_decay": "step rate: factor per epoch",
    "full_rate_epochs": "step rate: epochs before its decay",
    "parameter_average": "average of parameters: decay",
    "patience": "patience in epochs",
}
"""Names of the parameters: Table 2's in its order, other variants', then training settings."""

_SIGNIFICANT = 4
_N_PARTS = 4
_MOST_VALUES = 10


def network(variant: str, output: str) -> str:
    """Return a variant's title, with the output's unless it is the usual one."""
    title = VARIANTS[variant].title
    return title if output == DEFAULT_OUTPUT else f"{title}, {OUTPUTS[output].title}"


def is_plain(variant: str) -> bool:
    """Return whether a variant has no regulariser: reports print it beside others."""
    return VARIANTS[variant].plain == variant


def label(name: str) -> str:
    """Return what a report calls a parameter; a plug-in's by its own name."""
    return LABELS.get(name, name.replace("_", " "))


def in_order(names: Iterable[str]) -> list[str]:
    """Return names in the order of `LABELS`, then the others as they come."""
    distinct = list(dict.fromkeys(names))
    known = [name for name in LABELS if name in distinct]
    return known + [name for name in distinct if name not in LABELS]


def value_text(name: str, value: object) -> str:
    """Return a parameter's value as the paper prints it, numbers to four significant digits.

    Parameters
    ----------
    name
        Its name.
    value
        A value of the space, or of a frame of trials, where a missing number means no limit.
    """
    if isinstance(value, bool | np.bool_) or name == "fast_dropout_final_layer":
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if _is_missing(value):
        return "no limit" if name == "max_incoming" else "-"
    number = float(value)  # type: ignore[arg-type]
    digits = None if number.is_integer() else _SIGNIFICANT
    return np.format_float_positional(number, precision=digits, fractional=False, trim="-")


def numeric_order(text: str) -> tuple[bool, float, str]:
    """Return the key by which printed values are in order: numbers first, then words."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


def range_text(parameter: Parameter) -> str:
    """Return a range as one line; empty for choices."""
    return "" if isinstance(parameter.distribution, Choices) else str(parameter.distribution)


def having(trials: pd.DataFrame, parameter: Parameter) -> pd.DataFrame:
    """Return the trials whose configuration has a parameter: all, or those of its condition."""
    condition = parameter.when
    if condition is None:
        return trials
    # No limit, which is None in a condition, is NaN in a frame.
    holds = [_is_choice(value, condition.value) for value in trials[condition.parameter]]
    kept: pd.DataFrame = trials[np.array(holds, bool)]
    return kept


@dataclass(frozen=True)
class Part:
    """A value of a parameter, or a quarter of a range by its probability.

    Attributes
    ----------
    text
        As printed.
    low, high
        Its ends, both included, of a range; equal for a value. None for a choice.
    """

    text: str
    low: float | None = None
    high: float | None = None


def parts(parameter: Parameter) -> tuple[Part, ...]:
    """Return a parameter's choices in order, a short range's values, or a long one's parts."""
    name, distribution = parameter.name, parameter.distribution
    if isinstance(distribution, Choices):
        return tuple(Part(value_text(name, value)) for value in _ordered(parameter))
    if isinstance(distribution, IntRange):
        values = range(distribution.low, distribution.high + 1, distribution.step)
        if len(values) <= _MOST_VALUES:
            return tuple(Part(value_text(name, value), value, value) for value in values)
    quarters = (2**DIGEST_BITS * part // _N_PARTS for part in range(_N_PARTS))
    # One that a narrow range repeats would be empty.
    lows = sorted({float(distribution.value(digest)) for digest in quarters})
    step = distribution.step or 0
    ends = [*(after - step for after in lows[1:]), float(distribution.high)]
    return tuple(
        Part(f"{value_text(name, low)} to {value_text(name, high)}", low, high)
        for low, high in zip(lows, ends, strict=True)
    )


@cache
def _ordered(parameter: Parameter) -> tuple[Value, ...]:
    """Return the choices of a parameter in the order of their texts' numbers."""
    assert isinstance(parameter.distribution, Choices)
    values = parameter.distribution.values
    return tuple(sorted(values, key=lambda one: numeric_order(value_text(parameter.name, one))))


def is_range(parameter: Parameter) -> bool:
    """Return whether the `parts` of a parameter are parts of a range and not single values."""
    return any(part.low != part.high for part in parts(parameter))


def is_logarithmic(parameter: Parameter) -> bool:
    """Return whether a parameter's logarithm is uniform."""
    return not isinstance(parameter.distribution, Choices) and parameter.distribution.log


def part_index(parameter: Parameter, value: object) -> int:
    """Return the position among a parameter's `parts` of a value of a frame of trials."""
    distribution = parameter.distribution
    if isinstance(distribution, Choices):
        return next(i for i, one in enumerate(_ordered(parameter)) if _is_choice(value, one))
    lows = [part.low for part in parts(parameter)]
    return max(i for i, low in enumerate(lows) if low <= float(value))  # type: ignore[arg-type,operator]


def chosen(parameter: Parameter, value: object) -> object:
    """Return a value of a frame of trials as the parameter's choices have it.

    A column with missing values has True as 1.0, and no limit as NaN.
    """
    distribution = parameter.distribution
    if not isinstance(distribution, Choices):
        return value
    return next(one for one in distribution.values if _is_choice(value, one))


def _is_choice(value: object, choice: Value) -> bool:
    if choice is None or _is_missing(value):
        return choice is None and _is_missing(value)
    if isinstance(choice, str) or isinstance(value, str):
        return value == choice
    return float(value) == float(choice)  # type: ignore[arg-type]


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
