"""The definition of a study: everything that determines its numbers."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from fdrnn.datasets import DataDescription
from fdrnn.datasets.errors import UnknownNameError, shown
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
from fdrnn.search.design.space import SPACES, fitting_spaces, hyperparameter_names
from fdrnn.search.errors import DefinitionError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LARGEST_SEED = 2**63 - 1
_MOST_TRIALS = 1_000_000
_TABLE = "training"
_OUTPUT = "output"


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
        A name of `fdrnn.search.design.space.SPACES` whose parameters are the variant's.
    n_trials
        Configurations to draw, in 1 .. 1,000,000.
    seed
        Seed of every draw, in 0 .. 2**63 - 1.
    training
        The settings that all trials share.
    output
        A name of `fdrnn.model.OUTPUTS` that fits the data.

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
    space: str
    n_trials: int
    seed: int
    training: TrainingSettings = field(default_factory=TrainingSettings)
    output: str = DEFAULT_OUTPUT

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DefinitionError(
                "name must be 1 to 100 letters, digits, dots, dashes or underscores and begin "
                f"with a letter or digit, got {self.name!r}"
            )
        if not self.data:
            raise DefinitionError("data must name a data set or a file, got ''")
        if self.variant not in VARIANTS:
            raise UnknownNameError("variant", self.variant, VARIANTS)
        if self.space not in SPACES:
            raise UnknownNameError("space", self.space, SPACES)
        if self.output not in OUTPUTS:
            raise UnknownNameError("output", self.output, OUTPUTS)
        self._require_fitting_space()
        if "decomposition" in self.training.record:
            try:
                require_decomposition(self.variant)
            except DecompositionError as error:
                raise DefinitionError(f"training.record has 'decomposition': {error}") from error
        unable = set(self.training.record) - set(recordable(self.variant))
        if unable:
            able = [name for name in VARIANTS if unable <= set(recordable(name))]
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
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise DefinitionError(f"seed must be in 0 .. {_LARGEST_SEED}, got {shown(self.seed)}")

    def _require_fitting_space(self) -> None:
        fitting = fitting_spaces(self.variant)
        if self.space in fitting:
            return
        drawn, needed = set(SPACES[self.space].names), hyperparameter_names(self.variant)
        faults = [
            f"{self.space!r} {verb} {', '.join(sorted(names))}"
            for verb, names in (("draws", drawn - needed), ("lacks", needed - drawn))
            if names
        ]
        raise DefinitionError(
            f"space must have the hyperparameters of variant {self.variant!r} "
            f"({' or '.join(map(repr, fitting))} does), got {self.space!r}: {'; '.join(faults)}"
        )

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
            Keys ``name`` (optional), ``data``, ``variant``, ``space``, ``n_trials``, ``seed``,
            ``output`` (optional), and ``training``, a mapping of `TrainingSettings` fields
            (optional).
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
        known = _types(cls)
        del known[_TABLE]
        _require_known(values, [*known, _TABLE], prefix="")
        missing = [key for key in known if key not in values and key != _OUTPUT]
        if missing:
            raise DefinitionError(f"{missing[0]} is missing; a study definition must set it")
        typed = _typed(values, known, prefix="")
        typed_training = _typed_training(training)
        return cls(**typed, training=typed_training)

    def to_mapping(self) -> dict[str, Any]:
        """Return the mapping from which `from_mapping` reads an equal definition.

        The default output has no key, as in definitions from before there were others.
        """
        mapping = dataclasses.asdict(self)
        if self.output == DEFAULT_OUTPUT:
            del mapping[_OUTPUT]
        return mapping

    def differences(self, stored: StudyDefinition) -> list[str]:
        """Return the differences between this definition and the one in the store.

        Parameters
        ----------
        stored
            The other definition.

        Returns
        -------
        list of str
            ``"key: here X, in the store Y"`` per key; ``name`` and ``n_trials`` are not
            compared, because another number of trials makes no other study.
        """
        here, there = _flat(self), _flat(stored)
        return [
            f"{key}: here {here[key]!r}, in the store {there[key]!r}"
            for key in here
            if key not in {"name", "n_trials"} and here[key] != there[key]
        ]


def _flat(definition: StudyDefinition) -> dict[str, Any]:
    mapping = dataclasses.asdict(definition)
    training = mapping.pop(_TABLE)
    return mapping | {f"{_TABLE}.{key}": value for key, value in training.items()}


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
            nearest = difflib.get_close_matches(key, known, n=1)
            guess = f"; did you mean {prefix}{nearest[0]}?" if nearest else ""
            raise DefinitionError(f"unknown key {prefix}{key}{guess} (known: {', '.join(known)})")


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
