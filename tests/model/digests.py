"""Digests of small training runs: whether training has the same bits, here and there.

Every variant trains two epochs, and every output with at least one variant, on a few generated
sequences of different lengths, so that rows of a batch join and end. A digest is the SHA-256 of
the parameters, of the optimizer's state and of every NLL, bit by bit. ``digests.json`` has those
that every machine must find; after a change that is meant to alter numbers, write it anew::

    python tests/model/digests.py --write

and otherwise look for changes on any machine, with any compiler, by the same command without the
option. What epochs record besides, by NumPy's linear algebra in double precision, is no part of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fdrnn.datasets import Dataset
from fdrnn.model import OUTPUTS, VARIANTS, TrainingSettings
from fdrnn.model.trainer import Trainer

NETWORKS = [
    *((variant, "bernoulli") for variant in VARIANTS),
    *(("fast_dropout", output) for output in OUTPUTS if output != "bernoulli"),
    ("fast_dropout_sampled", "gaussian"),
    ("plain", "gaussian"),
    ("plain", "nade"),
    ("lstm", "softmax_sampled"),
]
SIZES = (20, 200)
N_FEATURES = 11
N_EPOCHS = 2
FILE = Path(__file__).with_name("digests.json")
_DIGEST_BYTES = 32
"""A checkpoint begins with its own digest; the archive follows."""


def generated(kind: str) -> Dataset:
    """Return random sequences of 2 to 60 frames."""
    rng = np.random.default_rng(14)

    def sequence(n_frames: int) -> np.ndarray:
        if kind == "categorical":
            return np.eye(N_FEATURES, dtype=np.uint8)[rng.integers(0, N_FEATURES, n_frames)]
        if kind == "real":
            return 3.0 + rng.standard_normal((n_frames, N_FEATURES))
        return (rng.random((n_frames, N_FEATURES)) < 0.3).astype(np.uint8)

    splits = (tuple(sequence(int(n)) for n in rng.integers(2, 61, size)) for size in (16, 5, 5))
    train, valid, test = splits
    return Dataset(name=kind, title=kind, kind=kind, train=train, valid=valid, test=test)


def values(variant: str, output: str, n_hidden: int) -> Iterator[float | np.ndarray]:
    """Train a network and yield every number that must not change."""
    settings = TrainingSettings(
        batch_size=7,
        max_epochs=N_EPOCHS,
        padding="counted" if OUTPUTS[output].counts_padding else "masked",
        chunk_length=25,
        clip_norm=0.5,
        parameter_average=0.9,
    )
    typical = VARIANTS[variant].typical
    # A drop rate that is not also the keep rate, which the authors' library takes it for.
    rates = {name: 0.3 for name in ("dropout_hidden_to_hidden",) if hasattr(typical, name)}
    hyperparameters = dataclasses.replace(typical, n_hidden=n_hidden, **rates)
    data = generated(OUTPUTS[output].kind)
    trainer = Trainer(data, variant, hyperparameters, settings, 3, output)
    while not trainer.finished:
        record = trainer.run_epoch()
        yield from (record.train_nll, record.valid_nll_counted, record.valid_nll_masked)
        yield record.gradient_norm
    result = trainer.result()
    yield from (result.test_nll_sums, result.valid_nll)
    yield from (result.parameters[name] for name in sorted(result.parameters))
    with np.load(io.BytesIO(trainer.state()[_DIGEST_BYTES:])) as state:
        yield from (state[name] for name in sorted(state.files) if name != "header")


def digest(variant: str, output: str, n_hidden: int) -> str:
    """Return the digest of a training run."""
    sha256 = hashlib.sha256()
    for value in values(variant, output, n_hidden):
        sha256.update(np.ascontiguousarray(value).tobytes())
    return sha256.hexdigest()


def main() -> None:
    """Print one line for each network and size, or write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("networks", nargs="*", metavar="VARIANT:OUTPUT")
    arguments = parser.parse_args()
    expected = json.loads(FILE.read_text()) if FILE.is_file() else {}
    for variant, output in NETWORKS:
        if arguments.networks and f"{variant}:{output}" not in arguments.networks:
            continue
        for n_hidden in SIZES:
            name, found = f"{variant} {output} {n_hidden}", digest(variant, output, n_hidden)
            verdict = "same" if found == expected.get(name) else "OTHER"
            print(f"{name:45}{found}  {verdict}", flush=True)
            if arguments.write:
                expected[name] = found
                FILE.write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
