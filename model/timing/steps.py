"""Compare training steps with their matrix products and, if it is installed, PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from fdrnn.model.timing.products import training_step_products
from fdrnn.model.timing.rounds import Timing, interleave, ratio, summarize
from fdrnn.model.timing.step import random_batch, start, training_step

N_STEPS = 100
N_FEATURES = 88
_CHECKED_UPDATES = 3
_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """One training step of T = 100 and 88 columns in and out.

    Attributes
    ----------
    batch_size, n_hidden
        Size of the step.
    products, step, eager
        Wall times of the matrix products alone, of the step, and of PyTorch's eager step (None
        without PyTorch).
    floor_ratio
        Step divided by products.
    eager_ratio
        PyTorch divided by step.
    """

    batch_size: int
    n_hidden: int
    products: Timing
    step: Timing
    eager: Timing | None
    floor_ratio: float
    eager_ratio: float | None


def has_torch() -> bool:
    """Whether PyTorch can be imported (the extra ``fdrnn[bench]``)."""
    return find_spec("torch") is not None


def time_step(batch_size: int, n_hidden: int, n_rounds: int) -> StepTimes:
    """Time a training step in interleaved rounds.

    Raises
    ------
    RuntimeError
        If PyTorch's step does not compute the same numbers.
    """
    hyperparameters, parameters = start(n_hidden, N_FEATURES)
    batch = random_batch(batch_size, N_STEPS, N_FEATURES)
    calls: dict[str, Callable[[], object]] = {
        "products": training_step_products(batch_size, n_hidden, N_STEPS, N_FEATURES)
    }
    step = training_step(hyperparameters, parameters, batch)
    if has_torch():
        from fdrnn.model.timing.eager import eager_step  # noqa: PLC0415 - an extra

        eager = eager_step(hyperparameters, parameters, batch)
        for _ in range(_CHECKED_UPDATES):
            ours, theirs = step(), eager()
            if not np.allclose(ours, theirs, rtol=_TOLERANCE):
                raise RuntimeError(
                    f"loss and gradient norm must agree to a relative {_TOLERANCE}: "
                    f"ours {ours}, PyTorch's {theirs}"
                )
        calls["eager"] = eager
    calls["step"] = step
    seconds = interleave(calls, n_rounds)
    has_eager = "eager" in seconds
    return StepTimes(
        batch_size=batch_size,
        n_hidden=n_hidden,
        products=summarize(seconds["products"]),
        step=summarize(seconds["step"]),
        eager=summarize(seconds["eager"]) if has_eager else None,
        floor_ratio=ratio(seconds["step"], seconds["products"]),
        eager_ratio=ratio(seconds["eager"], seconds["step"]) if has_eager else None,
    )
