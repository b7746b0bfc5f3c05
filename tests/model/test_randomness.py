"""Random numbers of a training run."""

import os
import subprocess
import sys

import numpy as np

from fdrnn.model.randomness import data_order, noise_generator, standard_normal

PRINT_DIGEST = """
import hashlib
from fdrnn.model.randomness import noise_generator, standard_normal
draws = standard_normal(noise_generator(7, 1, 2), (1000, 300))
print(hashlib.sha256(draws.tobytes()).hexdigest())
"""
OTHER_LIBRARY = "float log1pf(float x) { return (float)__builtin_log1p((double)x); }"
"""A log1pf that rounds correctly, as newer versions of the C library do."""


def test_draws_do_not_depend_on_the_version_of_the_c_library(tmp_path):
    source, library = tmp_path / "other.c", tmp_path / "other.so"
    source.write_text(OTHER_LIBRARY)
    subprocess.run(["g++", "-x", "c", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)

    def digest(**environment):
        command = [sys.executable, "-c", PRINT_DIGEST]
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert digest() == digest(LD_PRELOAD=str(library))


def test_draws_are_those_of_a_standard_normal_distribution():
    draws = standard_normal(noise_generator(3, 1, 0), (400, 500))
    assert draws.dtype == np.float32
    assert abs(draws.mean()) < 0.01
    assert abs(draws.std() - 1) < 0.01
    other = standard_normal(noise_generator(3, 1, 1), (400, 500))
    assert abs(np.corrcoef(draws.ravel(), other.ravel())[0, 1]) < 0.01


def test_every_epoch_has_an_order_of_its_own():
    one, other = data_order(3, 1, 50), data_order(3, 2, 50)
    assert sorted(one) == sorted(other) == list(range(50))
    assert (one != other).any()
    assert (one == data_order(3, 1, 50)).all()
