from __future__ import annotations

import numpy as np


def random_sequences(lengths, width=9, seed=0):
    """Sequences of 0 and 1 of these lengths."""
    rng = np.random.default_rng(seed)
    return tuple((rng.random((n, width)) < 0.3).astype(np.uint8) for n in lengths)
