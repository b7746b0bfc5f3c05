"""The model variants that a study can name; each is the module of its name.

A new one is its module here (and, where it needs a kernel, a C file in ``native/`` with its
operation in `fdrnn.model.ops`), its name in the registry below, its search space in
`fdrnn.search.design.space`, where a hyperparameter that no other has also needs its label in
`fdrnn.reports.numbers.names`, and its study definition in `fdrnn.studies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from fdrnn.model.errors import DecompositionError
from fdrnn.model.settings import RECORDABLE
from fdrnn.model.variants.base import Variant

_REGISTRY = (
    "fast_dropout",
    "authors_cell",
    "authors_mean",
    "plain",
    "fast_dropout_sampled",
    "fast_dropout_wang_manning",
    "rectifier",
    "weight_decay",
    "nonrecurrent_dropout",
    "dropout",
    "lstm",
    "lstm_fast_dropout",
    "weight_noise_fast",
    "weight_noise",
)

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {name: import_module(f"{__name__}.{name}").VARIANT for name in _REGISTRY}
)
"""By name, in the order of the registry."""


def require_decomposition(variant: str) -> None:
    """Check that `fdrnn.model.gradients.decomposition` applies to a variant.

    Raises
    ------
    DecompositionError
        If it passes no variances on.
    """
    if not VARIANTS[variant].decomposes:
        able = ", ".join(name for name, other in VARIANTS.items() if other.decomposes)
        raise DecompositionError(
            "variant must pass variances on, or draws of them, for its gradient to have a "
            f"regulariser's part ({able}), got {variant!r}"
        )


def recordable(variant: str) -> tuple[str, ...]:
    """Return what of `fdrnn.model.settings.RECORDABLE` a study of the variant can record.

    Its gradient's parts only where it passes variances on, the noise term's mean and scale only
    where that is drawn.
    """
    able = VARIANTS[variant]
    needs = {"decomposition": able.decomposes, "noise": able.decomposes and bool(able.noise)}
    return tuple(name for name in RECORDABLE if needs.get(name, True))


__all__ = ["VARIANTS", "Variant", "recordable", "require_decomposition"]
