"""Rows of the store's tables as members of an archive: JSON lines, and a file per array.

A line is a JSON array; the first one has the columns' names. The column ``config_index`` replaces
the store's own keys. Floats are the shortest decimals that give the same bits;
infinities are the texts ``"inf"`` and ``"-inf"``, NaN is null, as it is in the store. A column of
bytes has the name of the member with the bytes: ``.npy`` for an array, whose type, shape and
digest are therefore no columns, and ``.state`` for a trainer's state.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from fdrnn.datasets.errors import shown
from fdrnn.search.store.rules import checked
from fdrnn.search.store.tables import Integer, Number, packed, unpacked

Row = dict[str, Any]

KEY = "config_index"
"""The column that names the trial."""

_LOCAL = {"trial_id", "study_id", "lease_renewed", "lease_expires"}
_OF_ARRAY = {"dtype", "shape", "digest"}
_LATER = {"rung": 0, "cohort": 0, "repeat_of": None}
"""Columns that files of format version 1 lack, with the values of a study from before them."""


def short_name(table: sa.Table) -> str:
    """Return a table's name without its prefix in the database."""
    return table.name.removeprefix("fdrnn_")


def carried(table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns whose values have a meaning outside their store."""
    return [column for column in table.c if column.name not in _LOCAL]


def encode(table: sa.Table, rows: Sequence[Row]) -> dict[str, bytes]:
    """Return a table's members by name.

    Parameters
    ----------
    table
        One of `fdrnn.search.store.tables`.
    rows
        Its rows with the columns `carried` and `KEY`, in the order to write.

    Raises
    ------
    ValueError
        If an array's bytes do not fit its type and shape.
    """
    columns = _written(table)
    lines: list[list[Any]] = [[column.name for column in columns]]
    contents: dict[str, bytes] = {}
    for row in rows:
        line = []
        for column in columns:
            value = row[column.name]
            if isinstance(column.type, sa.LargeBinary):
                member, content = _member(table, row, value)
                contents[member] = content
                value = member
            line.append(_to_json(value))
        lines.append(line)
    text = "".join(_dump(line) + "\n" for line in lines)
    return {_lines_name(table): text.encode(), **contents}


def decode(table: sa.Table, members: MutableMapping[str, bytes]) -> list[Row]:
    """Return the rows that `encode` turned into members.

    Parameters
    ----------
    table
        One of `fdrnn.search.store.tables`.
    members
        Contents by name. Those of the rows' arrays and states are taken out, because each is read
        once: a row has its own copy.

    Raises
    ------
    ValueError
        If a member is missing or named twice, or a line or array breaks the format.
    """
    name = _lines_name(table)
    columns = _written(table)
    if name not in members:
        raise ValueError(f"member {shown(name)} is missing")
    header, *lines = (json.loads(line) for line in members[name].splitlines())
    later = {column.name: _LATER[column.name] for column in columns if column.name in _LATER}
    if isinstance(header, list) and any(name in header for name in later):
        later = {}
    columns = [column for column in columns if column.name not in later]
    expected = [column.name for column in columns]
    if header != expected:
        raise ValueError(f"{name} must have the columns {', '.join(expected)}, got {shown(header)}")
    rows = []
    for number, line in enumerate(lines, start=2):
        try:
            rows.append(later | dict(_values(columns, line, members)))
        except ValueError as error:
            raise ValueError(f"{name}, line {number}: {error}") from error
    return rows


def _written(table: sa.Table) -> list[sa.Column[Any]]:
    key = [] if KEY in table.c else [sa.Column(KEY, Integer, nullable=False)]
    return key + [column for column in carried(table) if column.name not in _OF_ARRAY]


def _values(
    columns: Sequence[sa.Column[Any]], line: object, members: MutableMapping[str, bytes]
) -> Iterator[tuple[str, Any]]:
    if not isinstance(line, list) or len(line) != len(columns):
        raise ValueError(f"it must be a list of {len(columns)} values")
    for column, value in zip(columns, line, strict=True):
        if not isinstance(column.type, sa.LargeBinary):
            yield column.name, _from_json(column, value)
            continue
        content = members.pop(value, None) if isinstance(value, str) else None
        if content is None:
            raise ValueError(f"member {shown(value)} is missing, or named by an earlier row")
        if str(value).endswith(".npy"):
            yield from packed(_array(content, value)).items()
        else:
            yield column.name, content


def _array(content: bytes, member: str) -> npt.NDArray[Any]:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # a damaged header makes NumPy raise anything
        raise ValueError(f"member {shown(member)} is damaged: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise ValueError(f"member {shown(member)} must be a .npy file of numbers")
    return array


def _to_json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _from_json(column: sa.Column[Any], value: Any) -> Any:
    infinite = isinstance(column.type, Number) and value in ("inf", "-inf")
    return checked(column, float(value) if infinite else value)


def _member(table: sa.Table, row: Row, data: bytes) -> tuple[str, bytes]:
    folder = f"{short_name(table)}/{row[KEY]}"
    if "dtype" not in table.c:
        return f"{folder}.state", data
    buffer = io.BytesIO()
    np.save(buffer, unpacked(row), allow_pickle=False)
    return f"{folder}/{row['name']}.npy", buffer.getvalue()


def _lines_name(table: sa.Table) -> str:
    return f"{short_name(table)}.jsonl"


def _dump(line: list[Any]) -> str:
    return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
