"""Rules of values: what a foreign value must be to go into a column of the store."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from fdrnn.datasets import DataDescription
from fdrnn.datasets.errors import shown
from fdrnn.search.design.space import Space
from fdrnn.search.store import tables
from fdrnn.search.store.tables import Object, TrialState, value_range

_KINDS = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}
_ENCODABLE = "encodable as UTF-8"
_DATA_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("title", "note", "fingerprint", "kind"), str),
    **dict.fromkeys(("n_features", "lowest_midi_note"), int),
}
_LARGEST = 2**31 - 1


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
        If the value breaks the column's rule, or a text cannot be encoded as UTF-8.
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
        text = json.dumps(value, ensure_ascii=False)
        _require(_is_encodable(text), column, value, _ENCODABLE)
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
        _require(_is_encodable(value), column, value, _ENCODABLE)
    elif kind is not bool:
        least, most = value_range(column) or (-math.inf, math.inf)
        _require(least <= value <= most, column, value, f"in {least} .. {most}")
    return value


def described(values: Mapping[str, Any]) -> DataDescription:
    """Return the description of its data that a study's row has, checked.

    Parameters
    ----------
    values
        The fields by name, as `DataDescription.to_mapping` returns them.

    Raises
    ------
    ValueError, TypeError
        If a field is missing, unknown, or of another type.
    """
    data = DataDescription(**checked(tables.studies.c.data, values))
    for name, kind in _DATA_TYPES.items():
        value = getattr(data, name)
        if name == "lowest_midi_note" and value is None:
            continue
        if type(value) is not kind or (isinstance(value, int) and abs(value) > _LARGEST):
            rule = f"int of at most {_LARGEST}" if kind is int else kind.__name__
            raise ValueError(f"data.{name} must be {rule}, got {shown(value)}")
    nll = data.baseline_nll
    if nll is not None and not (isinstance(nll, float) and math.isfinite(nll)):
        raise ValueError(f"data.baseline_nll must be a finite number, got {shown(nll)}")
    return data


def require_drawn(space: Space, drawn: Mapping[str, Any]) -> None:
    """Require that hyperparameters may have been drawn from a space.

    Parameters
    ----------
    space
        The space.
    drawn
        Values by name.

    Raises
    ------
    ValueError
        If one is missing, is none of the space's, or is out of its range.
    """
    for parameter in space.parameters:
        wanted = parameter.when is None or parameter.when.holds(drawn)
        if wanted != (parameter.name in drawn):
            raise ValueError(f"{parameter.name} is {'missing' if wanted else 'not to be drawn'}")
    for name, value in drawn.items():
        if name not in space.names or value not in space[name].distribution:
            raise ValueError(f"{shown(name)} = {shown(value)} is not in the study's space")


def _is_encodable(text: str) -> bool:
    # An escape of JSON may be half of a surrogate pair, which no report and no server takes.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require(holds: bool, column: sa.Column[Any], value: object, rule: str) -> None:
    if not holds:
        raise ValueError(f"{column.name} must be {rule}, got {shown(value)}")
