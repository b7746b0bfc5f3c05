"""Time and memory of a report of made-up studies of a given size.

    python tests/reports/measure.py --studies 4 --trials 32 --epochs 300

The store is made in a temporary folder and not counted. The report is written by ``fdrnn report``
in a separate process, whose wall time, CPU time and largest resident memory are printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fdrnn.datasets import DataDescription
from fdrnn.search import SPACES, Store, StudyDefinition, draw, open_store
from fdrnn.search.store import tables

N_TEST_SEQUENCES = 77


def make_store(path: Path, n_studies: int, n_trials: int, n_epochs: int) -> None:
    """Make a store of complete studies, FD and plain by turns, a tenth of the trials diverged."""
    store = open_store(str(path), create=True)
    data = DataDescription(
        title="JSB Chorales", note="", n_features=88, lowest_midi_note=21, fingerprint="0" * 64
    )
    for index in range(n_studies):
        plain = bool(index % 2)
        definition = StudyDefinition(
            name=f"study-{index:03}",
            data="jsb",
            variant="plain" if plain else "fast_dropout",
            space=SPACES["table2-plain" if plain else "table2"],
            n_trials=n_trials,
            seed=index // 2,
        )
        configurations = draw(definition.space, definition.seed, range(n_trials))
        store.add_study(definition, data, configurations)
        _finish(store, definition.name, n_epochs, np.random.default_rng(index))
    store.close()


def _finish(store: Store, study: str, n_epochs: int, random: np.random.Generator) -> None:
    study_id = store.study(study).study_id
    with store.database.write() as connection:
        ids = list(
            connection.scalars(
                tables.trials.select()
                .with_only_columns(tables.trials.c.trial_id)
                .where(tables.trials.c.study_id == study_id)
            )
        )
        for trial_id in ids:
            epochs = np.arange(1, n_epochs + 1)
            level, speed = random.uniform(4.5, 6.0), random.uniform(3.0, 30.0)
            noise = random.normal(0.0, 0.02, (4, n_epochs))
            valid = level + 3 * np.exp(-epochs / speed) + noise[0]
            train = level - 0.004 * epochs + 3 * np.exp(-epochs / speed) + noise[1]
            radius = 1 + random.uniform(0, 30) * (1 - np.exp(-epochs / speed)) + noise[2]
            best = int(valid.argmin())
            connection.execute(
                tables.epochs.insert(),
                [
                    {
                        "trial_id": trial_id,
                        "epoch": int(epochs[i]),
                        "train_nll": float(train[i]),
                        "valid_nll_counted": float(valid[i]),
                        "valid_nll_masked": float(valid[i] + 3),
                        "spectral_radius": float(radius[i]),
                        "spectral_radius_squared": float(radius[i]),
                        "gradient_norm": 1.0,
                        "seconds": 0.5,
                    }
                    for i in range(n_epochs)
                ],
            )
            steps = random.integers(30, 200, N_TEST_SEQUENCES)
            nll = valid[best] + 3.2 + random.normal(0, 0.8, N_TEST_SEQUENCES)
            connection.execute(
                tables.test_sequences.insert(),
                [
                    {
                        "trial_id": trial_id,
                        "sequence_index": i,
                        "nll_sum": float(nll[i] * steps[i]),
                        "n_steps": int(steps[i]),
                    }
                    for i in range(N_TEST_SEQUENCES)
                ],
            )
            connection.execute(
                tables.trials.update()
                .where(tables.trials.c.trial_id == trial_id)
                .values(
                    state="finished",
                    diverged=bool(random.random() < 0.1),
                    n_epochs=n_epochs,
                    best_epoch=best + 1,
                    valid_nll=float(valid[best]),
                    valid_nll_counted=float(valid[best]),
                    valid_nll_masked=float(valid[best] + 3),
                )
            )


def measure(n_studies: int, n_trials: int, n_epochs: int) -> None:
    """Make a store, report it in a separate process, print what that took."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store.sqlite3"
        make_store(store, n_studies, n_trials, n_epochs)
        output = Path(folder) / "report"
        command = [sys.executable, "-m", "fdrnn.studies.cli", "report"]
        started = time.monotonic()
        process = subprocess.Popen(
            [*command, "--storage", f"sqlite:///{store}", "--output", str(output)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - started
        assert status == 0
        page = (output / "report.html").stat().st_size
        print(
            f"{n_studies} studies x {n_trials} trials x {n_epochs} epochs: {wall_s:.1f} s wall, "
            f"{usage.ru_utime + usage.ru_stime:.1f} s CPU, {usage.ru_maxrss / 1024:.0f} MB, page "
            f"{page / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("studies", 4), ("trials", 32), ("epochs", 300)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    measure(options.studies, options.trials, options.epochs)
