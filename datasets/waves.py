r"""``waves``: noisy oscillations of two columns in different units; real data without a download.

Every sequence has a period P ~ U(8, 40) steps, a phase f ~ U(0, 2 pi) and its own amplitude
A ~ U(0.5, 1.5). With w = 2 pi t / P + f and independent Gaussian noise, frame t is

.. math:: (A \sin w + 0.1\, e_1, \quad 20 + 5 \tanh(3 A \cos w) + 0.5\, e_2)

rounded to four decimals, so that processors whose sines differ in the last bit make the same set.
There are 200, 50 and 50 sequences of 60 to 139 frames, all from one fixed seed. Whoever knew P, f
and A could reach the entropy of the noise, `NOISE_NLL`.
"""

from __future__ import annotations

import math

import numpy as np

from fdrnn.datasets.dataset import REAL, Dataset, Frames

NAME = "waves"
TITLE = "Waves (generated)"
NOTE = "generated: its NLL is of densities, and the paper has no number for it"

_SEED = 2013
_N_SEQUENCES = (200, 50, 50)
_LENGTHS = (60, 140)
_NOISE = (0.1, 0.5)
_DECIMALS = 4

NOISE_NLL = sum(0.5 * math.log(2.0 * math.pi * math.e * deviation**2) for deviation in _NOISE)
"""Entropy of the noise in nats per step, about -0.16: no model's NLL can be lower on average."""


def make(*, progress: bool = False) -> Dataset:
    """Return the set, generated in milliseconds."""
    rng = np.random.default_rng(_SEED)
    train, valid, test = (tuple(_wave(rng) for _ in range(n)) for n in _N_SEQUENCES)
    return Dataset(
        name=NAME, title=TITLE, note=NOTE, kind=REAL, train=train, valid=valid, test=test
    )


def cached_path() -> None:
    """Return None: the set is generated whenever it is used."""


def _wave(rng: np.random.Generator) -> Frames:
    n_frames = int(rng.integers(*_LENGTHS))
    period, phase, amplitude = rng.uniform((8.0, 0.0, 0.5), (40.0, 2.0 * math.pi, 1.5))
    angle = 2.0 * math.pi * np.arange(n_frames) / period + phase
    clean = np.stack(
        [amplitude * np.sin(angle), 20.0 + 5.0 * np.tanh(3.0 * amplitude * np.cos(angle))], axis=1
    )
    frames: Frames = clean + np.array(_NOISE) * rng.standard_normal(clean.shape)
    return frames.round(_DECIMALS)
