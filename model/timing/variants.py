"""Compare every variant's training step with its own matrix products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fdrnn.model.timing.products import training_step_products
from fdrnn.model.timing.rounds import Timing, interleave, ratio, summarize
from fdrnn.model.timing.step import random_batch, training_step
from fdrnn.model.timing.steps import N_FEATURES, N_STEPS
from fdrnn.model.variants import VARIANTS

REFERENCE = "fast_dropout"


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
    calls: dict[str, Callable[[], object]] = {}
    for name, variant in VARIANTS.items():
        hyperparameters = replace(variant.typical, n_hidden=n_hidden)
        parameters = variant.initial_parameters(hyperparameters, N_FEATURES, "variance", seed=0)
        calls[f"products {name}"] = training_step_products(
            batch_size, n_hidden, N_STEPS, N_FEATURES, variant.n_products, variant.n_gates
        )
        calls[f"step {name}"] = training_step(hyperparameters, parameters, batch, name)
    seconds = interleave(calls, n_rounds)
    floors = {
        name: ratio(seconds[f"step {name}"], seconds[f"products {name}"]) for name in VARIANTS
    }
    return [
        VariantTimes(
            variant=name,
            batch_size=batch_size,
            n_hidden=n_hidden,
            products=summarize(seconds[f"products {name}"]),
            step=summarize(seconds[f"step {name}"]),
            floor_ratio=floors[name],
            to_reference=floors[name] / floors[REFERENCE],
        )
        for name in VARIANTS
    ]
