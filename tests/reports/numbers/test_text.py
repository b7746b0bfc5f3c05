"""Numbers as text."""

from __future__ import annotations

import math

import pytest

from fdrnn.reports.numbers.text import amount


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (math.nan, "-"),
        (0.0, "0.00"),
        (12.345, "12.35"),
        (0.0051, "0.01"),
        (0.0049, "0.0049"),
        (0.0023456, "0.0023"),
        (1.2e-7, "0.00000012"),
    ],
)
def test_an_amount_is_not_rounded_to_nothing(value: float | None, text: str) -> None:
    assert amount(value) == text
