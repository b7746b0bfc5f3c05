"""The model variants that a study can name, a family a module.

A new one is an entry of its family's ``VARIANTS`` (or a module here and, where it needs a kernel,
a C file in ``native/`` with its operation in `fdrnn.model.ops`), a line in the registry below, its
search space in `fdrnn.search.design.space`, where a hyperparameter that no other has also needs
its label in `fdrnn.reports.numbers.names`, and its study definition in `fdrnn.studies`.
"""

from __future__ import annotations

from importlib import import_module

from fdrnn.datasets import plugins
from fdrnn.datasets.plugins import Registry
from fdrnn.model.errors import DecompositionError
from fdrnn.model.settings import RECORDABLE
from fdrnn.model.variants.base import Variant

_MODULES = {
    "fast_dropout": "fast_dropout",
    "authors_cell": "fast_dropout",
    "authors_mean": "fast_dropout",
    "plain": "plain",
    "fast_dropout_sampled": "fast_dropout",
    "fast_dropout_wang_manning": "fast_dropout",
    "rectifier": "fast_dropout",
    "separate_factors": "fast_dropout",
    "authors_cell_learned_state": "fast_dropout",
    "weight_decay": "plain",
    "echo_state": "plain",
    "nonrecurrent_dropout": "dropout",
    "dropout": "dropout",
    "lstm": "lstm",
    "lstm_fast_dropout": "lstm",
    "stacked": "deep",
    "stacked_fast_dropout": "deep",
    "deep_transition": "deep",
    "deep_transition_fast_dropout": "deep",
    "deep_output": "deep",
    "deep_output_fast_dropout": "deep",
    "deep_output_lp": "deep_lp",
    "weight_noise_fast": "weight_noise",
    "weight_noise": "weight_noise",
}
"""The module of each variant; reports list variants in this order."""

VARIANTS: Registry[Variant] = Registry(
    plugins.VARIANTS,
    {
        name: import_module(f"{__name__}.{module}").VARIANTS[name]
        for name, module in _MODULES.items()
    },
    Variant,  # type: ignore[type-abstract]
)
"""The variants by name, in the order of the registry, then those of plug-ins."""


def require_decomposition(variant: str) -> None:
    """Check that `fdrnn.model.gradients.decompose` applies to a variant.

    Raises
    ------
    DecompositionError
        If it has no variances, or several hidden layers.
    """
    if not VARIANTS[variant].decomposes:
        able = ", ".join(name for name, other in VARIANTS.own.items() if other.decomposes)
        raise DecompositionError(
            "variant must have one recurrent layer that passes variances on, or draws of them, for "
            f"its gradient to have a regulariser's part ({able}), got {variant!r}"
        )


def recordable(variant: str) -> tuple[str, ...]:
    """Return what of `fdrnn.model.settings.RECORDABLE` a study of the variant can record.

    The parts of the gradient need a variant that decomposes; mean and scale of the noise
    term need one that draws it.
    """
    able = VARIANTS[variant]
    needs = {"decomposition": able.decomposes, "noise": able.decomposes and bool(able.noise)}
    return tuple(name for name in RECORDABLE if needs.get(name, True))


__all__ = ["VARIANTS", "Variant", "recordable", "require_decomposition"]
