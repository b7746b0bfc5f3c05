"""Print digests of small training runs: whether a change keeps the bits of training.

Every variant trains two epochs, and every output with at least one variant, on a few generated
sequences of different lengths, so that rows of a batch join and end. A line holds the variant, the
output, the number of hidden units and the SHA-256 of the parameters, of the optimizer's state, of
every NLL and of everything that an epoch measures, bit by bit. Run it on the same machine before
and after a change that must not alter a number::

    python tests/model/digests.py > before.txt
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Iterator

import numpy as np

from fdrnn.datasets import Dataset
from fdrnn.model import OUTPUTS, VARIANTS, TrainingSettings, recordable
from fdrnn.model.trainer import Trainer

NETWORKS = [
    *((variant, "bernoulli") for variant in VARIANTS),
    *(("fast_dropout", output) for output in OUTPUTS if output != "bernoulli"),
    ("fast_dropout_sampled", "gaussian"),
    ("plain", "gaussian"),
    ("lstm", "softmax_sampled"),
]
SIZES = (20, 200)
N_FEATURES = 11
N_EPOCHS = 2
DIGEST_BYTES = 32
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
        record=recordable(variant) if n_hidden == SIZES[0] else (),
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
        yield from (value for name, value in sorted(record.measurements.items())
                    if name != "recording_seconds")  # fmt: skip
    result = trainer.result()
    yield from (result.test_nll_sums, result.valid_nll)
    yield from (result.parameters[name] for name in sorted(result.parameters))
    with np.load(io.BytesIO(trainer.state()[DIGEST_BYTES:])) as state:
        yield from (state[name] for name in sorted(state.files) if name != "header")


def main() -> None:
    """Print one line for each network and size."""
    for variant, output in NETWORKS:
        for n_hidden in SIZES:
            digest = hashlib.sha256()
            for value in values(variant, output, n_hidden):
                digest.update(np.ascontiguousarray(value).tobytes())
            print(f"{variant:26}{output:19}{n_hidden:4}  {digest.hexdigest()}", flush=True)


if __name__ == "__main__":
    main()
