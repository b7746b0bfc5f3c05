"""The native operations: a recurrent layer and an output layer over packed rows.

Their C stands in ``native/``; each has an analytic gradient, an operation of its own. They take
rows as `fdrnn.model.packing` lays them out: (n_rows_in_all, features), time-major. All real
arguments share one dtype, float32 or float64. Rates are 0-d inputs, so that a new value
compiles nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fdrnn.model.errors import ToolchainError
from fdrnn.model.toolchain import theano

T = theano.tensor
Variable = Any
Apply = Any
ParamsType = theano.graph.params_type.ParamsType
DisconnectedType = theano.gradient.DisconnectedType

# Licences to vectorise sums and selections; none of them assumes finite values, and none
# changes the floating-point mode of the process, as -ffast-math would.
_COMPILE_ARGS = ["-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"]


class _NativeOp(theano.graph.op.ExternalCOp):  # type: ignore[misc]
    """An operation whose C stands in files of `native/`, linked with the BLAS."""

    # Not empty: Theano takes an operation without properties for one that has no version, and
    # compiles it in every process.
    __props__: tuple[str, ...] = ("func_name",)

    _kernel: str
    _function: str

    def __init__(self) -> None:
        super().__init__(
            ["native/common.c", f"native/{self._kernel}.c"], f"APPLY_SPECIFIC({self._function})"
        )

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


class _RecurrenceBase(_NativeOp):
    """What the layer and its gradient share: the transfer function.

    Parameters
    ----------
    stochastic
        True: means and variances are propagated. False: means only, an ordinary layer.
    input_scale
        s of the transfer function 2 sig(s a) - 1: 2 is tanh.
    """

    __props__ = ("stochastic", "input_scale")
    params_type = ParamsType(stochastic=theano.scalar.bool, input_scale=theano.scalar.float64)

    def __init__(self, stochastic: bool = True, input_scale: float = 2.0) -> None:
        self.stochastic = stochastic
        self.input_scale = input_scale
        super().__init__()


def _as_inputs(
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


def _integer(op: str, name: str, value: object, dtype: str, ndim: int) -> Variable:
    variable = T.as_tensor_variable(value)
    if variable.dtype != dtype or variable.ndim != ndim:
        raise TypeError(
            f"{op}: {name} must be {dtype} with {ndim} axes, "
            f"got {variable.dtype} with {variable.ndim}"
        )
    return variable


def _or_zeros(gradient: Variable, like: Variable) -> Variable:
    if isinstance(gradient.type, DisconnectedType):
        return T.zeros_like(like)
    return gradient


def _disconnected(count: int) -> list[Variable]:
    return [DisconnectedType()() for _ in range(count)]


class RecurrentLayer(_RecurrenceBase):
    """Hidden moments of every packed row.

    Inputs: x (R, D); n_rows int64 (T,); initial mean and variance (S, H); W_in (D, H);
    W_rec (H, H); b (H,); and three 0-d rates: p_keep of the input, p_keep of the hidden state,
    and the factor on the recurrent mean (p_keep again, but for the authors' cell).

    Outputs: mean (R, H), variance (R, H), and for the gradient alone a, v (the pre-synaptic
    moments) and c. Without `stochastic` the variance, v and c have no rows.

    Raises
    ------
    TypeError
        When the graph is built with other dtypes or numbers of axes.
    ValueError
        When it is run with shapes that do not fit.
    """

    _kernel = "recurrence"
    _function = "forward"

    def make_node(
        self,
        x: object,
        n_rows: object,
        mean0: object,
        variance0: object,
        W_in: object,
        W_rec: object,
        b: object,
        p_keep_input: object,
        p_keep_hidden: object,
        mean_factor: object,
    ) -> Apply:
        name = type(self).__name__
        real = _as_inputs(
            name,
            [
                ("x", x, 2),
                ("initial mean", mean0, 2),
                ("initial variance", variance0, 2),
                ("W_in", W_in, 2),
                ("W_rec", W_rec, 2),
                ("b", b, 1),
                ("p_keep_input", p_keep_input, 0),
                ("p_keep_hidden", p_keep_hidden, 0),
                ("mean_factor", mean_factor, 0),
            ],
        )
        rows = _integer(name, "n_rows", n_rows, "int64", 1)
        matrix = T.TensorType(real[0].dtype, (False, False))
        return theano.graph.basic.Apply(
            self, [real[0], rows, *real[1:]], [matrix() for _ in range(5)]
        )

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Gradients flow to the initial state, the weights and the bias only."""
        differentiable = {2, 3, 4, 5, 6}
        return [[i in differentiable] * 5 for i in range(len(node.inputs))]

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        if any(not isinstance(g.type, DisconnectedType) for g in gradients[2:]):
            raise TypeError(
                "RecurrentLayer: a, v and c serve its gradient alone; they have none themselves"
            )
        dmean0, dvariance0, dW_in, dW_rec, db, _, _ = RecurrentLayerGradient(
            self.stochastic, self.input_scale
        )(
            *inputs,
            *outputs,
            _or_zeros(gradients[0], outputs[0]),
            _or_zeros(gradients[1], outputs[1]),
        )
        return [*_disconnected(2), dmean0, dvariance0, dW_in, dW_rec, db, *_disconnected(3)]


class RecurrentLayerGradient(_RecurrenceBase):
    """Gradient of `RecurrentLayer`.

    Inputs: those of the layer, its outputs, and the gradients of its mean and variance. Outputs:
    the gradients of the initial mean and variance, W_in, W_rec and b; and da, dv, those of the
    pre-synaptic moments of every row.
    """

    _kernel = "recurrence_grad"
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        x = arguments[0]
        matrix, vector = (T.TensorType(x.dtype, (False,) * n) for n in (2, 1))
        outputs = [matrix(), matrix(), matrix(), matrix(), vector(), matrix(), matrix()]
        return theano.graph.basic.Apply(self, list(arguments), outputs)


class BernoulliOutput(_NativeOp):
    """Output layer with sigmoid units and its cross entropy.

    Inputs: mean (R, H), variance (R, H) of the hidden layer; W (H, D); b (D,); target (R, D) of
    values in [0, 1]; p_keep of the hidden state, 0-d; fast_dropout, 0-d int8: 0 makes an
    ordinary layer of it that ignores variance and p_keep.

    Outputs: nll (R,), in nats summed over the D columns; and the pre-synaptic moments z_mean
    (R, D) and z_variance (R, D; no rows without fast dropout).

    Raises
    ------
    TypeError, ValueError
        As for `RecurrentLayer`.
    """

    _kernel = "output"
    _function = "forward"

    def make_node(
        self,
        mean: object,
        variance: object,
        W: object,
        b: object,
        target: object,
        p_keep: object,
        fast_dropout: object,
    ) -> Apply:
        name = type(self).__name__
        real = _as_inputs(
            name,
            [
                ("mean", mean, 2),
                ("variance", variance, 2),
                ("W", W, 2),
                ("b", b, 1),
                ("target", target, 2),
                ("p_keep", p_keep, 0),
            ],
        )
        flag = _integer(name, "fast_dropout", fast_dropout, "int8", 0)
        matrix, vector = (T.TensorType(real[0].dtype, (False,) * n) for n in (2, 1))
        return theano.graph.basic.Apply(self, [*real, flag], [vector(), matrix(), matrix()])

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Gradients flow to the hidden moments, the weights and the bias only."""
        return [[i < 4] * 3 for i in range(len(node.inputs))]

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        if any(not isinstance(g.type, DisconnectedType) for g in gradients[1:]):
            raise TypeError("BernoulliOutput: only nll has a gradient, not z_mean or z_variance")
        mean, variance, W, _, target, p_keep, flag = inputs
        _, z_mean, z_variance = outputs
        dmean, dvariance, dW, db = BernoulliOutputGradient()(
            mean, variance, W, target, p_keep, flag, z_mean, z_variance, gradients[0]
        )
        return [dmean, dvariance, dW, db, *_disconnected(3)]


class BernoulliOutputGradient(_NativeOp):
    """Gradient of `BernoulliOutput` with respect to hidden moments, W and b."""

    _kernel = "output_grad"
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        dtype = arguments[0].dtype
        matrix, vector = (T.TensorType(dtype, (False,) * n) for n in (2, 1))
        return theano.graph.basic.Apply(
            self, list(arguments), [matrix(), matrix(), matrix(), vector()]
        )
