"""The recurrent layer with dropout masks on its state, and its gradient."""

from __future__ import annotations

from fdrnn.model.ops.native import (
    Apply,
    DisconnectedType,
    NativeOp,
    Variable,
    disconnected,
    integer_input,
    real_inputs,
)
from fdrnn.model.toolchain import theano

T = theano.tensor


class DropoutRecurrentLayer(NativeOp):
    """State of every packed row, h_r = tanh(x_r W_in + (mask_r * h_before) W_rec + b).

    Notes
    -----
    Inputs: x (R, D); n_rows int64 (T,); the initial state (S, H); W_in (D, H); W_rec (H, H);
    b (H,); and mask (R, H), whatever it is that multiplies the state: each row has its own, also
    where several continue one row.

    Outputs: the state (R, H), and for the gradient alone what was multiplied by W_rec.

    Raises
    ------
    TypeError, ValueError
        As for `RecurrentLayer`.
    """

    _sources = ("normal", "transfer", "dropout")
    _function = "forward"

    def make_node(
        self,
        x: object,
        n_rows: object,
        state0: object,
        W_in: object,
        W_rec: object,
        b: object,
        mask: object,
    ) -> Apply:
        name = type(self).__name__
        real = real_inputs(
            name,
            [
                ("x", x, 2),
                ("initial state", state0, 2),
                ("W_in", W_in, 2),
                ("W_rec", W_rec, 2),
                ("b", b, 1),
                ("mask", mask, 2),
            ],
        )
        rows = integer_input(name, "n_rows", n_rows, "int64", 1)
        matrix = T.TensorType(real[0].dtype, (False, False))
        return theano.graph.basic.Apply(self, [real[0], rows, *real[1:]], [matrix(), matrix()])

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Gradients flow to the initial state, the weights and the bias only."""
        return [[2 <= i <= 5] * 2 for i in range(len(node.inputs))]

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        if not isinstance(gradients[1].type, DisconnectedType):
            raise TypeError("DropoutRecurrentLayer: only the state has a gradient")
        found = DropoutRecurrentLayerGradient()(*inputs, *outputs, gradients[0])
        return [*disconnected(2), *found, *disconnected(1)]


class DropoutRecurrentLayerGradient(NativeOp):
    """Gradient of `DropoutRecurrentLayer` with respect to the initial state, weights and bias."""

    _sources = ("normal", "transfer", "transfer_grad", "dropout_grad")
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        dtype = arguments[0].dtype
        matrix, vector = (T.TensorType(dtype, (False,) * n) for n in (2, 1))
        outputs = [matrix(), matrix(), matrix(), vector()]
        return theano.graph.basic.Apply(self, list(arguments), outputs)
