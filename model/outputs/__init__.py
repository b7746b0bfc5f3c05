"""The outputs that a study can name, each in the module of its name.

A new output is a module here, a name in the registry below, tests and, where it needs a
kernel, a C file in ``native/`` with its operation in `fdrnn.model.ops`. Every variant works with
every output.
"""

from __future__ import annotations

from importlib import import_module

from fdrnn.datasets import plugins
from fdrnn.datasets.plugins import Registry
from fdrnn.model.errors import OutputMismatchError
from fdrnn.model.outputs.base import Output

_REGISTRY = ("bernoulli", "nade", "gaussian", "softmax_sampled", "softmax_unscented")

DEFAULT_OUTPUT = _REGISTRY[0]
"""The paper's output."""

OUTPUTS: Registry[Output] = Registry(
    plugins.OUTPUTS,
    {name: import_module(f"{__name__}.{name}").OUTPUT for name in _REGISTRY},
    Output,  # type: ignore[type-abstract]
)
"""The outputs by name, in the order of the registry, then those of plug-ins."""


def require_kind(output: str, kind: str, data: str) -> None:
    """Check that an output fits a kind of data.

    Parameters
    ----------
    output
        A name of `OUTPUTS`.
    kind
        One of `fdrnn.datasets.KINDS`.
    data
        Name of the data set, for the message.

    Raises
    ------
    OutputMismatchError
        If the output fits another kind.
    """
    if OUTPUTS[output].kind == kind:
        return
    fitting = " or ".join(repr(name) for name, other in OUTPUTS.own.items() if other.kind == kind)
    raise OutputMismatchError(
        f"output must fit the data: {output!r} predicts {OUTPUTS[output].kind} data, and "
        f"{data!r} is {kind}; output {fitting} fits it"
    )


def require_padding(output: str, padding: str) -> None:
    """Check that an output's loss can follow a padding rule.

    Raises
    ------
    OutputMismatchError
        If prepended frames would count, which the output cannot predict.
    """
    if padding == "counted" and not OUTPUTS[output].counts_padding:
        raise OutputMismatchError(
            f"padding must be 'masked' for output {output!r}, which predicts no prepended frame, "
            f"got {padding!r}"
        )


__all__ = ["DEFAULT_OUTPUT", "OUTPUTS", "Output", "require_kind", "require_padding"]
