import numpy as np
import pytest

from fdrnn.datasets import chunk
from fdrnn.model import Hyperparameters
from fdrnn.model.initialization import initial_parameters
from fdrnn.model.network import network
from fdrnn.model.packing import pack_chunks
from fdrnn.model.subnormals import subnormals_as_zeros

TINY = np.full(33, 1e-39, np.float32)
"""Subnormal."""


def test_operands_and_results_are_zeros_within_the_block_alone():
    small = np.full(33, 1e-30, np.float32)
    with subnormals_as_zeros():
        assert not (TINY * np.float32(1e10)).any()
        assert not (small * np.float32(1e-9)).any()
        with subnormals_as_zeros():
            pass
        assert not (small * np.float32(1e-9)).any()
    assert (TINY * np.float32(1e10) > 0).all()
    assert (small * np.float32(1e-9) > 0).all()


def test_an_error_ends_the_block():
    with pytest.raises(ZeroDivisionError), subnormals_as_zeros():
        _ = 1 // 0
    assert (TINY * np.float32(0.5) > 0).all()


def test_an_optimizer_does_not_keep_subnormals():
    """Its averages decay where gradients are 0, as those of a note that is never played."""
    silent = 3
    hyperparameters = Hyperparameters(
        n_hidden=17,
        step_rate=0.01,
        momentum=0.9,
        decay=0.8,
        sigma2_rec_out=0.1,
        sigma2_in=0.1,
        spectral_radius=1.2,
    )
    parameters = initial_parameters(hyperparameters, 9, 9, "variance", seed=3)
    tiny = {name: np.full_like(value, 1e-39) for name, value in parameters.items()}
    frames = (np.random.default_rng(0).random((30, 9)) < 0.3).astype(np.uint8)
    frames[:, silent] = 0
    compiled = network("plain", "bernoulli")
    compiled.set_parameters(parameters)
    compiled.set_optimizer(tiny, tiny)
    compiled.configure(hyperparameters, 0.01, 225.0)
    compiled.train(pack_chunks(chunk((frames,), 30, "front"), np.array([0])), "counted")
    for average in compiled.optimizer():
        assert not average["W_in"][silent].any()
        assert average["W_in"][silent + 1].all()
