"""Tables on terminals of different widths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fdrnn.studies.cli.tables import FittedTable, make_table


@pytest.mark.parametrize(
    ("width", "header"),
    [
        (60, ["trial", "worker", "epoch", "best"]),
        (80, ["trial", "worker", "host", "epoch", "best"]),
        (140, ["trial", "worker", "host", "lease", "epoch", "best"]),
    ],
)
def test_a_narrow_terminal_has_fewer_columns(width: int, header: list[str]) -> None:
    row = ("3", "ada.example.org-3f2c-4711", "ada.example.org", "13 s" * 4, "17/300", "8.524")
    table = FittedTable(
        ("trial", "worker", "host", "lease", "epoch", "best"), [row], ("lease", "host")
    )
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    lines = [line for line in out.getvalue().splitlines() if line.strip()]
    assert lines[0].split() == header
    # One row, of whole cells.
    assert len(lines) == 3
    assert max(map(len, map(str.rstrip, lines))) <= width
    assert "ada.example.org-3f2c-4711" in lines[2]


def test_names_are_not_broken_where_other_cells_can_be() -> None:
    out = io.StringIO()
    row = ("bach-melody-unscented", "one of several words and then some more of them")
    Console(file=out, width=40).print(make_table(("study", "title"), [row]))
    assert "bach-melody-unscented" in out.getvalue()
    assert max(map(len, map(str.rstrip, out.getvalue().splitlines()))) <= 40
