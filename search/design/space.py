"""Search spaces as data: Table 2 of the paper and its relatives for other hyperparameters.

Each parameter is uniform over its listed values and has the name of the field of the variant's
hyperparameters that it sets. Parameters with equal names and values have equal draws in every
space, so that studies are paired draw by draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from fdrnn.model import VARIANTS, FastDropoutHyperparameters
from fdrnn.search.design.table3 import TABLE_3

Choice = bool | int | float | None
"""A value of a hyperparameter; None is "no limit" for ``max_incoming``."""


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
    value: Choice


@dataclass(frozen=True)
class Parameter:
    """A hyperparameter and the values it is drawn from.

    Attributes
    ----------
    name
        Field of the hyperparameters that it sets.
    choices
        Its values, equally likely, each listed once.
    only_if
        The condition under which it is drawn; None for always. A configuration lacks it elsewhere.
    """

    name: str
    choices: tuple[Choice, ...]
    only_if: Condition | None = None

    def __post_init__(self) -> None:
        if not self.choices or len(set(self.choices)) != len(self.choices):
            raise ValueError(
                f"{self.name}: choices must be distinct and at least one, got {self.choices}"
            )


@dataclass(frozen=True)
class Space:
    """The parameters of a search, in the order in which they are drawn.

    Attributes
    ----------
    name
        As in a study definition.
    parameters
        Distinct names; a condition names a parameter before it.

    Raises
    ------
    ValueError
        If a name is listed twice, or a condition names no parameter before it.
    """

    name: str
    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for parameter in self.parameters:
            if parameter.name in seen:
                raise ValueError(f"space {self.name}: {parameter.name} is listed twice")
            condition = parameter.only_if
            if condition is not None and condition.parameter not in seen:
                raise ValueError(
                    f"space {self.name}: the condition of {parameter.name} must name a "
                    f"parameter before it, got {condition.parameter!r}"
                )
            seen.add(parameter.name)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)


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
    hyperparameters: dict[str, Choice]


_TABLE_2 = Space(
    "table2",
    (
        Parameter("n_hidden", (200, 400, 600)),
        Parameter("dropout_input", (0.0, 0.1, 0.2)),
        Parameter("dropout_hidden_to_hidden", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
        Parameter("fast_dropout_final_layer", (True, False)),
        Parameter(
            "dropout_hidden_to_output",
            (0.0, 0.2, 0.5),
            only_if=Condition("fast_dropout_final_layer", True),
        ),
        Parameter("step_rate", (0.01, 0.005, 0.001, 0.0005, 0.0001, 0.00001)),
        Parameter("momentum", (0.0, 0.9, 0.95, 0.99, 0.995)),
        Parameter("decay", (0.8, 0.9)),
        Parameter("sigma2_rec_out", (0.1, 0.01, 0.001, 0.0001)),
        Parameter("sigma2_in", (0.1, 0.01, 0.001, 0.0001)),
        Parameter("spectral_radius", (1.0, 1.05, 1.1, 1.2)),
        Parameter("max_incoming", (15, 25, 35, 50, None)),
    ),
)

_DROPOUT = frozenset(
    {
        "dropout_input",
        "dropout_hidden_to_hidden",
        "fast_dropout_final_layer",
        "dropout_hidden_to_output",
    }
)

# The authors' library used Table 2's hidden-to-hidden "rate" as the keep rate of the mean, so
# that its effective dropout rates go up to 0.9.
_TABLE_2_WIDE = Space(
    "table2-wide",
    tuple(
        replace(parameter, choices=tuple(tenths / 10 for tenths in range(10)))
        if parameter.name == "dropout_hidden_to_hidden"
        else parameter
        for parameter in _TABLE_2.parameters
    ),
)

_TABLE_2_PLAIN = Space(
    "table2-plain",
    tuple(parameter for parameter in _TABLE_2.parameters if parameter.name not in _DROPOUT),
)


def _plain_and(name: str, *more: Parameter) -> Space:
    return Space(name, (*_TABLE_2_PLAIN.parameters, *more))


def _always(name: str) -> Parameter:
    """Return a parameter of Table 2 without its condition."""
    (parameter,) = (p for p in _TABLE_2.parameters if p.name == name)
    return replace(parameter, only_if=None)


# A Gaussian prior of variance s^2 on the weights is weight_decay = 1 / (2 s^2 n) for n predicted
# steps: with the 10^4 or so of JSB Chorales these are s^2 from 0.005 to 5.
_WEIGHT_DECAY = _plain_and(
    "weight-decay", Parameter("weight_decay", (0.01, 0.001, 0.0001, 0.00001))
)

_NONRECURRENT_DROPOUT = _plain_and(
    "nonrecurrent-dropout", _always("dropout_input"), _always("dropout_hidden_to_output")
)

_DROPOUT_EVERYWHERE = _plain_and(
    "dropout",
    _always("dropout_input"),
    _always("dropout_hidden_to_hidden"),
    _always("dropout_hidden_to_output"),
)

# An LSTM has four recurrent matrices: these sizes have about as many weights as Table 2's. None of
# the four is rescaled or made sparse, so that Table 2's largest variance, 0.1, would begin with
# matrices of a spectral radius of 3 to 5: gradients of 1e24 at the first minibatch of JSB Chorales.
_SINGLE_MATRIX = frozenset({"spectral_radius", "max_incoming"})
_OF_LSTM = {"n_hidden": (100, 200, 300), "sigma2_rec_out": (0.01, 0.001, 0.0001)}

_LSTM_FAST_DROPOUT = Space(
    "lstm-fast-dropout",
    tuple(
        replace(parameter, choices=_OF_LSTM.get(parameter.name, parameter.choices))
        for parameter in _TABLE_2.parameters
        if parameter.name not in _SINGLE_MATRIX
    ),
)

_LSTM = Space(
    "lstm",
    tuple(
        parameter for parameter in _LSTM_FAST_DROPOUT.parameters if parameter.name not in _DROPOUT
    ),
)

# The paper gives no numbers for weight noise. Draws of variance 0.01 would add matrices of spectral
# radius 1.4 to 2.4 to W_rec: gradients that explode at the first minibatch. 0.000001 is next to no
# noise.
_WEIGHT_NOISE = _plain_and(
    "weight-noise", Parameter("sigma2_noise", (0.001, 0.0001, 0.00001, 0.000001))
)


def _column_of_table_3(data: str, chosen: FastDropoutHyperparameters) -> Space:
    return Space(
        f"table3-{data}",
        tuple(
            # The rate of a final layer without fast dropout is never drawn.
            parameter
            if parameter.only_if is not None and not chosen.fast_dropout_final_layer
            else replace(parameter, choices=(getattr(chosen, parameter.name),))
            for parameter in _TABLE_2.parameters
        ),
    )


_TABLE_3 = tuple(_column_of_table_3(data, chosen) for data, chosen in TABLE_3.items())

SPACES: Mapping[str, Space] = MappingProxyType(
    {
        space.name: space
        for space in (
            _TABLE_2,
            _TABLE_2_WIDE,
            _TABLE_2_PLAIN,
            _WEIGHT_DECAY,
            _NONRECURRENT_DROPOUT,
            _DROPOUT_EVERYWHERE,
            _LSTM,
            _LSTM_FAST_DROPOUT,
            _WEIGHT_NOISE,
            *_TABLE_3,
        )
    }
)
"""The spaces that a study can name; of those for one variant the usual one is first."""


def hyperparameter_names(variant: str) -> set[str]:
    """Return the names of a variant's hyperparameters, which its spaces must draw."""
    return {field.name for field in fields(VARIANTS[variant].hyperparameters)}


def fitting_spaces(variant: str) -> list[str]:
    """Return the names of the spaces for a variant: those with exactly its hyperparameters.

    The first is its usual one, which a comparison takes.
    """
    needed = hyperparameter_names(variant)
    return [name for name, space in SPACES.items() if set(space.names) == needed]
