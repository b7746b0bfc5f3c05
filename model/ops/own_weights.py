"""Layers in which every sequence has weights of its own: one draw per sequence.

Rows are time-major with one for each of the B sequences at every step: row t B + k is step t of
sequence k.
"""

from __future__ import annotations

from fdrnn.model.ops.native import (
    Apply,
    NativeOp,
    Variable,
    disconnected,
    integer_input,
    real_inputs,
)
from fdrnn.model.toolchain import theano

T = theano.tensor


class OwnWeightsLayer(NativeOp):
    """Hidden states h_t = tanh(a_t + h_{t-1} W) of sequences with a W each.

    Inputs: a (R, H), the part of the pre-synaptic activations that does not come from the hidden
    state; n_rows int64 (T,), each the number of sequences B; h0 (1, H), with which all begin;
    W (B, H, H). Output: h (R, H).

    Raises
    ------
    TypeError
        When the graph is built with other dtypes or numbers of axes.
    ValueError
        When it is run with shapes that do not fit, or with rows that join or end.
    """

    _sources = (
        "sequences",
        "own_weights",
    )
    _function = "forward"

    def make_node(self, a: object, n_rows: object, h0: object, W: object) -> Apply:
        name = type(self).__name__
        real = real_inputs(name, [("a", a, 2), ("h0", h0, 2), ("W", W, 3)])
        rows = integer_input(name, "n_rows", n_rows, "int64", 1)
        matrix = T.TensorType(real[0].dtype, (False, False))
        return theano.graph.basic.Apply(self, [real[0], rows, *real[1:]], [matrix()])

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Gradients flow to everything but n_rows."""
        return [[True], [False], [True], [True]]

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        da, dh0, dW = OwnWeightsLayerGradient()(*inputs, *outputs, *gradients)
        return [da, *disconnected(1), dh0, dW]


class OwnWeightsLayerGradient(NativeOp):
    """Gradient of `OwnWeightsLayer` with respect to a, h0 and W.

    Inputs: those of the layer, its output, and the gradient of that.
    """

    _sources = (
        "sequences",
        "own_weights_grad",
    )
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        dtype = arguments[0].dtype
        outputs = [T.TensorType(dtype, (False,) * n)() for n in (2, 2, 3)]
        return theano.graph.basic.Apply(self, list(arguments), outputs)


class OwnWeightsProduct(NativeOp):
    """Rows times the matrices of their sequences.

    Inputs: x (R, n); W (B, n, m), R a multiple of B. Output: (R, m).

    Raises
    ------
    TypeError, ValueError
        As for `OwnWeightsLayer`.
    """

    _sources = (
        "sequences",
        "own_weights_product",
    )
    _function = "forward"

    def make_node(self, x: object, W: object) -> Apply:
        real = real_inputs(type(self).__name__, [("x", x, 2), ("W", W, 3)])
        return theano.graph.basic.Apply(self, real, [T.TensorType(real[0].dtype, (False,) * 2)()])

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        products: list[Variable] = OwnWeightsProductGradient()(*inputs, *gradients)
        return products


class OwnWeightsProductGradient(NativeOp):
    """Gradient of `OwnWeightsProduct` with respect to x and W.

    Inputs: those of the product, and the gradient of its output.
    """

    _sources = (
        "sequences",
        "own_weights_product_grad",
    )
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        # A single matrix may stand for all rows; its gradient is as broadcastable as it is.
        outputs = [argument.type() for argument in arguments[:2]]
        return theano.graph.basic.Apply(self, list(arguments), outputs)
