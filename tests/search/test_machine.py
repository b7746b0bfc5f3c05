import os

import numpy as np
import threadpoolctl

from fdrnn.model.toolchain import compiler_version
from fdrnn.search.machine import describe_machine, limit_threads


def test_the_flags_of_the_user_are_recorded(monkeypatch):
    monkeypatch.delenv("THEANO_FLAGS", raising=False)
    plain = describe_machine()
    monkeypatch.setenv("THEANO_FLAGS", "mode=FAST_COMPILE")
    assert describe_machine() == f"{plain}; THEANO_FLAGS=mode=FAST_COMPILE"


def test_the_compiler_is_recorded():
    assert f"; {compiler_version()}; " in describe_machine()


def test_training_alone_takes_several_threads(monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "5")
    np.linalg.eigvals(np.eye(2))
    limit_threads(2)
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert os.environ["OPENBLAS_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    blas = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]
    assert {library["num_threads"] for library in blas} == {1}
