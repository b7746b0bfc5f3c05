"""The definition of a study: everything that determines its numbers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, get_type_hints

from fdrnn.datasets import DataDescription
from fdrnn.datasets.errors import UnknownNameError, did_you_mean, one_line, shown
from fdrnn.datasets.sources import names as data_names
from fdrnn.datasets.sources import package as data_package
from fdrnn.model import (
    DEFAULT_OUTPUT,
    OUTPUTS,
    VARIANTS,
    DecompositionError,
    OutputMismatchError,
    TrainingSettings,
    recordable,
    require_decomposition,
    require_kind,
    require_padding,
)
from fdrnn.search.design.distributions import Value
from fdrnn.search.design.halving import Halving
from fdrnn.search.design.rules import require_space, split, typed
from fdrnn.search.design.space import SPACES, Space, hyperparameter_names
from fdrnn.search.errors import DefinitionError, MissingPluginError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LARGEST_SEED = 2**63 - 1
_MOST_TRIALS = 1_000_000
_TABLE = "training"
_OUTPUT = "output"
_SPACE = "space"
_HALVING = "halving"
_REPEATS = "repeats"
_MOST_REPEATS = 1000
_PLUGINS = "plugins"
_OPTIONAL = (_OUTPUT, _HALVING, _REPEATS)
_EXTENDABLE = ("n_trials", _REPEATS)
EXTENDABLE_TRAINING = ("max_epochs", "patience")
"""Training settings that may be raised in a study that is in a store."""


def require_name(name: str) -> None:
    """Raise DefinitionError unless a text is a valid name of a study."""
    if not _NAME.fullmatch(name):
        raise DefinitionError(
            "name must be 1 to 100 letters, digits, dots, dashes or underscores and begin "
            f"with a letter or digit, got {name!r}"
        )


@dataclass(frozen=True, kw_only=True)
class StudyDefinition:
    """The definition of a study: data, variant, space, number of trials, seed, training.

    Attributes
    ----------
    name
        Name in the store: at most 100 letters, digits, dots, dashes and underscores.
    data
        Name of a data set, or the path of a file.
    variant
        A name of `fdrnn.model.VARIANTS`.
    space
        Distributions of the hyperparameters of variant and output, and of training settings if
        they are searched.
    n_trials
        Configurations to draw, in 1 .. 1,000,000.
    seed
        Seed of every draw, in 0 .. 2**63 - 1.
    training
        The settings that all trials share.
    output
        A name of `fdrnn.model.OUTPUTS` that fits the data.
    halving
        When bad draws are pruned; None for never.
    repeats
        Further seeds with which the selected configuration is trained once the draws have ended,
        at least 0.

    Raises
    ------
    DefinitionError
        If a value breaks its rule; the line names key, value and rule.
    UnknownNameError
        If there is no variant, space or output of that name.
    """

    name: str
    data: str
    variant: str
    space: Space
    n_trials: int
    seed: int
    training: TrainingSettings = field(default_factory=TrainingSettings)
    output: str = DEFAULT_OUTPUT
    halving: Halving | None = None
    repeats: int = 0

    def __post_init__(self) -> None:
        require_name(self.name)
        if not self.data:
            raise DefinitionError("data must name a data set or a file, got ''")
        # Python reads other bytes of a path as lone surrogates, which no store can hold.
        if any("\ud800" <= character <= "\udfff" for character in self.data):
            raise DefinitionError(
                f"data must be a path in UTF-8, got {shown(self.data)}; rename the file or folder"
            )
        if self.variant not in VARIANTS:
            raise UnknownNameError("variant", self.variant, VARIANTS)
        if self.output not in OUTPUTS:
            raise UnknownNameError("output", self.output, OUTPUTS)
        require_space(self.space, self.variant, self.output, self.training)
        if "decomposition" in self.training.record:
            try:
                require_decomposition(self.variant)
            except DecompositionError as error:
                raise DefinitionError(f"training.record has 'decomposition': {error}") from error
        unable = set(self.training.record) - set(recordable(self.variant))
        if unable:
            able = [name for name in VARIANTS.own if unable <= set(recordable(name))]
            raise DefinitionError(
                f"training.record must be what the variant can record ({', '.join(able)} records "
                f"{', '.join(sorted(unable))}), got variant {self.variant!r}"
            )
        try:
            require_padding(self.output, self.training.padding)
        except OutputMismatchError as error:
            raise DefinitionError(f"{_TABLE}.{error}") from error
        if not 1 <= self.n_trials <= _MOST_TRIALS:
            raise DefinitionError(
                f"n_trials must be in 1 .. {_MOST_TRIALS}, got {shown(self.n_trials)}"
            )
        if self.halving is not None and self.halving.rungs[-1] >= self.training.max_epochs:
            raise DefinitionError(
                f"halving.rungs must be below max_epochs ({self.training.max_epochs}), got "
                f"{self.halving.rungs[-1]}"
            )
        if not 0 <= self.repeats <= _MOST_REPEATS:
            raise DefinitionError(
                f"repeats must be in 0 .. {_MOST_REPEATS}, got {shown(self.repeats)}"
            )
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise DefinitionError(f"seed must be in 0 .. {_LARGEST_SEED}, got {shown(self.seed)}")

    def require_data(self, data: DataDescription) -> None:
        """Check that the output fits the data.

        Raises
        ------
        OutputMismatchError
            If it fits another kind of data.
        """
        require_kind(self.output, data.kind, self.data)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], default_name: str = "") -> StudyDefinition:
        """Read a definition from parsed TOML or JSON.

        Parameters
        ----------
        mapping
            Keys ``name`` (optional), ``data``, ``variant``, ``space`` (a name of
            `fdrnn.search.design.space.SPACES`, a mapping for `Space.from_mapping`, or a `Space`),
            ``n_trials``, ``seed``; optional are ``output``, ``repeats``, ``training``, a mapping
            of `TrainingSettings` fields, and ``halving``, a mapping for `Halving.from_mapping`.
            A store adds ``plugins``: the packages that provide the variant, output or data.
        default_name
            The name if the mapping has none, for example the stem of the file.

        Raises
        ------
        DefinitionError
            If a key is unknown (the nearest is suggested) or missing, or a value is of another
            type or out of range.
        UnknownNameError
            If there is no variant, space or output of that name.
        """
        values = {"name": default_name, **mapping}
        training = values.pop(_TABLE, {})
        if not isinstance(training, Mapping):
            raise DefinitionError(f"training must be a table, got {training!r}")
        halving = values.pop(_HALVING, None)
        packages = values.pop(_PLUGINS, None) or {}
        known = _types(cls)
        _require_known(values, known, prefix="")
        missing = [key for key in known if key not in values and key not in {*_OPTIONAL, _TABLE}]
        if missing:
            tables = {_SPACE: values.get(_SPACE), _TABLE: training, _HALVING: halving}
            _raise_missing(missing[0], tables)
        space = values.pop(_SPACE)
        simple = _typed(values, known, prefix="")
        _require_packages(simple, packages)
        _require_placed(_SPACE, space, known.keys() - {"name"} - _hyperparameters(simple))
        _require_placed(_HALVING, halving, known)
        settings = _typed_training(training)
        return cls(
            **simple,
            space=_space(space, simple),
            training=settings,
            halving=None if halving is None else Halving.from_mapping(halving, settings.max_epochs),
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return the mapping from which `from_mapping` reads an equal definition.

        Optional values that are not used have no key, as in definitions from before there were
        any.
        """
        mapping = dataclasses.asdict(self) | {_SPACE: self.space.to_mapping()}
        if self.halving is not None:
            mapping[_HALVING] = self.halving.to_mapping()
        mapping[_PLUGINS] = _packages(self) or None
        defaults = {_PLUGINS: None, _OUTPUT: DEFAULT_OUTPUT, _HALVING: None, _REPEATS: 0}
        return {key: value for key, value in mapping.items() if defaults.get(key, ...) != value}

    def split(self, drawn: Mapping[str, Value]) -> tuple[Any, Any, TrainingSettings]:
        """Return a configuration's hyperparameters and training settings.

        Parameters
        ----------
        drawn
            Values by name, as `fdrnn.search.design.sampler.draw` draws them.

        Returns
        -------
        hyperparameters, of_output
            Instances of the variant's class and of the output's.
        TrainingSettings
            The study's with the values drawn.
        """
        return split(self.variant, self.output, self.training, drawn)

    def extended_by(self, wanted: StudyDefinition) -> StudyDefinition:
        """Return this definition with what another adds: trials, repeats, epochs, rungs.

        Parameters
        ----------
        wanted
            A definition that has no `differences` from this one.
        """
        training = dataclasses.replace(
            self.training,
            **{
                key: max(getattr(self.training, key), getattr(wanted.training, key))
                for key in EXTENDABLE_TRAINING
            },
        )
        return dataclasses.replace(
            self,
            n_trials=max(self.n_trials, wanted.n_trials),
            repeats=max(self.repeats, wanted.repeats),
            halving=wanted.halving,
            training=training,
        )

    def differences(self, stored: StudyDefinition) -> list[str]:
        """Return the differences between this definition and the one in the store.

        Parameters
        ----------
        stored
            The other definition.

        Returns
        -------
        list of str
            ``"key: here X, in the store Y"`` per key. ``name``, ``n_trials`` and ``repeats`` are
            not compared, nor what only adds: more epochs, more patience, a halving that prunes
            none of the trials that continue. Of two spaces with one name each parameter that
            differs is a key.
        """
        here, there = _flat(self), _flat(stored)
        for key in EXTENDABLE_TRAINING:
            if getattr(self.training, key) > getattr(stored.training, key):
                here[f"{_TABLE}.{key}"] = there[f"{_TABLE}.{key}"]
        if stored.halving is not None and (
            self.halving is None or self.halving.extends(stored.halving, stored.training.max_epochs)
        ):
            here[_HALVING] = there[_HALVING]
        if self.space.parameters == stored.space.parameters:
            here[_SPACE] = there[_SPACE]
        elif self.space.name == stored.space.name:
            here |= _flat_space(self.space)
            there |= _flat_space(stored.space)
        return [
            f"{key}: here {here.get(key)!r}, in the store {there.get(key)!r}"
            for key in dict.fromkeys([*here, *there])
            if key not in {"name", *_EXTENDABLE} and here.get(key) != there.get(key)
        ]


def _raise_missing(key: str, tables: Mapping[str, object]) -> NoReturn:
    """Raise the error for a missing key, which may be in a table because it is below its line."""
    for name, table in tables.items():
        _require_placed(name, table, [key])
    raise DefinitionError(f"{key} is missing; a study definition must set it")


def _require_placed(name: str, table: object, keys: Iterable[str]) -> None:
    """Check that a table has none of the keys that belong above it."""
    for key in keys:
        if isinstance(table, Mapping) and key in table:
            raise DefinitionError(f"{key} is in [{name}]; move it above the first table")


def _hyperparameters(values: Mapping[str, str]) -> set[str]:
    """Return the names that a space must draw, which of a plug-in may be a definition's keys."""
    variant, output = values["variant"], values.get(_OUTPUT, DEFAULT_OUTPUT)
    known = variant in VARIANTS and output in OUTPUTS
    return hyperparameter_names(variant, output) if known else set()


def _packages(definition: StudyDefinition) -> dict[str, str]:
    found = {
        "variant": VARIANTS.package(definition.variant),
        _OUTPUT: OUTPUTS.package(definition.output),
        "data": data_package(definition.data),
    }
    return {key: package for key, package in found.items() if package is not None}


def _require_packages(values: Mapping[str, Any], packages: object) -> None:
    """Check that the plug-ins of a stored definition are installed."""
    if not isinstance(packages, Mapping):
        raise DefinitionError(f"{_PLUGINS} must be a table, got {shown(packages)}")
    for key, known in (("variant", VARIANTS), (_OUTPUT, OUTPUTS), ("data", data_names())):
        if key in packages and values.get(key) not in known:
            raise MissingPluginError(
                f"{key} {shown(values.get(key))} is a plug-in of package "
                f"{one_line(str(packages[key]))}, which is not installed here; install it"
            )


def _flat(definition: StudyDefinition) -> dict[str, Any]:
    halving = None if definition.halving is None else definition.halving.to_mapping()
    mapping = dataclasses.asdict(definition) | {
        _SPACE: definition.space.name,
        _HALVING: halving,
    }
    training = mapping.pop(_TABLE)
    return mapping | {f"{_TABLE}.{key}": value for key, value in training.items()}


def _flat_space(space: Space) -> dict[str, Any]:
    return {f"{_SPACE}.{one.name}": one.to_data() for one in space.parameters}


def _space(value: object, definition: Mapping[str, str]) -> Space:
    if isinstance(value, str):
        if value not in SPACES:
            raise UnknownNameError("space", value, SPACES)
        return SPACES[value]
    if isinstance(value, Mapping):
        value = Space.from_mapping(value, definition["name"])
    if not isinstance(value, Space):
        raise DefinitionError(f"space must be a space's name or a table, got {shown(value)}")
    variant, output = definition["variant"], definition.get(_OUTPUT, DEFAULT_OUTPUT)
    return typed(value, variant, output) if variant in VARIANTS and output in OUTPUTS else value


def _types(cls: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _typed_training(values: Mapping[str, Any]) -> TrainingSettings:
    prefix = f"{_TABLE}."
    known = _types(TrainingSettings)
    _require_known(values, known, prefix)
    try:
        return TrainingSettings(**_typed(values, known, prefix))
    except DefinitionError:
        raise
    except ValueError as error:
        raise DefinitionError(f"{prefix}{error}") from error


def _require_known(values: Mapping[str, Any], known: Iterable[str], prefix: str) -> None:
    known = list(known)
    for key in values:
        if key not in known:
            guess = did_you_mean(prefix + key, [prefix + name for name in known])
            if not prefix and key in _types(TrainingSettings):
                guess = f"; did you mean {_TABLE}.{key}?"
            elif prefix and key in _types(StudyDefinition):
                guess = f"; move {key} above the first table"
            named = one_line(f"{prefix}{key}", 120)
            raise DefinitionError(f"unknown key {named}{guess} (known: {', '.join(known)})")


_TEXTS = tuple[str, ...]
_TYPE_NAMES = {int: "an integer", float: "a number", str: "a text", _TEXTS: "a list of texts"}


def _typed(values: Mapping[str, Any], types: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    for key, value in values.items():
        expected = types[key]
        if not _is_of(value, expected):
            raise DefinitionError(f"{prefix}{key} must be {_TYPE_NAMES[expected]}, got {value!r}")
        try:
            typed[key] = tuple(value) if expected == _TEXTS else expected(value)
        except OverflowError as error:
            raise DefinitionError(f"{prefix}{key} is too large for a number: {error}") from error
    return typed


def _is_of(value: object, expected: Any) -> bool:
    if expected == _TEXTS:
        return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)
    accepted = (int, float) if expected is float else expected
    # bool is a subclass of int, yet `seed = true` is a mistake.
    return isinstance(value, accepted) and not isinstance(value, bool)
