"""Comparisons: one definition of a study of each of several variants.

A comparison's definition is a study's with the key ``variants`` instead of ``variant``: a list of
names, or ``"all"``. Its key ``space`` is optional: a name, of the space of those variants that it
fits. It defines ordinary studies, which differ only in variant, space and what they can record, so
that their draws share the values of common parameters. In a store only their names,
``COMPARISON.VARIANT``, show that they belong together; a report compares those of them that have
the same data, seed, output and training settings (`fdrnn.reports.numbers.comparison`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fdrnn.datasets.errors import UnknownNameError, shown
from fdrnn.model import DEFAULT_OUTPUT, OUTPUTS, VARIANTS, recordable
from fdrnn.model.settings import RECORDABLE
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.space import EXTENDS, NAME, SPACES, fitting_spaces, output_spaces
from fdrnn.search.errors import DefinitionError

KEY = "variants"
ALL = "all"
_SPACE = "space"


def is_comparison(mapping: Mapping[str, Any]) -> bool:
    """Return whether a parsed definition is a comparison's: it has the key ``variants``."""
    return KEY in mapping


def compared_studies(
    mapping: Mapping[str, Any], default_name: str = ""
) -> tuple[StudyDefinition, ...]:
    """Read the studies of a comparison from parsed TOML or JSON.

    Parameters
    ----------
    mapping
        As for `StudyDefinition.from_mapping`, but with ``variants`` instead of ``variant``. Each
        variant has the space that ``space`` names if that is one of its
        `fdrnn.search.design.space.fitting_spaces`, and its usual one, their first, if not. It
        records what it can of ``training.record``.
    default_name
        The comparison's name if the mapping has none.

    Returns
    -------
    tuple of StudyDefinition
        One for each variant, in the order of the registry.

    Raises
    ------
    DefinitionError
        If a key or value breaks a rule.
    UnknownNameError
        If there is no variant or space of that name.
    """
    values = {"name": default_name, **mapping}
    variants = _variants(values.pop(KEY))
    if "variant" in values:
        raise DefinitionError(
            f"variant must not be set together with {KEY}, got {shown(values['variant'])}"
        )
    spaces = _spaces(values.pop(_SPACE, None), variants)
    return tuple(_study(values, variant, spaces[variant]) for variant in variants)


def study_name(comparison: str, variant: str) -> str:
    """Return the name of a comparison's study of a variant."""
    return f"{comparison}.{variant}"


def comparison_of(study: StudyDefinition) -> str | None:
    """Return the name of the comparison that a study belongs to by its name; None without one."""
    # The variant of a plug-in may have a dot in its name.
    name = study.name.removesuffix(f".{study.variant}")
    return None if name == study.name else name


def comparison_studies(comparison: str) -> list[str]:
    """Return the names that a comparison's studies can have, in the order of the registry."""
    return [study_name(comparison, variant) for variant in VARIANTS]


def _variants(value: object) -> list[str]:
    if value == ALL:
        return list(VARIANTS.own)
    if not (isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value)):
        raise DefinitionError(f"{KEY} must be {ALL!r} or a list of variants, got {value!r}")
    for variant in value:
        if variant not in VARIANTS:
            raise UnknownNameError("variant", variant, VARIANTS)
    if len(set(value)) != len(value):
        raise DefinitionError(f"{KEY} must name each variant once, got {list(value)}")
    return [variant for variant in VARIANTS if variant in value]


def _spaces(named: object, variants: list[str]) -> dict[str, str]:
    """Return the space of each variant: the named one where it fits, otherwise the usual one."""
    fitting = {variant: fitting_spaces(variant) for variant in variants}
    without = [variant for variant, spaces in fitting.items() if not spaces]
    if without:
        raise DefinitionError(
            f"{KEY} must each fit a space of the project, got {', '.join(without)}; a plug-in "
            "with its own hyperparameters needs a study with a table [space]"
        )
    if named is None:
        return {variant: spaces[0] for variant, spaces in fitting.items()}
    if not isinstance(named, str):
        raise DefinitionError(f"{_SPACE} of a comparison must be a name, got {shown(named)}")
    if named not in SPACES:
        raise UnknownNameError(_SPACE, named, SPACES)
    if not any(named in spaces for spaces in fitting.values()):
        raise DefinitionError(
            f"{_SPACE} must have exactly the hyperparameters of one or more of the {KEY}, got "
            f"{named!r}"
        )
    return {variant: named if named in spaces else spaces[0] for variant, spaces in fitting.items()}


def _study(values: Mapping[str, Any], variant: str, space: str) -> StudyDefinition:
    training = values.get("training", {})
    if isinstance(training, Mapping) and isinstance(training.get("record"), list | tuple):
        # An unknown name is left in, for the study's own error.
        able = recordable(variant)
        record = [name for name in training["record"] if name in able or name not in RECORDABLE]
        values = {**values, "training": {**training, "record": record}}
    name, output = values["name"], values.get("output", DEFAULT_OUTPUT)
    spaces = [space]
    if isinstance(output, str) and output in OUTPUTS:
        spaces += output_spaces(output)[:1]
    return StudyDefinition.from_mapping(
        {
            **values,
            "name": study_name(name, variant) if isinstance(name, str) else name,
            "variant": variant,
            "space": {NAME: "+".join(spaces), EXTENDS: spaces},
        }
    )
