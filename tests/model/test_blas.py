import ctypes
import os
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
    with pytest.raises(ToolchainError, match="the extra 'mkl'"):
        linked_blas()


def test_openblas_is_the_default_without_mkl(monkeypatch):
    monkeypatch.delenv("FDRNN_BLAS", raising=False)
    monkeypatch.setattr("fdrnn.model.blas._installed_mkl", lambda: None)
    assert linked_blas().name == "openblas"


@pytest.mark.parametrize("name", ["with a space", "rnn,dropout"])
def test_a_library_in_a_path_that_flags_cannot_hold_is_linked_through_another(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    flags = Blas("some", "1", folder / "libsome.so").link_flags.split()
    assert len(flags) == 3
    linked = flags[0].removeprefix("-L")
    assert Path(linked).resolve() == folder
    assert flags[2] == f"-Wl,-rpath,{linked}"
    assert "," not in linked


def test_a_link_that_another_user_made_is_not_trusted(tmp_path, monkeypatch):
    folder = tmp_path / "with a space"
    folder.mkdir()
    blas = Blas("some", "1", folder / "libsome.so")
    link = Path(blas.link_flags.split()[0].removeprefix("-L"))
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    theirs = link.with_name(link.name.replace(f"-{mine}-", f"-{mine + 1}-"))
    theirs.symlink_to(folder)
    try:
        with pytest.raises(ToolchainError, match="space or a comma"):
            _ = blas.link_flags
    finally:
        theirs.unlink()
