"""Tables on terminals of different widths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fdrnn.studies.cli.tables import FittedTable, columns_that_fit


def test_a_narrow_column_is_put_back_after_a_wide_one_is_left_out() -> None:
    assert columns_that_fit([10, 30, 8, 12], [2, 1, 3], 60) == [0, 1, 2, 3]
    assert columns_that_fit([10, 30, 8, 12], [2, 1, 3], 55) == [0, 1, 3]
    assert columns_that_fit([10, 30, 8, 12], [2, 1, 3], 40) == [0, 2, 3]


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
        ("trial", "worker", "host", "lease", "epoch", "best"),
        [row],
        dispensable=("lease", "host"),
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
    Console(file=out, width=40).print(FittedTable(("study", "title"), [row]))
    assert "bach-melody-unscented" in out.getvalue()
    assert max(map(len, map(str.rstrip, out.getvalue().splitlines()))) <= 40


NUMBERS = (
    ("draw", *map(str, range(10))),
    [
        ("n_hidden", *["400", "40", "200", "1600", "64"] * 2),
        ("dropout_hidden_to_hidden", *["0.0001234", "0.25", "3.2e-16", "1e-05", "12345.678"] * 2),
    ],
)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_no_number_is_cut(width: int) -> None:
    out = io.StringIO()
    header, rows = NUMBERS
    Console(file=out, width=width).print(FittedTable(header, rows, n_text=1))
    lines = out.getvalue().splitlines()
    assert max(map(len, map(str.rstrip, lines))) <= width
    for name, *cells in [header, *rows]:
        words = [line.split() for line in lines]
        # Each block begins with the row's label.
        shown = [cell for row in words if row and row[0] == name for cell in row[1:]]
        assert shown == cells


@pytest.mark.parametrize("width", [40, 60, 80])
def test_labels_of_several_words_are_broken_beside_whole_numbers(width: int) -> None:
    out = io.StringIO()
    header = ("", "epochs", "worker time", "share of epochs", "selected trial", "validation NLL")
    row = ("all trials to their end (32 trained to the end)", "9600", "12.5 h", "1.00", "17", "8.5")
    Console(file=out, width=width).print(FittedTable(header, [row], n_text=1))
    text = out.getvalue()
    assert max(map(len, map(str.rstrip, text.splitlines()))) <= width
    for word in [*row[0].split(), *row[1:]]:
        assert word in text


def test_a_word_wider_than_the_terminal_loses_nothing() -> None:
    out = io.StringIO()
    Console(file=out, width=16).print(FittedTable(("n", "size"), [("a" * 20, "123456.789")], 1))
    text = "".join(out.getvalue().split())
    assert text.count("a") == 20
    assert "123456.789" in text
