"""Messages made of values of unknown origin."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdrnn.datasets import DataError, UnknownNameError, shown
from fdrnn.datasets.errors import MESSAGE_LIMIT, error_line


def nested(make, levels=100_000):
    value = make(None)
    for _ in range(levels):
        value = make(value)
    return value


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("jsb", "'jsb'"),
        (17, "17"),
        (-(2**63), "-9223372036854775808"),
        (16**5000 - 1, "an integer of about 6021 digits"),
        (-(10**100_000), "an integer of about 100001 digits"),
        (nested(lambda v: [v]), "[[[[...]]]]"),
        (nested(lambda v: {"k": v}), "{'k': {'k': {'k': {...}}}}"),
        ([10**5000], "[an integer of about 5001 digits]"),
        ("\x1b[31mred\a\n", r"'\x1b[31mred\x07\n'"),
        ("\u202etxt", r"'\u202etxt'"),
        (b"\x1b", r"b'\x1b'"),
        (np.float64(0.5), "0.5"),
    ],
    ids=itertools.count(),
)
def test_foreign_values_are_escaped_and_bounded(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, "\x1b" * 10**6, b"x" * 10**6, [0] * 10**6, {"a" * 10**6: "b" * 10**6}],
    ids=itertools.count(),
)
def test_large_values_are_shortened(value):
    assert len(shown(value)) <= 120
    assert "..." in shown(value)


def test_a_value_that_cannot_be_written_is_named_by_its_type():
    assert "Unprintable" in shown(Unprintable())
    assert shown(type("list", (), {})()) == "a value of type list"


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_is_one_printable_line(value):
    text = shown(value)
    assert text.isprintable()
    assert len(text) <= 120


def test_the_text_of_an_error_is_one_bounded_line_whatever_it_was_made_of():
    assert str(DataError("a\x1b[2J\nb")) == r"a\x1b[2J\nb"
    assert len(str(DataError("\x1b" * 10**6))) <= MESSAGE_LIMIT
    assert error_line(ValueError("\n\n first\x07 \nsecond")) == r"ValueError: first\x07"
    assert error_line(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_the_nearest_name_is_suggested_or_else_all_are_listed():
    known = ["jsb", "bach"]
    assert str(UnknownNameError("set", "jbs", known)) == "unknown set 'jbs'; did you mean 'jsb'?"
    expected = "unknown set 'x' (known: bach, jsb); or a path"
    assert str(UnknownNameError("set", "x", known, "or a path")) == expected
    assert len(str(UnknownNameError("set", "x" * 10**6, known))) < 200


def test_a_path_with_control_characters_is_escaped_in_a_message(tmp_path):
    code = "import sys; from fdrnn.datasets import load; load(sys.argv[1])"
    ended = subprocess.run(
        [sys.executable, "-c", code, f"{tmp_path}/\x1b[2J.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "\x1b" not in ended.stderr
