import ctypes
from pathlib import Path

import numpy as np
import pytest

from fdrnn.model.blas import Blas, linked_blas
from fdrnn.model.errors import ToolchainError


def test_the_library_multiplies_under_its_prefix():
    blas = linked_blas()
    a, b, c = (np.asfortranarray(np.arange(4.0).reshape(2, 2) + i) for i in range(3))
    two, one, zero = ctypes.c_int(2), ctypes.c_double(1), ctypes.c_double(0)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (a, b, c)]
    dgemm = getattr(ctypes.CDLL(str(blas.library)), f"{blas.prefix}dgemm_")
    size = ctypes.byref(two)
    dgemm(
        b"N", b"N", size, size, size, ctypes.byref(one), pointers[0], size, pointers[1], size,
        ctypes.byref(zero), pointers[2], size,
    )  # fmt: skip
    np.testing.assert_array_equal(c, a @ b)


def test_unknown_blas(monkeypatch):
    monkeypatch.setenv("FDRNN_BLAS", "atlas")
    with pytest.raises(ToolchainError, match="FDRNN_BLAS must be openblas or mkl, got 'atlas'"):
        linked_blas()


def test_mkl_that_is_not_installed(monkeypatch):
    monkeypatch.setenv("FDRNN_BLAS", "mkl")
    monkeypatch.setattr("fdrnn.model.blas._installed_mkl", lambda: None)
    with pytest.raises(ToolchainError, match="fdrnn\\[mkl\\]"):
        linked_blas()


def test_openblas_is_the_default_without_mkl(monkeypatch):
    monkeypatch.delenv("FDRNN_BLAS", raising=False)
    monkeypatch.setattr("fdrnn.model.blas._installed_mkl", lambda: None)
    assert linked_blas().name == "openblas"


def test_a_library_in_a_path_with_a_space_is_linked_through_one_without(tmp_path):
    folder = tmp_path / "with a space"
    folder.mkdir()
    flags = Blas("some", "1", folder / "libsome.so").link_flags.split()
    assert len(flags) == 3
    assert Path(flags[0].removeprefix("-L")).resolve() == folder
