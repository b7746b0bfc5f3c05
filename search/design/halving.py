"""Synchronous successive halving: after how many epochs which trials are stopped.

At each rung, an epoch, the trials that are still in are ranked by their lowest validation NLL so
far, ties by configuration index; the best share `Halving.keep` of them, rounded up, continues. A
trial that has ended before the rung takes part with its curve as it is. The rule depends on curves
alone (Jamieson and Talwalkar 2016, *Non-stochastic Best Arm Identification and Hyperparameter
Optimization*).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fdrnn.datasets.errors import did_you_mean, one_line, shown
from fdrnn.search.errors import DefinitionError

_KEYS = ("first", "rungs", "keep")
_MOST_RUNGS = 100
_MOST_GROWING = 0.99


@dataclass(frozen=True)
class Halving:
    """When trials are compared, and how many continue.

    Attributes
    ----------
    rungs
        Epochs after which the trials that are still in are compared, ascending, at least 1.
    keep
        Share of them that continues, in (0, 1).

    Raises
    ------
    DefinitionError
        If a number breaks its rule.

    Examples
    --------
    >>> Halving((25, 50), keep=0.5).survivors({3: 9.0, 5: 8.0, 6: 9.0})
    [3, 5]
    """

    rungs: tuple[int, ...]
    keep: float = 0.5

    def __post_init__(self) -> None:
        if type(self.keep) is not float or not 0 < self.keep < 1:
            raise DefinitionError(f"halving.keep must be in (0, 1), got {shown(self.keep)}")
        if not 1 <= len(self.rungs) <= _MOST_RUNGS:
            raise DefinitionError(
                f"halving.rungs must be 1 to {_MOST_RUNGS} epochs, got {len(self.rungs)}"
            )
        for before, rung in zip((0, *self.rungs), self.rungs, strict=False):
            if type(rung) is not int or rung <= before:
                raise DefinitionError(
                    f"halving.rungs must be ascending epochs from 1, got {shown(list(self.rungs))}"
                )

    @classmethod
    def from_mapping(cls, mapping: object, max_epochs: int) -> Halving:
        """Read it from parsed TOML or JSON.

        Parameters
        ----------
        mapping
            ``rungs``, a list of epochs; or ``first``, an epoch, which is multiplied by 1 / keep
            until `max_epochs`, and rounded down; keep is then at most 0.99. ``keep``, 0.5 unless
            given.
        max_epochs
            Epochs after which a trial ends in any case.

        Raises
        ------
        DefinitionError
            If a key is unknown or a value breaks its rule; every rung must be below `max_epochs`.
        """
        if not isinstance(mapping, Mapping):
            raise DefinitionError(f"halving must be a table, got {shown(mapping)}")
        for key in mapping:
            if key not in _KEYS:
                raise DefinitionError(
                    f"unknown key halving.{one_line(key)}{did_you_mean(key, _KEYS)} "
                    f"(known: {', '.join(_KEYS)})"
                )
        if ("first" in mapping) == ("rungs" in mapping):
            raise DefinitionError("halving must have one of the keys first and rungs")
        keep = mapping.get("keep", 0.5)
        rungs = mapping.get("rungs", (1,))
        if not isinstance(rungs, list | tuple):
            raise DefinitionError(f"halving.rungs must be a list of epochs, got {shown(rungs)}")
        halving = cls(tuple(rungs), keep)
        if "first" in mapping:
            first = mapping["first"]
            if type(first) is not int or not 1 <= first < max_epochs:
                raise DefinitionError(
                    f"halving.first must be at least 1 and below max_epochs ({max_epochs}), got "
                    f"{shown(first)}"
                )
            if keep > _MOST_GROWING:
                raise DefinitionError(
                    f"halving.keep must be at most {_MOST_GROWING} beside first, whose rungs would "
                    f"hardly grow, got {shown(keep)}; list the epochs as halving.rungs"
                )
            halving = cls(_growing(first, keep, max_epochs), keep)
        if halving.rungs[-1] >= max_epochs:
            raise DefinitionError(
                f"halving.rungs must be below max_epochs ({max_epochs}), got {halving.rungs[-1]}"
            )
        return halving

    def to_mapping(self) -> dict[str, Any]:
        """Return the mapping from which `from_mapping` makes an equal one."""
        return {"rungs": list(self.rungs), "keep": self.keep}

    def below(self, max_epochs: int) -> Halving | None:
        """Return it without the rungs from a number of epochs on; None if that leaves none."""
        rungs = tuple(rung for rung in self.rungs if rung < max_epochs)
        return Halving(rungs, self.keep) if rungs else None

    def n_kept(self, n_trials: int) -> int:
        """Return how many of the trials at a rung continue, at least one."""
        return math.ceil(Fraction(repr(self.keep)) * n_trials)

    def next_rung(self, n_passed: int) -> int | None:
        """Return the epoch at which a trial pauses that has passed some rungs, None if none is."""
        return self.rungs[n_passed] if n_passed < len(self.rungs) else None

    def expected_epochs(self, n_passed: int, max_epochs: int) -> float:
        """Return how many epochs a trial that has passed some rungs trains in all, on average.

        It counts with no trial that ends by itself before `max_epochs`.
        """
        epochs, probability = float(self.rungs[n_passed]), self.keep
        ends = (*self.rungs, max_epochs)
        for before, after in zip(ends[n_passed:], ends[n_passed + 1 :], strict=False):
            epochs += probability * (after - before)
            probability *= self.keep
        return epochs

    def survivors(self, scores: Mapping[int, float]) -> list[int]:
        """Return which trials at a rung continue, ascending.

        Parameters
        ----------
        scores
            By configuration index the lowest validation NLL up to the rung; NaN or infinity where
            there is none.
        """
        ranked = sorted(scores, key=lambda index: (_comparable(scores[index]), index))
        return sorted(ranked[: self.n_kept(len(ranked))])

    def extends(self, earlier: Halving, max_epochs: int) -> bool:
        """Return whether no trial is stopped that the earlier one would let continue.

        Parameters
        ----------
        earlier
            The other one.
        max_epochs
            Most epochs of a trial under the earlier one; further rungs are not below it.
        """
        n = len(earlier.rungs)
        further = all(rung >= max_epochs for rung in self.rungs[n:])
        return self.keep >= earlier.keep and self.rungs[:n] == earlier.rungs and further


@dataclass(frozen=True)
class Replay:
    """What halving would have done with finished trials.

    Attributes
    ----------
    n_epochs
        By configuration index the epochs that would have been trained.
    continued
        Configurations that would have been trained to their end, ascending.
    """

    n_epochs: dict[int, int]
    continued: tuple[int, ...]


def replay(halving: Halving, curves: Mapping[int, Sequence[float]]) -> Replay:
    """Replay halving on the curves of trials that were trained to their end.

    Parameters
    ----------
    halving
        The rule.
    curves
        By configuration index the validation NLL of each epoch, from the first.

    Examples
    --------
    >>> replay(Halving((1,)), {0: [3.0, 1.0], 1: [2.0, 2.0]})
    Replay(n_epochs={0: 1, 1: 2}, continued=(1,))
    """
    left = sorted(curves)
    n_epochs = {index: len(curves[index]) for index in left}
    for rung in halving.rungs:
        kept = halving.survivors({index: lowest(curves[index][:rung]) for index in left})
        for index in left:
            if index not in kept:
                n_epochs[index] = min(rung, n_epochs[index])
        left = kept
    return Replay(n_epochs, tuple(left))


def lowest(curve: Sequence[float]) -> float:
    """Return the lowest validation NLL of a curve, infinity if it has none that is a number."""
    return min(map(_comparable, curve), default=math.inf)


def _comparable(nll: float) -> float:
    return math.inf if math.isnan(nll) else nll


def _growing(first: int, keep: float, max_epochs: int) -> tuple[int, ...]:
    factor = 1 / Fraction(repr(keep))
    rungs: list[int] = []
    rung = Fraction(first)
    while rung < max_epochs:
        if not rungs or int(rung) > rungs[-1]:
            rungs.append(int(rung))
        rung *= factor
    return tuple(rungs)
