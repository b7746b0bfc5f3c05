"""What every native operation shares: its declaration, its C files, its gradient.

An operation is declared by data: names, axes and dtypes of its inputs and outputs, and which of
them have gradients. From these follow the checks of its arguments, in Python and in C, the memory
of its outputs, and the operation that computes its gradient.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from inspect import Parameter, Signature
from typing import Any

from fdrnn.model.errors import ToolchainError
from fdrnn.model.ops import sources
from fdrnn.model.toolchain import theano, thread_flags

T = theano.tensor
Variable = Any
Apply = Any
DisconnectedType = theano.gradient.DisconnectedType

_BASE = ("elementwise", "vectors", "product", "common")
"""C files that every operation includes first."""

_REAL = "real"
_REAL_DTYPES = ("float32", "float64")
_INTEGER_DTYPES = ("int8", "int64")


def _axes(declared: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the dtype of a declared array, and factor and size of its axes.

    ``"int64 T"`` has the axes ``[("", "T")]``, ``"D 4H"`` ``[("", "D"), ("4", "H")]``.
    """
    words = declared.split()
    dtype = words.pop(0) if words and words[0] in _INTEGER_DTYPES else _REAL
    return dtype, re.findall(r"(\d*)(\w*) ", "".join(f"{word} " for word in words))


class NativeOp(theano.graph.op.ExternalCOp):  # type: ignore[misc]
    """An operation whose C is in files of ``native/``.

    A subclass declares it. An array is declared by its axes, for example ``"R H"``, ``"D 4H"`` or
    ``""`` for a number, behind its dtype where it is an integer, ``"int64 T"``; all real arrays of
    an operation have one dtype, float32 or float64. The last of the files defines the C function
    ``int kernel(ARGUMENTS)``, which has the sizes, the `parameters`, the inputs and the outputs as
    arguments of these names, and returns -1 where there is no memory. It is called without
    the global interpreter lock, so it must not use Python.

    Attributes
    ----------
    inputs, outputs
        Axes of the arrays by name.
    sizes
        C expressions of sizes which are not simply the first input's that has them.
    checks
        C expressions that are true, with a Python error set, where arguments do not fit.
    parameters
        Attributes that are arguments of the C function, and their Theano scalar types.
    stand_ins
        Inputs that only an operation that `draws` reads, and which input is passed instead.
    with_respect_to, gradients_of
        Inputs that have gradients, and outputs from which these flow.
    unread
        Outputs that the gradient's C does not read.
    gradient_outputs
        Outputs of the gradient besides those with respect to inputs, which are named ``d_`` and
        the input; gradients of outputs are its inputs ``g_`` and the output.
    sources
        C files without ``.c``, in the order of inclusion, after those of every operation. The
        gradient's last one has the suffix ``_grad``.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    sizes: Mapping[str, str] = {}
    checks: tuple[str, ...] = ()
    parameters: Mapping[str, str] = {}
    stand_ins: Mapping[str, str] = {}
    with_respect_to: tuple[str, ...] = ()
    gradients_of: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    gradient_outputs: Mapping[str, str] = {}
    sources: tuple[str, ...]

    # Not empty: Theano takes an operation without properties for one that has no version, and
    # compiles it in every process.
    __props__: tuple[str, ...] = ("func_name",)

    draws = False
    """Whether the operation reads the inputs that have a stand-in."""

    empty_outputs: tuple[str, ...] = ()
    """Outputs without rows; each serves as its own gradient where nothing depends on it."""

    objects: tuple[str, ...] = ()
    """Object files that the module is linked with, known where the dtype is."""

    def __init__(self) -> None:
        if self.parameters:
            types = {name: getattr(theano.scalar, kind) for name, kind in self.parameters.items()}
            self.params_type = theano.graph.params_type.ParamsType(**types)
        super().__init__([sources.path(name) for name in (*_BASE, *self.sources)],
                         "APPLY_SPECIFIC(run)")  # fmt: skip

    @property
    def name(self) -> str:
        """The operation's name in messages."""
        return type(self).__name__

    # -- graph ---------------------------------------------------------------------------

    def make_node(self, *arguments: object, **named: object) -> Apply:
        # Refuses arguments as a Python function of these parameters does.
        parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in self.inputs]
        values = Signature(parameters).bind_partial(*arguments, **named).arguments
        variables: dict[str, Variable] = {}
        dtype = None
        for name, declared in self.inputs.items():
            value = values.get(name)
            if value is None:
                if self.draws or name not in self.stand_ins:
                    raise TypeError(f"{self.name}: {name} must be given")
                value = values[self.stand_ins[name]]
            variable = T.as_tensor_variable(value)
            kind, axes = _axes(declared)
            if kind == _REAL:
                dtype = dtype or variable.dtype
                if dtype not in _REAL_DTYPES:
                    raise TypeError(f"{self.name}: {name} must be float32 or float64, got {dtype}")
                kind = dtype
            if variable.dtype != kind:
                raise TypeError(f"{self.name}: {name} must be {kind}, got {variable.dtype}")
            if variable.ndim != len(axes):
                raise TypeError(
                    f"{self.name}: {name} must have {len(axes)} axes, got {variable.ndim}"
                )
            variables[name] = variable
        return theano.graph.basic.Apply(
            self, list(variables.values()), self._output_variables(variables, dtype)
        )

    def _output_variables(self, inputs: Mapping[str, Variable], dtype: Any) -> list[Variable]:
        return [
            T.TensorType(dtype, (False,) * len(_axes(declared)[1]))()
            for declared in self.outputs.values()
        ]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[name in self.with_respect_to] * len(self.outputs) for name in self.inputs]

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        arguments = dict(zip((*self.inputs, *self.outputs), (*inputs, *outputs), strict=True))
        for name, gradient in zip(self.outputs, gradients, strict=True):
            missing = isinstance(gradient.type, DisconnectedType)
            if name in self.gradients_of:
                # Zeros would be an allocation, which every process compiles anew.
                zeros = (lambda empty: empty) if name in self.empty_outputs else T.zeros_like
                arguments[f"g_{name}"] = zeros(arguments[name]) if missing else gradient
            elif not missing:
                raise TypeError(
                    f"{self.name}: only {' and '.join(self.gradients_of)} can be differentiated, "
                    f"not {name}"
                )
        operation = Gradient(self)
        node = operation.make_node(*(arguments[name] for name in operation.inputs))
        found = dict(zip(operation.outputs, node.outputs, strict=True))
        return [found.get(f"d_{name}", DisconnectedType()()) for name in self.inputs]

    # -- C -------------------------------------------------------------------------------

    def load_c_code(self, func_files: list[str]) -> None:
        super().load_c_code(func_files)
        section = "support_code_struct"
        arguments, caller = self._arguments_and_caller()
        self.func_codes += [arguments, caller]
        self.code_sections[section] = arguments + self.code_sections[section] + caller

    def _arguments_and_caller(self) -> tuple[str, str]:
        """Return the C that declares the kernel's arguments, and the C that calls it."""
        sizes: dict[str, str] = {}
        arguments: list[tuple[str, str, str]] = []  # type, name and value
        arrays, checks, outputs = [], [], []
        for name, declared in {**self.inputs, **self.outputs}.items():
            kind, axes = _axes(declared)
            kind = kind if kind == _REAL else f"npy_{kind}"
            shape = []
            for axis, (factor, size) in enumerate(axes):
                if size:
                    sizes.setdefault(size, self.sizes.get(size, f"PyArray_DIM({name}_, {axis})"))
                shape.append(" * ".join(filter(None, (factor, size))))
            dimensions = f"{{{', '.join(shape)}}}"
            if name in self.outputs:
                arrays.append(f"PyArrayObject **{name}_")
                outputs += [
                    f"real *{name} = output<real>({name}_, TYPENUM_INPUT_0, {dimensions});",
                    f"if (!{name}) return -1;",
                ]
                arguments.append(("real *", name, name))
                continue
            arrays.append(f"PyArrayObject *{name}_")
            if axes:
                checks.append(f'expect(op, "{name}", {name}_, {dimensions})')
                arguments.append(
                    (f"const {kind} *", name, f"(const {kind} *)PyArray_DATA({name}_)")
                )
            else:
                arguments.append((kind, name, f"scalar<{kind}>({name}_)"))
        if self.parameters:
            arrays.append("PARAMS_TYPE *params")
        arguments += [(f"npy_{kind}", name, f"params->{name}")
                      for name, kind in self.parameters.items()]  # fmt: skip
        arguments += [("npy_intp", name, name) for name in sizes]
        caller = [
            f"#undef ARGUMENTS\nint APPLY_SPECIFIC(run)({', '.join(arrays)}) {{",
            "using namespace fdrnn;",
            f'const char *op = "{self.name}";',
            *(f"const npy_intp {name} = {value};" for name, value in sizes.items()),
            *(f"if ({check}) return -1;" for check in (*checks, *self.checks)),
            *outputs,
            "workspace.restart();",
            "int code;",
            # Meanwhile other threads run, such as the one that renews the trial's lease.
            "Py_BEGIN_ALLOW_THREADS",
            f"code = kernel({', '.join(value for _, _, value in arguments)});",
            "Py_END_ALLOW_THREADS",
            "if (workspace.failed) PyErr_NoMemory();",
            "return workspace.failed ? -1 : code;\n}\n",
        ]
        declared = ", ".join(f"{kind} {name}" for kind, name, _ in arguments)
        return (
            "typedef DTYPE_INPUT_0 real;\nfdrnn::Workspace<real> workspace;\n"
            f"#define ARGUMENTS {declared}\n",
            "\n".join(caller),
        )

    def perform(self, *_: object) -> None:
        raise ToolchainError(f"{self.name} runs as compiled C only; see its cxx flag")

    def make_c_thunk(
        self, node: Apply, storage_map: Any, compute_map: Any, no_recycling: Any
    ) -> Any:
        # Theano's C differs between nodes that read one variable twice, a constant or a broadcast
        # array. Distinct variables in their places make one module of all nodes of an operation.
        old = (*node.inputs, *node.outputs)
        new = [T.TensorType(value.dtype, (False,) * value.ndim)() for value in old]
        n_inputs = len(node.inputs)
        linked = copy.copy(self)
        linked.objects = (str(sources.product_object(old[0].dtype)),)
        distinct = theano.graph.basic.Apply(linked, new[:n_inputs], new[n_inputs:])
        pairs = list(zip(new, old, strict=True))
        return super().make_c_thunk(
            distinct,
            {one: storage_map[other] for one, other in pairs},
            {one: compute_map[other] for one, other in pairs[n_inputs:]},
            [one for one, other in pairs if other in no_recycling],
        )

    def c_compile_args(self, **_: object) -> list[str]:
        return [*thread_flags(), *self.objects]


class Gradient(NativeOp):
    """The gradient of a native operation.

    Parameters
    ----------
    of
        The operation.
    """

    __props__ = ("of",)

    def __init__(self, of: NativeOp) -> None:
        self.of = of
        read = {name: axes for name, axes in of.outputs.items() if name not in of.unread}
        incoming = {f"g_{name}": of.outputs[name] for name in of.gradients_of}
        self.inputs = {**of.inputs, **read, **incoming}
        outgoing = {f"d_{name}": of.inputs[name] for name in of.with_respect_to}
        self.outputs = {**outgoing, **of.gradient_outputs}
        self.sizes, self.checks, self.parameters = of.sizes, of.checks, of.parameters
        self.sources = (*of.sources[:-1], f"{of.sources[-1]}_grad")
        for name in of.parameters:
            setattr(self, name, getattr(of, name))
        super().__init__()

    @property
    def name(self) -> str:
        return f"{self.of.name}'s gradient"

    def _output_variables(self, inputs: Mapping[str, Variable], dtype: Any) -> list[Variable]:
        # A gradient is as broadcastable as what it belongs to.
        own = super()._output_variables(inputs, dtype)
        like = [inputs[name].type() for name in self.of.with_respect_to]
        return like + own[len(like) :]


def named(node: Apply) -> dict[str, Variable]:
    """Return the inputs and outputs of a node by the names that its operation declares."""
    op = node.op
    return dict(zip((*op.inputs, *op.outputs), (*node.inputs, *node.outputs), strict=True))
