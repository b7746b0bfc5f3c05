"""Pickles of all protocols, those of Python 2 put together by hand, and hostile ones."""

from __future__ import annotations

import os
import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdrnn.datasets import SPLITS, DataError
from fdrnn.datasets.pickles import _interpret, parse_pickle

NOTES = {
    "train": [[(60, 64, 67), (), (21, 108)], [(60,)]],
    "valid": [[(72,), (71,)]],
    "test": [[(48, 55), (50,)]],
}


def with_numbers(make, frame=tuple):
    return {
        split: [[frame(make(note) for note in notes) for notes in frames] for frames in sequences]
        for split, sequences in NOTES.items()
    }


def assert_is_notes(splits):
    assert set(splits) == set(SPLITS)
    for split, sequences in NOTES.items():
        assert len(splits[split]) == len(sequences)
        for roll, frames in zip(splits[split], sequences, strict=True):
            assert roll.shape == (len(frames), 88)
            assert roll.dtype == np.uint8
            assert [tuple(np.flatnonzero(row) + 21) for row in roll] == frames


def python2_pickle(protocol, order="<"):
    """The bytes that Python 2 wrote for numpy integers: byte strings, and names of old numpy."""
    size = 8

    def string(data):
        if protocol == 0:
            return b"S" + repr(data)[1:].encode() + b"\n"
        return b"U" + bytes([len(data)]) + data

    def number(value):
        return b"I%d\n" % value

    dtype = (
        b"cnumpy\ndtype\n(" + string(b"i8") + number(0) + number(1) + b"tR"
        b"(" + number(3) + string(order.encode()) + b"NNN" + number(-1) * 2 + number(0) + b"tb"
    )

    def note(value):
        data = value.to_bytes(size, "little" if order == "<" else "big")
        return b"cnumpy.core.multiarray\nscalar\n(" + dtype + string(data) + b"tR"

    def frame(notes):
        return b"(" + b"".join(map(note, notes)) + b"t"

    def listed(items):
        return b"(l" + b"".join(item + b"a" for item in items)

    body = b"(d" + b"".join(
        string(split.encode()) + listed(listed(map(frame, frames)) for frames in sequences) + b"s"
        for split, sequences in NOTES.items()
    )
    return (b"\x80\x02" if protocol == 2 else b"") + body + b"."


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("make", [int, np.int64, np.uint8, np.int32, np.dtype(">i4").type])
def test_python_3_pickles_of_every_protocol(protocol, make):
    assert_is_notes(parse_pickle(pickle.dumps(with_numbers(make), protocol), "x"))


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
def test_python_2_pickles(protocol, order):
    data = python2_pickle(protocol, order)
    # The hand-made bytes are what numpy itself reads.
    assert pickle.loads(data, encoding="latin1") == NOTES
    assert_is_notes(parse_pickle(data, "x"))


def test_trusted_bytes_are_read_alike():
    assert_is_notes(parse_pickle(python2_pickle(2), "x", trusted=True))


def test_frames_may_be_lists():
    assert_is_notes(parse_pickle(pickle.dumps(with_numbers(np.int64, list)), "x"))


class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_calls_something_is_refused_before_it_is_called(tmp_path, protocol):
    made = tmp_path / "made"
    data = pickle.dumps({**NOTES, "more": Calls(os.mkdir, str(made))}, protocol)
    with pytest.raises(DataError, match="mkdir, which is not allowed") as caught:
        parse_pickle(data, "bad.pickle")
    assert not made.exists()
    assert str(caught.value).startswith("bad.pickle: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"(S'1'\ni__builtin__\neval\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n.",
        b"c_codecs\nencode\n(Vabc\nVrot13\ntR.",
        b"cnumpy\ndtype\n(S'O8'\ntR.",
        b"cnumpy\ndtype\n(S'f8'\ntR.",
    ],
)
def test_other_names_codecs_and_types_are_refused(data):
    with pytest.raises(DataError, match=r"not allowed|not MIDI notes"):
        parse_pickle(data, "x")


@pytest.mark.parametrize("name", [b"numpy.core.multiarray\nscalar", b"numpy\ndtype"])
@pytest.mark.parametrize(
    "state", [b"(dS'__call__'\nI1\ns", b"(N(dS'__call__'\nI1\nst", b"(dS'x'\nI1\ns"]
)
def test_a_pickle_cannot_change_what_reads_it(name, state):
    with pytest.raises(DataError):
        parse_pickle(b"c" + name + b"\n" + state + b"b.", "x")
    assert_is_notes(parse_pickle(python2_pickle(2), "x"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_truncated_pickles_are_told_in_one_line(protocol, share):
    data = pickle.dumps(with_numbers(np.int64), protocol)
    with pytest.raises(DataError, match="damaged") as caught:
        parse_pickle(data[: int(share * len(data))], "x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "a dict with the keys train, valid, test"),
        ({"train": [], "valid": []}, "a dict with the keys"),
        ({**NOTES, "valid": 3}, "valid must be a list of sequences, got int"),
        ({**NOTES, "test": [[60, 61]]}, "test, sequence 0 must be a list of frames"),
        ({**NOTES, "train": [[(60,)], [(20,)]]}, "train, sequence 1: .* from 21 to 108, got 20"),
        ({**NOTES, "train": [[(109,)]]}, "got 109"),
        ({**NOTES, "train": [[(60.5,)]]}, r"got 60\.5"),
    ],
)
def test_other_contents_are_refused_with_the_rule(content, message):
    with pytest.raises(DataError, match=message):
        parse_pickle(pickle.dumps(content), "x")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.lists(inner).map(tuple)
            | st.dictionaries(st.text(max_size=5), inner)
        ),
    ),
    st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_plain_values_are_those_of_pythons_own_unpickler(value, protocol):
    assert _interpret(pickle.dumps(value, protocol)) == value


@given(st.lists(st.sampled_from(pickletools.opcodes)), st.binary(max_size=20))
def test_any_instructions_are_read_or_refused_in_one_line(opcodes, arguments):
    data = b"".join(
        opcode.code.encode("latin1") + (arguments if opcode.arg else b"") for opcode in opcodes
    )
    with pytest.raises(DataError) as caught:
        parse_pickle(data + b".", "x")
    assert str(caught.value).isprintable()
