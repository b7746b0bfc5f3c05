"""The reader of .mat files against SciPy's writer and reader."""

from __future__ import annotations

import io

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fdrnn.datasets import DataError
from fdrnn.datasets.mat import read_mat
from oracles.data_files import cells, matlab_object

NUMBERS = arrays.arrays(
    st.sampled_from(["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "?"]),
    arrays.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=4),
)


def saved(variables, **options):
    file = io.BytesIO()
    scipy.io.savemat(file, variables, **options)
    return file.getvalue()


@given(
    NUMBERS, st.lists(NUMBERS, min_size=1, max_size=3), st.text("abc", min_size=1), st.booleans()
)
def test_every_variable_is_the_one_that_scipy_reads(matrix, in_cells, text, compress):
    variables = {"matrix": matrix, "cells": cells(in_cells), "text": text}
    data = saved(variables, do_compression=compress)
    read = read_mat(data, "x", set(variables))
    expected = scipy.io.loadmat(io.BytesIO(data))
    np.testing.assert_array_equal(read["matrix"], expected["matrix"])
    assert read["text"].item() == text
    assert read["cells"].shape == expected["cells"].shape
    for ours, theirs in zip(read["cells"].ravel(), expected["cells"].ravel(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype.kind == theirs.dtype.kind or theirs.dtype == bool


@given(arrays.arrays(st.sampled_from(["?", "f8"]), st.tuples(st.integers(1, 5), st.integers(1, 5))))
def test_a_sparse_matrix_is_the_full_one(matrix):
    read = read_mat(saved({"x": scipy.sparse.csc_matrix(matrix)}), "x", {"x"})
    np.testing.assert_array_equal(read["x"], matrix)


@pytest.mark.parametrize("side", range(1, 9))
def test_uncompressed_variables_may_follow_compressed_ones(side):
    matrix, cell = np.arange(side * side).reshape(side, side), cells([np.eye(3), np.eye(1, 2)])
    data = saved({"x": matrix}, do_compression=True) + saved({"y": cell, "z": matrix})[128:]
    read = read_mat(data, "x", {"x", "y", "z"})
    np.testing.assert_array_equal(read["x"], matrix)
    np.testing.assert_array_equal(read["y"][0, 1], np.eye(1, 2))
    np.testing.assert_array_equal(read["z"], matrix)


def test_an_object_is_unread_and_known_by_its_name():
    data = saved({"x": np.eye(2)}) + matlab_object("kind") + matlab_object("a" * 40)
    read = read_mat(data, "x", {"x", "kind"})
    assert read["x"].shape == (2, 2)
    assert read["a" * 40] is None
    assert (read["kind"].dtype, read["kind"].size) == (object, 0)


def test_variables_that_are_not_wanted_are_named_alone():
    data = saved({"x": np.eye(2), "y": {"a": 1}, "z": cells([cells([np.eye(2)])])})
    assert read_mat(data, "x", set()) == {"x": None, "y": None, "z": None}


@given(st.binary(max_size=200), st.sampled_from([b"IM", b"MI"]))
def test_any_bytes_are_read_or_refused_in_one_line(content, order):
    try:
        read_mat(b"MATLAB 5.0".ljust(126) + order + content, "x", {"x"})
    except DataError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize("data", [b"", b"x" * 200, bytes(128)])
def test_other_files_are_refused(data):
    with pytest.raises(DataError, match="damaged or of another format"):
        read_mat(data, "x", {"x"})
