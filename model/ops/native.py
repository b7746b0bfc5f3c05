"""What every native operation shares: its C files, its flags, the checks of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fdrnn.model.errors import ToolchainError
from fdrnn.model.toolchain import theano

T = theano.tensor
Variable = Any
Apply = Any
DisconnectedType = theano.gradient.DisconnectedType

_FOLDER = Path(__file__).parent.parent / "native"

# Licences to vectorise sums and selections; none of them assumes finite values, and none
# changes the floating-point mode of the process, as -ffast-math would.
_COMPILE_ARGS = ["-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"]


class NativeOp(theano.graph.op.ExternalCOp):  # type: ignore[misc]
    """An operation whose C stands in files of `native/`, linked with the BLAS.

    A subclass names its files in `_sources` (without ``.c``; ``common`` comes first by itself) and
    the C function that computes it in `_function`.
    """

    # Not empty: Theano takes an operation without properties for one that has no version, and
    # compiles it in every process.
    __props__: tuple[str, ...] = ("func_name",)

    _sources: tuple[str, ...]
    _function: str

    def __init__(self) -> None:
        files = [str(_FOLDER / f"{name}.c") for name in ("common", *self._sources)]
        super().__init__(files, f"APPLY_SPECIFIC({self._function})")

    def perform(self, *_: object) -> None:
        raise ToolchainError(f"{type(self).__name__} runs as compiled C only; see its cxx flag")

    def c_compile_args(self, **_: object) -> list[str]:
        flags: list[str] = theano.tensor.blas.ldflags(libs=False, flags=True)
        return _COMPILE_ARGS + flags

    def c_libraries(self, **_: object) -> list[str]:
        libraries: list[str] = theano.tensor.blas.ldflags()
        return libraries

    def c_lib_dirs(self, **_: object) -> list[str]:
        directories: list[str] = theano.tensor.blas.ldflags(libs=False, libs_dir=True)
        return directories


def real_inputs(
    op: str, arguments: Sequence[tuple[str, object, int]], dtype: str | None = None
) -> list[Variable]:
    """Tensor variables of the given number of axes and one common real dtype."""
    variables = []
    for name, value, ndim in arguments:
        variable = T.as_tensor_variable(value)
        dtype = dtype or variable.dtype
        if dtype not in ("float32", "float64"):
            raise TypeError(f"{op}: {name} must be float32 or float64, got {dtype}")
        if variable.dtype != dtype:
            raise TypeError(
                f"{op}: {name} must be {dtype} like the other arguments, got {variable.dtype}"
            )
        if variable.ndim != ndim:
            raise TypeError(f"{op}: {name} must have {ndim} axes, got {variable.ndim}")
        variables.append(variable)
    return variables


def integer_input(op: str, name: str, value: object, dtype: str, ndim: int) -> Variable:
    """Return `value` as a tensor variable of this integer type and number of axes."""
    variable = T.as_tensor_variable(value)
    if variable.dtype != dtype or variable.ndim != ndim:
        raise TypeError(
            f"{op}: {name} must be {dtype} with {ndim} axes, "
            f"got {variable.dtype} with {variable.ndim}"
        )
    return variable


def or_zeros(gradient: Variable, like: Variable) -> Variable:
    """Return `gradient`, or zeros of the shape of `like` where nothing depends on it."""
    if isinstance(gradient.type, DisconnectedType):
        return T.zeros_like(like)
    return gradient


def or_itself(gradient: Variable, empty: Variable) -> Variable:
    """Return `gradient`, or `empty`, an array without rows, where nothing depends on that.

    It is its own gradient. Zeros would be an allocation, which every process compiles anew.
    """
    return empty if isinstance(gradient.type, DisconnectedType) else gradient


def disconnected(count: int) -> list[Variable]:
    """Return the gradients of inputs that have none."""
    return [DisconnectedType()() for _ in range(count)]
