import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .digests import FILE, NETWORKS, SIZES, digest

EXPECTED = json.loads(FILE.read_text())
OTHER_BUILDS = {
    "g++": ("-O2 -DFDRNN_VECTOR_BYTES=16 -DFDRNN_THREAD_WORK=9", 3),
    "clang++": ("-O3", 1),
}
"""Flags and threads by compiler."""


@pytest.mark.parametrize("n_hidden", SIZES)
@pytest.mark.parametrize(("variant", "output"), NETWORKS)
def test_training_has_the_same_bits_as_everywhere(variant, output, n_hidden):
    assert digest(variant, output, n_hidden) == EXPECTED[f"{variant} {output} {n_hidden}"]


@pytest.mark.parametrize("compiler", OTHER_BUILDS)
def test_other_compilers_vector_widths_and_threads(compiler):
    """One and several layers alone, which have to be compiled; `digests.py` does the others."""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    own_flags, n_threads = OTHER_BUILDS[compiler]
    flags = f"-fno-math-errno -ffp-contract=off -Wno-narrowing {own_flags}"
    networks = ["fast_dropout:bernoulli", "stacked_fast_dropout:bernoulli"]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("digests.py")), *networks],
        env={
            **os.environ,
            "THEANO_FLAGS": f"cxx={compiler},gcc__cxxflags={flags}",
            "OMP_NUM_THREADS": str(n_threads),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count("  same") == len(networks) * len(SIZES), done.stdout + done.stderr
