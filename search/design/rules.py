"""What hyperparameters and training settings allow of a space's values."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints

from fdrnn.datasets import BINARY
from fdrnn.datasets.errors import shown
from fdrnn.model import OUTPUTS, VARIANTS, TrainingSettings
from fdrnn.search.design.distributions import Choices, FloatRange, IntRange, Value
from fdrnn.search.design.space import (
    Condition,
    Parameter,
    Space,
    fitting_spaces,
    hyperparameter_names,
    output_spaces,
)
from fdrnn.search.errors import DefinitionError

SEARCHABLE = (
    "batch_size",
    "patience",
    "chunk_length",
    "clip_norm",
    "init_scale",
    "output_bias",
    "max_incoming_in_out",
    "step_rate_decay",
    "full_rate_epochs",
    "parameter_average",
)
"""Training settings that a space may draw; the others decide what is compared."""

_TYPE_NAMES = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    type(None): '"none"',
}


def split(
    variant: str, output: str, training: TrainingSettings, drawn: Mapping[str, Value]
) -> tuple[Any, Any, TrainingSettings]:
    """Return what `StudyDefinition.split` does; ValueError if a value is out of its range."""
    rest: dict[str, Any] = dict(drawn)

    def made(kind: type[Any]) -> Any:
        names = [field.name for field in dataclasses.fields(kind) if field.name in rest]
        return kind(**{name: rest.pop(name) for name in names})

    hyperparameters = made(VARIANTS[variant].hyperparameters)
    of_output = made(OUTPUTS[output].hyperparameters)
    return hyperparameters, of_output, dataclasses.replace(training, **rest)


def typed(space: Space, variant: str, output: str) -> Space:
    """Return a space whose integers are floats where the hyperparameter's values are floats.

    A study file may write 1 for 1.0.
    """
    types = _types(variant, output)
    return Space(space.name, tuple(_typed(one, types) for one in space.parameters))


def require_space(space: Space, variant: str, output: str, training: TrainingSettings) -> None:
    """Check that a space draws the hyperparameters of a variant and an output, by their rules.

    Both ends of a range and every choice are checked.

    Parameters
    ----------
    space
        The space.
    variant, output
        Names of `fdrnn.model.VARIANTS` and `fdrnn.model.OUTPUTS`.
    training
        The settings that are the same for every trial.

    Raises
    ------
    DefinitionError
        If it lacks a hyperparameter, draws what is neither one nor in `SEARCHABLE`, or has a
        value that breaks its rule; the line names key, value and rule.
    """
    _require_distinct(variant, output)
    _require_names(space, variant, output)
    types = _types(variant, output)
    for parameter in space.parameters:
        _require_types(parameter, types[parameter.name])
        if parameter.when is not None:
            condition = Parameter(f"{parameter.name}.when", Choices((parameter.when.value,)))
            _require_types(condition, types[parameter.when.parameter])
    needed = {
        field.name: what
        for what, part in (
            (f"variant {variant!r}", VARIANTS[variant]),
            (f"output {output!r}", OUTPUTS[output]),
        )
        for field in dataclasses.fields(part.hyperparameters)
        if field.default is dataclasses.MISSING
    }
    for values in _examples(space):
        for name, what in needed.items():
            if name not in values:
                raise DefinitionError(
                    f"space.{name} must not have a condition: {what} needs it in every "
                    "configuration"
                )
        try:
            split(variant, output, training, values)
        except ValueError as error:
            raise DefinitionError(f"space.{error}") from error


def _require_distinct(variant: str, output: str) -> None:
    """Check that a variant and an output, of which one may be a plug-in's, share no name."""
    of_variant, of_output = (
        {
            "hyperparameter": {field.name for field in dataclasses.fields(part.hyperparameters)},
            "scalar": set(part.scalars),
            "random array": set(part.noise),
        }
        for part in (VARIANTS[variant], OUTPUTS[output])
    )
    for what, names in of_variant.items():
        if shared := names & of_output[what]:
            raise DefinitionError(
                f"output must have no {what} of the name of one of the variant's: {output!r} "
                f"and {variant!r} both have {', '.join(sorted(shared))}; rename it in the plug-in"
            )


def _require_names(space: Space, variant: str, output: str) -> None:
    drawn, needed = set(space.names), hyperparameter_names(variant, output)
    settings = {field.name for field in dataclasses.fields(TrainingSettings)}
    for name in space.names:
        if name in settings - needed and name not in SEARCHABLE:
            raise DefinitionError(
                f"space.{name}: it decides what is compared and cannot be drawn; set it in "
                f"[training] (settings that can be drawn are {', '.join(SEARCHABLE)})"
            )
    unknown, missing = sorted(drawn - needed - set(SEARCHABLE)), sorted(needed - drawn)
    if not unknown and not missing:
        return
    faults = [f"{space.name!r} draws {', '.join(unknown)}"] if unknown else []
    faults += [f"{space.name!r} lacks {', '.join(missing)}"] if missing else []
    nearest = [
        f"did you mean {guess} by {shown(name)}?"
        for name in unknown
        for guess in difflib.get_close_matches(name, needed | set(SEARCHABLE), n=1)
    ]
    fitting = [f"{name!r}" for name in fitting_spaces(variant)]
    of = f"variant {variant!r}"
    if dataclasses.fields(OUTPUTS[output].hyperparameters):
        of += f" and output {output!r}"
        more = output_spaces(output)
        fitting = [f"extends = {[name, *more]}" for name in fitting_spaces(variant) if more]
    # No space of the project fits a plug-in with its own hyperparameters.
    hint = f" ({' or '.join(fitting)} does)" if fitting else ""
    raise DefinitionError(
        f"space must have the hyperparameters of {of}{hint}, got {space.name!r}: "
        f"{'; '.join([*faults, *nearest])}"
    )


def require_effects(space: Space, variant: str, output: str, training: TrainingSettings) -> None:
    """Check that no setting is without effect, or selects by its own effect on the NLL.

    For new studies: a store may have earlier ones that break these rules.

    Parameters
    ----------
    space, variant, output, training
        As of `require_space`, which they fulfil.

    Raises
    ------
    DefinitionError
        If one is drawn, or set although every configuration draws it or the variant does not use
        it.
    """
    # A plug-in's hyperparameter may have a setting's name.
    drawn = set(space.names) - hyperparameter_names(variant, output)
    defaults = TrainingSettings()
    for name in sorted(drawn):
        value = getattr(training, name)
        if space[name].when is None and value != getattr(defaults, name):
            raise DefinitionError(
                f"training.{name} has no effect, got {shown(value)}: the space draws {name} for "
                "every configuration; leave out one of the two"
            )
    if "chunk_length" in drawn and training.padding != "masked":
        raise DefinitionError(
            "space.chunk_length: longer chunks have more padding, which lowers the counted "
            'validation NLL; set training.padding to "masked", or draw no chunk_length'
        )

    def where(name: str) -> str:
        """Return where a setting is drawn, or set to another value than its default."""
        if name in drawn:
            return f"space.{name}"
        changed = getattr(training, name) != getattr(defaults, name)
        return f"training.{name}" if changed else ""

    if (key := where("output_bias")) and OUTPUTS[output].kind != BINARY:
        raise DefinitionError(
            f"{key} has no effect: output {output!r} begins with a bias of 0; leave it out"
        )
    matrices = {"W_in", "W_out"} & VARIANTS[variant].parameter_axes.keys()
    if (key := where("max_incoming_in_out")) and not matrices:
        raise DefinitionError(
            f"{key} has no effect: variant {variant!r} has neither W_in nor W_out, whose "
            "connections it cuts; leave it out"
        )
    if (key := where("full_rate_epochs")) and not where("step_rate_decay"):
        raise DefinitionError(
            f"{key} has no effect on a step rate that does not decay; set "
            "training.step_rate_decay below 1, or draw it"
        )


def _types(variant: str, output: str) -> dict[str, tuple[type, ...]]:
    """Return the types of the hyperparameters and of the settings in `SEARCHABLE`."""
    settings = get_type_hints(TrainingSettings)
    hints = {name: settings[name] for name in SEARCHABLE}
    for part in (VARIANTS[variant], OUTPUTS[output]):
        hints |= get_type_hints(part.hyperparameters)
    return {name: get_args(hint) or (hint,) for name, hint in hints.items()}


def _typed(parameter: Parameter, types: Mapping[str, tuple[type, ...]]) -> Parameter:
    distribution, condition = parameter.distribution, parameter.when
    if float in types.get(parameter.name, ()) and isinstance(distribution, Choices):
        distribution = Choices(tuple(map(_as_float, distribution.values)))
    if condition is not None and float in types.get(condition.parameter, ()):
        condition = Condition(condition.parameter, _as_float(condition.value))
    return Parameter(parameter.name, distribution, condition)


def _as_float(value: Value) -> Value:
    return float(value) if type(value) is int else value


def _require_types(parameter: Parameter, types: tuple[type, ...]) -> None:
    distribution = parameter.distribution
    known = " or ".join(name for kind, name in _TYPE_NAMES.items() if kind in types)
    if not known:
        raise DefinitionError(
            f"space.{parameter.name} must be declared as bool, int, float or str by the plug-in "
            f"to be drawn, got {shown(types)}"
        )
    if isinstance(distribution, Choices):
        for value in distribution.values:
            if type(value) not in types:
                raise DefinitionError(f"space.{parameter.name} must be {known}, got {shown(value)}")
        return
    for kind, needed in ((IntRange, int), (FloatRange, float)):
        if isinstance(distribution, kind) and needed not in types:
            raise DefinitionError(
                f"space.{parameter.name} must be {known}, got a range of {needed.__name__}"
            )


def _examples(space: Space) -> Iterator[dict[str, Value]]:
    """Yield configurations that have each choice and both ends of each range once."""
    for parameter in space.parameters:
        given: dict[str, Value] = {}
        condition = parameter.when
        while condition is not None:
            given.setdefault(condition.parameter, condition.value)
            condition = space[condition.parameter].when
        for value in parameter.distribution.extremes:
            yield _example(space, given | {parameter.name: value})


def _example(space: Space, given: Mapping[str, Value]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for parameter in space.parameters:
        condition = parameter.when
        if condition is None or condition.holds(values):
            value = parameter.distribution.extremes[0]
            values[parameter.name] = given.get(parameter.name, value)
    return values
