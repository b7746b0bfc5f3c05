"""Compare training steps with their matrix products, with PyTorch and between variants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from fdrnn.model.timing.kernel import peak_operations, run_peak
from fdrnn.model.timing.products import operations, training_step_products
from fdrnn.model.timing.rounds import Timing, interleave, ratio, summarize
from fdrnn.model.timing.step import random_batch, start, training_step
from fdrnn.model.variants import VARIANTS

N_STEPS = 100
N_FEATURES = 88
_CHECKED_UPDATES = 3
_TOLERANCE = 1e-4
_REFERENCE = "fast_dropout"


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """One training step of T = 100 and 88 columns in and out.

    Attributes
    ----------
    batch_size, n_hidden
        Its size.
    products, kernel, step, eager, compiled
        Wall times of the matrix products alone by OpenBLAS, of the same by the operations' own
        kernel, of the step, and of PyTorch's, eager and by `torch.compile`; None without PyTorch.
    floor_ratio, kernel_ratio
        Step by products, and by those of the kernel.
    peak_share
        Rate of the step's products, as if it did nothing else, by the core's highest rate of
        fused multiply-adds.
    eager_ratio, compiled_ratio
        PyTorch divided by step.
    """

    batch_size: int
    n_hidden: int
    products: Timing
    kernel: Timing
    step: Timing
    eager: Timing | None
    compiled: Timing | None
    floor_ratio: float
    kernel_ratio: float
    peak_share: float
    eager_ratio: float | None
    compiled_ratio: float | None


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
    calls: dict[str, Callable[[], Any]] = {
        "products": training_step_products(batch_size, n_hidden, N_STEPS, N_FEATURES),
        "kernel": training_step_products(batch_size, n_hidden, N_STEPS, N_FEATURES, ours=True),
        "peak": run_peak,
    }
    step = training_step(hyperparameters, parameters, batch)
    if has_torch():
        from fdrnn.model.timing.eager import torch_step  # noqa: PLC0415 - an extra

        for name in ("eager", "compiled"):
            calls[name] = torch_step(hyperparameters, parameters, batch, name == "compiled")
        for _ in range(_CHECKED_UPDATES):
            ours = step()
            for name in ("eager", "compiled"):
                theirs = calls[name]()
                if not np.allclose(ours, theirs, rtol=_TOLERANCE):
                    raise RuntimeError(
                        f"loss and gradient norm must agree to a relative {_TOLERANCE}: "
                        f"ours {ours}, PyTorch's ({name}) {theirs}"
                    )
    calls["step"] = step
    seconds = interleave(calls, n_rounds)

    def timing_of(name: str) -> Timing | None:
        return summarize(seconds[name]) if name in seconds else None

    def to_step(name: str) -> float | None:
        return ratio(seconds[name], seconds["step"]) if name in seconds else None

    return StepTimes(
        batch_size=batch_size,
        n_hidden=n_hidden,
        products=summarize(seconds["products"]),
        kernel=summarize(seconds["kernel"]),
        step=summarize(seconds["step"]),
        eager=timing_of("eager"),
        compiled=timing_of("compiled"),
        floor_ratio=ratio(seconds["step"], seconds["products"]),
        kernel_ratio=ratio(seconds["step"], seconds["kernel"]),
        peak_share=ratio(seconds["peak"], seconds["step"])
        * operations(batch_size, n_hidden, N_STEPS, N_FEATURES)
        / peak_operations(),
        eager_ratio=to_step("eager"),
        compiled_ratio=to_step("compiled"),
    )


@dataclass(frozen=True, kw_only=True)
class VariantTimes:
    """One training step of a variant, T = 100, 88 columns in and out, no padding shared.

    Attributes
    ----------
    variant
        Name of the variant.
    batch_size, n_hidden
        The step's size.
    products, step
        Wall times of the variant's own matrix products alone, and of its step.
    floor_ratio
        Step divided by products.
    to_reference
        That ratio divided by fast dropout's in the same rounds.
    """

    variant: str
    batch_size: int
    n_hidden: int
    products: Timing
    step: Timing
    floor_ratio: float
    to_reference: float


def time_variants(batch_size: int, n_hidden: int, n_rounds: int) -> list[VariantTimes]:
    """Time every variant of the registry in interleaved rounds."""
    batch = random_batch(batch_size, N_STEPS, N_FEATURES)
    calls: dict[str, Callable[[], Any]] = {}
    for name, variant in VARIANTS.own.items():
        hyperparameters = replace(variant.typical, n_hidden=n_hidden)
        parameters = variant.initial_parameters(
            hyperparameters, N_FEATURES, N_FEATURES, "variance", seed=0
        )
        of_variant = variant.n_products, variant.n_gates, variant.n_matrices(hyperparameters)
        calls[f"products {name}"] = training_step_products(
            batch_size, n_hidden, N_STEPS, N_FEATURES, *of_variant
        )
        calls[f"step {name}"] = training_step(hyperparameters, parameters, batch, name)
    seconds = interleave(calls, n_rounds)
    floors = {
        name: ratio(seconds[f"step {name}"], seconds[f"products {name}"]) for name in VARIANTS.own
    }
    return [
        VariantTimes(
            variant=name,
            batch_size=batch_size,
            n_hidden=n_hidden,
            products=summarize(seconds[f"products {name}"]),
            step=summarize(seconds[f"step {name}"]),
            floor_ratio=floors[name],
            to_reference=floors[name] / floors[_REFERENCE],
        )
        for name in VARIANTS.own
    ]
