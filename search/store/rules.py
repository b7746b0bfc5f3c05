"""Rules of single values: what a foreign value must be to go into a column of the store."""

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa

from fdrnn.datasets.errors import shown
from fdrnn.search.store.tables import Number, Object, TrialState

_LARGEST = 2**31 - 1
# A repeat has a negative number.
_RANGES = {
    "seed": (0, 2**63 - 1),
    "epoch": (1, _LARGEST),
    "config_index": (-_LARGEST, _LARGEST),
}
_TIMES_S = (0.0, 1e11)
_KINDS = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}


def checked(column: sa.Column[Any], value: Any) -> Any:
    """Return a foreign value for a column, checked for its type and range.

    Parameters
    ----------
    column
        A column of `fdrnn.search.store.tables`.
    value
        A value as JSON has it: NaN is None, an infinity is a float.

    Raises
    ------
    ValueError
        If the value breaks the column's rule.
    """
    if value is None:
        if not column.nullable:
            raise ValueError(f"{column.name} must not be null")
        return None
    if isinstance(column.type, sa.Enum):
        _require(value in column.type.enums, column, value, f"{', '.join(column.type.enums)}")
        return TrialState(value)
    if isinstance(column.type, sa.JSON | Object):
        fits = isinstance(column.type, sa.JSON) or isinstance(value, dict)
        _require(fits, column, value, "an object")
        return value
    # A decorated type does not know its own.
    kind = getattr(column.type, "impl_instance", column.type).python_type
    if kind is float and type(value) is int and abs(value) <= 2**53:
        value = float(value)
    # bool is a subclass of int.
    _require(type(value) is kind, column, value, _KINDS[kind])
    if kind is str:
        length = getattr(column.type, "length", None) or len(value)
        fits = len(value) <= length and "\0" not in value
        _require(fits, column, value, f"a text of at most {length} characters without NUL")
    elif kind is not bool:
        least, most = _range(column)
        _require(least <= value <= most, column, value, f"in {least} .. {most}")
    return value


def _range(column: sa.Column[Any]) -> tuple[float, float]:
    if isinstance(column.type, Number):
        return -math.inf, math.inf
    return (
        _TIMES_S if isinstance(column.type, sa.Double) else _RANGES.get(column.name, (0, _LARGEST))
    )


def _require(holds: bool, column: sa.Column[Any], value: object, rule: str) -> None:
    if not holds:
        raise ValueError(f"{column.name} must be {rule}, got {shown(value)}")
