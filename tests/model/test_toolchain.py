import os
import subprocess
import sys

import pytest

from fdrnn.model.errors import ToolchainError
from fdrnn.model.toolchain import check_toolchain, theano


def test_no_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ToolchainError, match="no C\\+\\+ compiler: 'no-such-compiler'"):
        check_toolchain()


def test_no_headers(monkeypatch, tmp_path):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(ToolchainError, match="no Python headers"):
        check_toolchain()


def test_training_never_turns_into_double_precision():
    strict = theano.config.change_flags(warn_float64="raise")
    with strict, pytest.raises(Exception, match="float64"):
        theano.tensor.dmatrix()


def test_flags_of_the_user_are_kept():
    code = "from fdrnn.model.toolchain import theano; print(theano.config.allow_gc)"
    environment = {**os.environ, "THEANO_FLAGS": "allow_gc=True"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"


def test_the_compiled_code_is_found_again_by_another_process():
    """Compiled modules are keyed by their source, not by a hash that differs per process."""
    code = (
        "from fdrnn.model.ops import RecurrentLayer as R, BernoulliOutput as B;"
        "print(R().c_code_cache_version(), B().c_code_cache_version())"
    )
    versions = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(versions) == 1
