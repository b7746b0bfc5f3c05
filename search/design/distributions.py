"""Distributions of a parameter's values, as data: choices, integer ranges, float ranges.

A value is a function of a 256-bit digest alone and has the same bits on every machine: integers
are computed in integer arithmetic, floats as exact fractions that are rounded once, logarithms in
decimal arithmetic of a fixed precision, whose ``ln`` and ``exp`` are correctly rounded. The C
library's mathematical functions, which differ from machine to machine, have no part in it.
"""
# ruff: noqa: PLC0415 - whoever only reads spaces needs no Optuna

from __future__ import annotations

import decimal
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from fdrnn.datasets.errors import did_you_mean, shown
from fdrnn.search.errors import DefinitionError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

Value = bool | int | float | str | None
"""A value of a parameter; None is "no limit" for ``max_incoming``."""

DIGEST_BITS = 256

MOST_CHOICES = 1000
LARGEST_INTEGER = 2**53
"""Every integer up to it is a double, as which Optuna stores it."""

NONE = "none"
"""None in a study file: TOML has no null."""

_DIGITS = 60


@dataclass(frozen=True)
class Choices:
    """Values that are equally likely; a single one is a fixed value.

    A digest u in [0, 1) selects ``values[floor(u * len(values))]``.

    Attributes
    ----------
    values
        The values, distinct, at least one and at most `MOST_CHOICES`.

    Raises
    ------
    DefinitionError
        If the values break this rule, or one is no number, text, truth value or None.

    Examples
    --------
    >>> Choices((0.8, 0.9)).value(2**255)
    0.9
    """

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        for value in self.values:
            if not isinstance(value, bool | int | float | str | None):
                raise DefinitionError(
                    f"a choice must be a number, text or truth value, got {shown(value)}"
                )
            _require_finite(value)
        if not 1 <= len(self.values) <= MOST_CHOICES:
            raise DefinitionError(f"must have 1 to {MOST_CHOICES} choices, got {len(self.values)}")
        seen: set[Value] = set()
        for value in self.values:
            if value in seen:
                raise DefinitionError(f"choices must be distinct, got {shown(value)} twice")
            seen.add(value)

    @property
    def fixed(self) -> bool:
        """Whether there is only one value."""
        return len(self.values) == 1

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values that obey every rule on a value's range if all others do: here all."""
        return self.values

    def __contains__(self, value: object) -> bool:
        """Return whether a value of this type can be drawn."""
        return any(value == choice and type(value) is type(choice) for choice in self.values)

    def value(self, digest: int) -> Value:
        """Return the value that a digest of `DIGEST_BITS` bits selects."""
        return self.values[_position(digest, len(self.values))]

    def optuna(self) -> BaseDistribution:
        """Return Optuna's distribution of these values."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def suggest(self, trial: Trial, name: str) -> Value:
        """Have an Optuna trial draw the parameter."""
        value: Value = trial.suggest_categorical(name, self.values)
        return value

    def __str__(self) -> str:
        """Return the values as one line, in the words of a study file."""
        words = {None: NONE, True: "true", False: "false"}
        return ", ".join(
            words[value] if isinstance(value, bool | None) else f"{value}" for value in self.values
        )

    def to_data(self) -> Any:
        """Return the TOML or JSON form: a list, or the value itself where there is only one."""
        return self.values[0] if self.fixed else list(self.values)


@dataclass(frozen=True)
class IntRange:
    """The integers low, low + step, ..., high, equally likely or by their logarithm.

    With `log` the probability of g is proportional to log((g + step/2) / (g - step/2)).

    Attributes
    ----------
    low, high
        Smallest and largest value, both included; high is low plus a multiple of step, and
        neither is above `LARGEST_INTEGER` in magnitude.
    log
        Whether it is the logarithm that is uniform; low must then be above step / 2.
    step
        Distance of the values, at least 1.

    Raises
    ------
    DefinitionError
        If a number breaks its rule.

    Examples
    --------
    >>> IntRange(64, 512, log=True, step=8).value(2**255)
    176
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        for bound in (self.low, self.high, self.step):
            if type(bound) is not int or abs(bound) > LARGEST_INTEGER:
                raise DefinitionError(
                    f"int and step must be integers up to 2**53, got {shown(bound)}"
                )
        _require_range(self.low, self.high, self.log)
        if self.step < 1:
            raise DefinitionError(f"step must be at least 1, got {self.step}")
        if (self.high - self.low) % self.step:
            raise DefinitionError(
                f"step must divide high - low, got {self.step} for {self.low} to {self.high}"
            )
        if self.log and 2 * self.low <= self.step:
            raise DefinitionError(
                f"low must be above half the step on a logarithmic range, got {self.low} with "
                f"step {self.step}"
            )

    fixed = False

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values that obey every rule on a value's range if all others do: both ends."""
        return self.low, self.high

    def __contains__(self, value: object) -> bool:
        """Return whether a value of this type can be drawn."""
        return (
            type(value) is int
            and self.low <= value <= self.high
            and (value - self.low) % self.step == 0
        )

    def value(self, digest: int) -> int:
        """Return the value that a digest of `DIGEST_BITS` bits selects."""
        size = (self.high - self.low) // self.step + 1
        if not self.log:
            return self.low + self.step * _position(digest, size)
        # The probabilities telescope: the cumulative one at g is the logarithm of g + step / 2.
        below, above = 2 * self.low - self.step, 2 * self.high + self.step
        doubled = Fraction(*_log_uniform(digest, below, above).as_integer_ratio())
        position = (doubled - below) // (2 * self.step)
        return self.low + self.step * min(max(position, 0), size - 1)

    def optuna(self) -> BaseDistribution:
        """Return Optuna's distribution, without the step if logarithmic: it has no such."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, self.log, 1 if self.log else self.step)

    def suggest(self, trial: Trial, name: str) -> Value:
        """Have an Optuna trial draw the parameter."""
        step = 1 if self.log else self.step
        return trial.suggest_int(name, self.low, self.high, step=step, log=self.log)

    def __str__(self) -> str:
        """Return the range as one line."""
        return _range_text(self.low, self.high, self.log, None if self.step == 1 else self.step)

    def to_data(self) -> Any:
        """Return the TOML or JSON form."""
        return _range_data(
            "int", self.low, self.high, self.log, None if self.step == 1 else self.step
        )


@dataclass(frozen=True)
class FloatRange:
    """The floats from low to high, uniform, in steps, or uniform by their logarithm.

    Attributes
    ----------
    low, high
        Smallest and largest value, both included; finite.
    log
        Whether it is the logarithm that is uniform; low must then be positive.
    step
        Distance of equally likely values, positive; None for every float. It divides high - low
        as decimals are written (0.95 is 19 steps of 0.05). A logarithmic range has none.

    Raises
    ------
    DefinitionError
        If a number breaks its rule.

    Examples
    --------
    >>> FloatRange(0.0, 0.95).value(2**254)
    0.2375
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        for bound in (self.low, self.high, *(() if self.step is None else (self.step,))):
            if type(bound) is not float:
                raise DefinitionError(f"float and step must be numbers, got {shown(bound)}")
            _require_finite(bound)
        _require_range(self.low, self.high, self.log)
        if self.step is None:
            return
        if self.log:
            raise DefinitionError(f"a logarithmic range of floats has no step, got {self.step}")
        if self.step <= 0:
            raise DefinitionError(f"step must be positive, got {self.step}")
        if self._n_steps.denominator != 1:
            raise DefinitionError(
                f"step must divide high - low, got {self.step} for {self.low} to {self.high}"
            )

    fixed = False

    @property
    def _n_steps(self) -> Fraction:
        return (_written(self.high) - _written(self.low)) / _written(self.step or 1.0)

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values that obey every rule on a value's range if all others do: both ends."""
        return self.low, self.high

    def __contains__(self, value: object) -> bool:
        """Return whether a value of this type can be drawn."""
        if type(value) is not float or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        return ((_written(value) - _written(self.low)) / _written(self.step)).denominator == 1

    def value(self, digest: int) -> float:
        """Return the value that a digest of `DIGEST_BITS` bits selects."""
        if self.log:
            drawn = float(_log_uniform(digest, self.low, self.high))
            return min(max(drawn, self.low), self.high)
        if self.step is not None:
            position = _position(digest, int(self._n_steps) + 1)
            return float(_written(self.low) + position * _written(self.step))
        low, high = Fraction(self.low), Fraction(self.high)
        return float(low + (high - low) * Fraction(digest, 1 << DIGEST_BITS))

    def optuna(self) -> BaseDistribution:
        """Return Optuna's distribution."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, self.log, self.step)

    def suggest(self, trial: Trial, name: str) -> Value:
        """Have an Optuna trial draw the parameter."""
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def __str__(self) -> str:
        """Return the range as one line."""
        return _range_text(self.low, self.high, self.log, self.step)

    def to_data(self) -> Any:
        """Return the TOML or JSON form."""
        return _range_data("float", self.low, self.high, self.log, self.step)


Distribution = Choices | IntRange | FloatRange

_KINDS = ("choices", "int", "float")
_KEYS = {"choices": set[str](), "int": {"log", "step"}, "float": {"log", "step"}}


def distribution_of(data: Any) -> Distribution:
    """Return the distribution that a study file or a store describes.

    Parameters
    ----------
    data
        A list, ``[0.8, 0.9]`` or ``{"choices": [0.8, 0.9]}``: equally likely values, of which
        the text `NONE` is None; a value: that one; ``{"int": [64, 512]}`` or ``{"float": [0, 1]}``
        with ``log`` and ``step`` as they may be: a range.

    Raises
    ------
    DefinitionError
        If it is none of these, or breaks a rule of its distribution.

    Examples
    --------
    >>> distribution_of({"int": [64, 512], "log": True, "step": 8})
    IntRange(low=64, high=512, log=True, step=8)
    >>> distribution_of(["none", 15]).to_data()
    [None, 15]
    """
    if not isinstance(data, Mapping):
        values = data if isinstance(data, list | tuple) else [data]
        return Choices(tuple(None if value == NONE else value for value in values))
    named = [kind for kind in _KINDS if kind in data]
    if len(named) != 1:
        raise DefinitionError(
            f"must have one of the keys {', '.join(_KINDS)}, got {shown(list(data))}"
        )
    kind = named[0]
    unknown = [key for key in data if key != kind and key not in _KEYS[kind]]
    if unknown:
        guess = did_you_mean(unknown[0], ["when", *_KEYS[kind]])
        raise DefinitionError(f"unknown key {shown(unknown[0])} beside {kind!r}{guess}")
    values = data[kind]
    if not isinstance(values, list | tuple):
        raise DefinitionError(f"{kind} must be a list, got {shown(values)}")
    if kind == "choices":
        return distribution_of(values)
    if len(values) != 2:
        raise DefinitionError(f"{kind} must be [low, high], got {shown(list(values))}")
    log, step = data.get("log", False), data.get("step")
    if not isinstance(log, bool):
        raise DefinitionError(f"log must be true or false, got {shown(log)}")
    if kind == "int":
        return IntRange(values[0], values[1], log, 1 if step is None else step)
    low, high = map(_as_float, values)
    return FloatRange(low, high, log, None if step is None else _as_float(step))


def _range_data(kind: str, low: float, high: float, log: bool, step: float | None) -> Any:
    data: dict[str, Any] = {kind: [low, high]}
    return data | ({"log": True} if log else {}) | ({} if step is None else {"step": step})


def _range_text(low: float, high: float, log: bool, step: float | None) -> str:
    scale = ", logarithmic" if log else ""
    return f"{low:.10g} to {high:.10g}{scale}" + ("" if step is None else f", step {step:g}")


def _as_float(value: Any) -> Any:
    # A file may write 1 for 1.0; a bool is an int, too.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER:
        return float(value)
    return value


def _require_finite(value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise DefinitionError(f"must be finite, got {value!r}")


def _require_range(low: float, high: float, log: bool) -> None:
    if low >= high:
        raise DefinitionError(
            f"low must be below high, got [{low!r}, {high!r}]; a fixed value is written alone"
        )
    if log and low <= 0:
        raise DefinitionError(f"low must be positive on a logarithmic range, got {low!r}")


def _position(digest: int, size: int) -> int:
    return (digest * size) >> DIGEST_BITS


def _log_uniform(digest: int, low: float, high: float) -> decimal.Decimal:
    """Return low * (high / low) ** u in decimal arithmetic, u being the digest as a fraction."""
    exact = decimal.Context(
        prec=_DIGITS,
        rounding=decimal.ROUND_HALF_EVEN,
        Emin=decimal.MIN_EMIN,
        Emax=decimal.MAX_EMAX,
        traps=[],
    )
    log_low, log_high = (exact.ln(decimal.Decimal(bound)) for bound in (low, high))
    u = exact.divide(decimal.Decimal(digest), decimal.Decimal(1 << DIGEST_BITS))
    return exact.exp(exact.fma(u, exact.subtract(log_high, log_low), log_low))


def _written(value: float) -> Fraction:
    # The decimal that a user wrote, of which the float is the nearest.
    return Fraction(repr(value))
