"""Elementary functions of graphs, with the bits of the native operations on every machine.

Theano's own call the C library, whose last bits depend on its version and on the CPU.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fdrnn.model.toolchain import theano

_SOURCE = (Path(__file__).parent.parent / "native" / "elementwise.c").read_text(encoding="utf-8")
SUPPORT_CODE = "\n".join(
    [
        "#ifndef FDRNN_ELEMENTWISE",
        "#define FDRNN_ELEMENTWISE",
        _SOURCE.replace("#section support_code", ""),
        "#endif\n",
    ]
)
"""Their C, for the support code of an operation."""

SUPPORT_VERSION = hashlib.sha256(_SOURCE.encode()).hexdigest()
"""Of `SUPPORT_CODE`; belongs in the version of an operation that has it."""


class _Elementary(theano.scalar.UnaryScalarOp):  # type: ignore[misc]
    """A function of ``native/elementwise.c`` of this name."""

    def __init__(self, name: str, types: Any = theano.scalar.upgrade_to_float) -> None:
        super().__init__(types, name=name)

    def make_new_inplace(self, types: Any) -> _Elementary:
        """Return the operation for outputs in place of an input, for Theano's optimizer."""
        return _Elementary(self.name, types)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.name == self.name

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    def c_support_code(self, **_: object) -> str:
        return SUPPORT_CODE

    def c_code(
        self, node: Any, name: str, inputs: list[str], outputs: list[str], sub: object
    ) -> str:
        return f"{outputs[0]} = fdrnn::{self.name}({inputs[0]});"

    def c_code_cache_version(self) -> tuple[str, ...]:
        return (self.name, SUPPORT_VERSION)

    def L_op(self, inputs: list[Any], outputs: list[Any], gradients: list[Any]) -> list[Any]:
        (x,), (y,), (g,) = inputs, outputs, gradients
        one = theano.scalar.constant(1, dtype=y.dtype)
        derivative: Callable[[], Any] = {
            "exponential": lambda: y,
            "logarithm": lambda: one / x,
            "softplus": lambda: _SIGMOID(x),
            "sigmoid": lambda: y * (one - y),
        }[self.name]
        return [g * derivative()]


def _elementwise(op: _Elementary) -> Any:
    return theano.tensor.elemwise.Elemwise(op, name=op.name)


_SIGMOID = _Elementary("sigmoid")

exponential = _elementwise(_Elementary("exponential"))
logarithm = _elementwise(_Elementary("logarithm"))
softplus = _elementwise(_Elementary("softplus"))
