"""Time functions in interleaved rounds, each of which calls every function once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Wall times of a function over the rounds, in seconds.

    Attributes
    ----------
    median_s, least_s, most_s
        Over the rounds.
    """

    median_s: float
    least_s: float
    most_s: float


def interleave(calls: Mapping[str, Callable[[], object]], n_rounds: int) -> dict[str, list[float]]:
    """Call every function once unmeasured, then `n_rounds` times in turn.

    Returns
    -------
    dict
        Seconds of each round, by name.
    """
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(n_rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def summarize(seconds: list[float]) -> Timing:
    """Return the median, least and most of wall times."""
    return Timing(float(np.median(seconds)), min(seconds), max(seconds))


def ratio(numerator: list[float], denominator: list[float]) -> float:
    """Return the median over the rounds of the ratio within each round."""
    return float(np.median(np.divide(numerator, denominator)))
