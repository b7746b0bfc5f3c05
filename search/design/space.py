"""Search spaces as data: Table 2 of the paper and its relatives for other hyperparameters.

Each parameter has a distribution and the name of the field that it sets: of the variant's
hyperparameters, or of the training settings. Parameters with equal names and distributions have
equal draws in every space, so that studies are paired draw by draw.

A study file names one of `SPACES` or has its own table, which `Space.from_mapping` reads::

    [space]
    extends = "table2-wide"
    n_hidden = { int = [64, 512], log = true, step = 8 }
    momentum = 0.99
    dropout_hidden_to_output = { choices = [0.0, 0.2], when = { fast_dropout_final_layer = true } }

A list joins spaces, that of a variant and that of an output with hyperparameters::

    space = { extends = ["table2-wide", "nade"] }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from fdrnn.datasets.errors import UnknownNameError, did_you_mean, shown
from fdrnn.model import OUTPUTS, VARIANTS, FastDropoutHyperparameters, Output, Variant
from fdrnn.search.design.distributions import Choices, Distribution, Value, distribution_of
from fdrnn.search.design.table3 import TABLE_3
from fdrnn.search.errors import DefinitionError

NAME = "name"
EXTENDS = "extends"
_WHEN = "when"


@dataclass(frozen=True)
class Condition:
    """A condition on another parameter under which a parameter is drawn.

    Attributes
    ----------
    parameter
        Name of the other parameter.
    value
        The value it must have.
    """

    parameter: str
    value: Value

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Return whether a configuration's values, by name, fulfil it."""
        return self.parameter in values and values[self.parameter] == self.value


@dataclass(frozen=True)
class Parameter:
    """A parameter of a search.

    Attributes
    ----------
    name
        Field of the hyperparameters or training settings that it sets.
    distribution
        The distribution of its values.
    when
        The condition under which it is drawn; None for always. A configuration lacks it elsewhere.
    """

    name: str
    distribution: Distribution
    when: Condition | None = None

    def to_data(self) -> Any:
        """Return the TOML or JSON form."""
        data = self.distribution.to_data()
        if self.when is None:
            return data
        if isinstance(self.distribution, Choices):
            data = {"choices": list(self.distribution.values)}
        return data | {_WHEN: {self.when.parameter: self.when.value}}


@dataclass(frozen=True)
class Space:
    """The parameters of a search, in the order in which they are drawn.

    Attributes
    ----------
    name
        What reports call it.
    parameters
        Distinct names; a condition names a parameter before it.

    Raises
    ------
    DefinitionError
        If a name is listed twice, or a condition names no parameter before it.
    """

    name: str
    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for parameter in self.parameters:
            if parameter.name in seen:
                raise DefinitionError(f"space.{parameter.name} is defined twice")
            condition = parameter.when
            if condition is not None and condition.parameter not in seen:
                raise DefinitionError(
                    f"space.{parameter.name}: when must name a parameter before it, got "
                    f"{shown(condition.parameter)}{did_you_mean(condition.parameter, seen)}"
                )
            seen.add(parameter.name)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        """Return the parameter of a name; KeyError if there is none."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    @property
    def drawn(self) -> tuple[Parameter, ...]:
        """The parameters that some configuration has: those whose condition can hold."""
        return tuple(
            one
            for one in self.parameters
            if one.when is None or one.when.value in self[one.when.parameter].distribution
        )

    @property
    def fixed(self) -> bool:
        """Whether there is one configuration alone, such as a column of Table 3."""
        return all(one.distribution.fixed for one in self.drawn)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], default_name: str = "") -> Space:
        """Read a space from parsed TOML or JSON.

        Parameters
        ----------
        mapping
            By parameter what `fdrnn.search.design.distributions.distribution_of` reads, with the
            key ``when`` where the parameter has a condition. Two keys are no parameters:
            ``name``, and ``extends``, a name of `SPACES`, a `Space` or a list of these, whose
            parameters are kept unless the mapping has them, too; such a one keeps its place and,
            unless the mapping has another, its condition.
        default_name
            Name where the mapping has none.

        Raises
        ------
        DefinitionError
            If a value breaks a rule of its distribution, or a condition is not one.
        UnknownNameError
            If there is no space to extend.
        """
        values = dict(mapping)
        name = values.pop(NAME, default_name)
        if not isinstance(name, str) or not name:
            raise DefinitionError(f"space.{NAME} must be a text, got {shown(name)}")
        extended = values.pop(EXTENDS, [])
        bases = extended if isinstance(extended, list | tuple) else [extended]
        parameters = {one.name: one for base in bases for one in _named(base).parameters}
        for key, data in values.items():
            try:
                parameters[key] = _parameter(key, data, parameters.get(key))
            except DefinitionError as error:
                raise DefinitionError(f"space.{key}: {error}") from error
        return cls(name, tuple(parameters.values()))

    def to_mapping(self) -> dict[str, Any]:
        """Return the mapping from which `from_mapping` makes an equal space."""
        return {NAME: self.name} | {one.name: one.to_data() for one in self.parameters}


def _named(extended: object) -> Space:
    if isinstance(extended, Space):
        return extended
    if not isinstance(extended, str):
        raise DefinitionError(f"space.{EXTENDS} must be a text, got {shown(extended)}")
    if extended not in SPACES:
        raise UnknownNameError("space", extended, SPACES, f"the value of space.{EXTENDS}")
    return SPACES[extended]


def _parameter(name: str, data: Any, replaced: Parameter | None) -> Parameter:
    if not isinstance(data, Mapping) or _WHEN not in data:
        condition = None if replaced is None else replaced.when
        return Parameter(name, distribution_of(data), condition)
    values = dict(data)
    when = values.pop(_WHEN)
    if not isinstance(when, Mapping) or len(when) != 1:
        raise DefinitionError(f"{_WHEN} must name one parameter and its value, got {shown(when)}")
    ((parameter, value),) = when.items()
    if not isinstance(value, bool | int | float | str | None):
        raise DefinitionError(f"{_WHEN}.{parameter} must be a single value, got {shown(value)}")
    return Parameter(name, distribution_of(values), Condition(parameter, value))


@dataclass(frozen=True)
class Configuration:
    """One draw from a space.

    Attributes
    ----------
    index
        The index k, from 0.
    seed
        The seed of its training run, in [0, 2**31), from the study's seed and k alone.
    hyperparameters
        The drawn values by name; a parameter whose condition does not hold is absent.
    """

    index: int
    seed: int
    hyperparameters: dict[str, Value]


_TABLE_2 = Space.from_mapping(
    {
        NAME: "table2",
        "n_hidden": [200, 400, 600],
        "dropout_input": [0.0, 0.1, 0.2],
        "dropout_hidden_to_hidden": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
        "fast_dropout_final_layer": [True, False],
        "dropout_hidden_to_output": {
            "choices": [0.0, 0.2, 0.5],
            _WHEN: {"fast_dropout_final_layer": True},
        },
        "step_rate": [0.01, 0.005, 0.001, 0.0005, 0.0001, 0.00001],
        "momentum": [0.0, 0.9, 0.95, 0.99, 0.995],
        "decay": [0.8, 0.9],
        "sigma2_rec_out": [0.1, 0.01, 0.001, 0.0001],
        "sigma2_in": [0.1, 0.01, 0.001, 0.0001],
        "spectral_radius": [1.0, 1.05, 1.1, 1.2],
        "max_incoming": [15, 25, 35, 50, None],
    }
)


def _derived(name: str, base: Space, *without: str, **more: Any) -> Space:
    """Return a space that lacks some parameters of another and has more, or others in place."""
    kept = Space(base.name, tuple(one for one in base.parameters if one.name not in without))
    return Space.from_mapping({NAME: name, EXTENDS: kept, **more})


# The authors' library used Table 2's hidden-to-hidden "rate" as the keep rate of the mean, so
# that its effective dropout rates go up to 0.9.
_TABLE_2_WIDE = _derived(
    "table2-wide", _TABLE_2, dropout_hidden_to_hidden=[tenths / 10 for tenths in range(10)]
)

_TABLE_2_FACTORS = _derived(
    "table2-factors", _TABLE_2_WIDE, mean_factor=[tenths / 10 for tenths in range(1, 11)]
)

_DROPOUT = (
    "dropout_input",
    "dropout_hidden_to_hidden",
    "fast_dropout_final_layer",
    "dropout_hidden_to_output",
)
_TABLE_2_PLAIN = _derived("table2-plain", _TABLE_2, *_DROPOUT)


def _plain_with_dropout(name: str, *rates: str) -> Space:
    # Without the condition, which is on a parameter of fast dropout.
    always = {rate: _TABLE_2[rate].distribution.to_data() for rate in rates}
    return _derived(name, _TABLE_2_PLAIN, **always)


# A Gaussian prior of variance s^2 on the weights is weight_decay = 1 / (2 s^2 n) for n predicted
# steps: with the 10^4 or so of JSB Chorales these are s^2 from 0.005 to 5.
_WEIGHT_DECAY = _derived(
    "weight-decay", _TABLE_2_PLAIN, weight_decay=[0.01, 0.001, 0.0001, 0.00001]
)

_NONRECURRENT_DROPOUT = _plain_with_dropout(
    "nonrecurrent-dropout", "dropout_input", "dropout_hidden_to_output"
)

_DROPOUT_EVERYWHERE = _plain_with_dropout(
    "dropout", "dropout_input", "dropout_hidden_to_hidden", "dropout_hidden_to_output"
)

# An LSTM has four recurrent matrices: these sizes have about as many weights as Table 2's. None of
# the four is rescaled or made sparse, so that Table 2's largest variance, 0.1, would begin with
# matrices of a spectral radius of 3 to 5: gradients of 1e24 at the first minibatch of JSB Chorales.
_LSTM_FAST_DROPOUT = _derived(
    "lstm-fast-dropout",
    _TABLE_2,
    "spectral_radius",
    "max_incoming",
    n_hidden=[100, 200, 300],
    sigma2_rec_out=[0.01, 0.001, 0.0001],
)

_LSTM_WIDE = _derived(
    "lstm-wide",
    _LSTM_FAST_DROPOUT,
    n_hidden=[200, 400, 600],
    dropout_hidden_to_hidden=_TABLE_2_WIDE["dropout_hidden_to_hidden"].distribution.to_data(),
)

_LSTM = _derived("lstm", _LSTM_FAST_DROPOUT, *_DROPOUT)

# One layer is the ordinary network, which has spaces of its own.
_DEEP_PLAIN = _derived("deep-plain", _TABLE_2_PLAIN, n_layers=[2, 3])

_DEEP_LP = _derived("deep-lp", _DEEP_PLAIN, n_pooled=[2, 4])

_DEEP_WIDE = _derived(
    "deep-wide",
    _TABLE_2_WIDE,
    n_layers=[2, 3],
    dropout_between_layers=[tenths / 10 for tenths in range(6)],
)

# The paper gives no numbers for weight noise. Draws of variance 0.01 would add matrices of spectral
# radius 1.4 to 2.4 to W_rec: gradients that explode at the first minibatch. 0.000001 is next to no
# noise.
_WEIGHT_NOISE = _derived(
    "weight-noise", _TABLE_2_PLAIN, sigma2_noise=[0.001, 0.0001, 0.00001, 0.000001]
)


# Variances of 0.1 would saturate its units.
_NADE = Space.from_mapping(
    {
        NAME: "nade",
        "n_nade": [50, 100, 150, 200],
        "sigma2_nade": [0.01, 0.001, 0.0001],
        "column_order": "ascending",
    }
)


def _column_of_table_3(data: str, chosen: FastDropoutHyperparameters) -> Space:
    values = {name: getattr(chosen, name) for name in _TABLE_2.names}
    if not chosen.fast_dropout_final_layer:
        # The rate of such a final layer is never drawn.
        del values["dropout_hidden_to_output"]
    return _derived(f"table3-{data}", _TABLE_2, **values)


_TABLE_3 = tuple(_column_of_table_3(data, chosen) for data, chosen in TABLE_3.items())


def _values_of_table_3(name: str) -> list[Value]:
    """Return those of Table 2's values that some column of Table 3 has, in Table 2's order."""
    selected = [getattr(chosen, name) for chosen in TABLE_3.values()]
    return [value for value in _TABLE_2[name].distribution.to_data() if value in selected]


# What the paper's four searches selected, drawn independently: 0.3 % of Table 2's configurations.
_TABLE_3_MIXED = _derived(
    "table3-mixed", _TABLE_2, **{name: _values_of_table_3(name) for name in _TABLE_2.names}
)

SPACES: Mapping[str, Space] = MappingProxyType(
    {
        space.name: space
        for space in (
            _TABLE_2,
            _TABLE_2_WIDE,
            _TABLE_2_PLAIN,
            _TABLE_2_FACTORS,
            _WEIGHT_DECAY,
            _NONRECURRENT_DROPOUT,
            _DROPOUT_EVERYWHERE,
            _LSTM,
            _LSTM_FAST_DROPOUT,
            _LSTM_WIDE,
            _DEEP_PLAIN,
            _DEEP_LP,
            _DEEP_WIDE,
            _WEIGHT_NOISE,
            _NADE,
            *_TABLE_3,
            _TABLE_3_MIXED,
        )
    }
)
"""The spaces that a study can name; of those for one variant or output the usual one comes first.

A name means the same space for ever: studies made before stores held spaces have the name alone.
"""


def with_space(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored definition that has its space instead of the space's name.

    Until schema version 2 a store had the name alone. An unknown name is left as it is.
    """
    named = definition.get("space")
    if not isinstance(named, str) or named not in SPACES:
        return dict(definition)
    return {**definition, "space": SPACES[named].to_mapping()}


def hyperparameter_names(variant: str, output: str) -> set[str]:
    """Return the names of a variant's and an output's hyperparameters, which a space must draw."""
    return _field_names(VARIANTS[variant]) | _field_names(OUTPUTS[output])


def fitting_spaces(variant: str) -> list[str]:
    """Return the names of the spaces for a variant: those with exactly its hyperparameters.

    The first is its usual one, which a comparison takes.
    """
    return _with_exactly(_field_names(VARIANTS[variant]))


def output_spaces(output: str) -> list[str]:
    """Return the names of the spaces with exactly an output's hyperparameters, if it has any."""
    return _with_exactly(_field_names(OUTPUTS[output]))


def _field_names(part: Variant | Output) -> set[str]:
    return {field.name for field in fields(part.hyperparameters)}


def _with_exactly(names: set[str]) -> list[str]:
    return [name for name, space in SPACES.items() if set(space.names) == names]
