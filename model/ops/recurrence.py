"""The recurrent layer over packed rows, and its gradient."""

from __future__ import annotations

from fdrnn.model.ops.native import (
    Apply,
    DisconnectedType,
    NativeOp,
    Variable,
    disconnected,
    integer_input,
    or_itself,
    or_zeros,
    real_inputs,
)
from fdrnn.model.toolchain import theano

T = theano.tensor
ParamsType = theano.graph.params_type.ParamsType


CELLS = ("plain", "moments", "dropout_variance", "rectifier", "sampled")
"""What a unit computes, in the order of ``native/transfer.c``; see `RecurrentLayer`."""


class _RecurrenceBase(NativeOp):
    """What the layer and its gradient share: the cell."""

    __props__ = ("cell", "input_scale")
    params_type = ParamsType(cell_index=theano.scalar.int32, input_scale=theano.scalar.float64)

    def __init__(self, cell: str = "moments", input_scale: float = 2.0) -> None:
        self.cell = cell
        self.cell_index = CELLS.index(cell)
        self.input_scale = input_scale
        super().__init__()


class RecurrentLayer(_RecurrenceBase):
    """Hidden moments of every packed row.

    Parameters
    ----------
    cell
        ``"moments"``: means and variances of tanh units. ``"rectifier"``: of rectified linear
        units. ``"dropout_variance"``: means of tanh units, and of variances only those that
        dropout makes at the unit itself, V[a] = p_keep (1 - p_keep) mean^2 W^2. ``"sampled"``:
        tanh of a draw E[a] + noise sqrt(V[a]), with that V[a], since what was drawn has no
        variance. ``"plain"``: means of tanh units without any variance.
    input_scale
        s of the transfer function 2 sig(s a) - 1: 2 is tanh. The rectifier has none.

    Notes
    -----
    Inputs: x (R, D); n_rows int64 (T,); initial mean and variance (S, H); W_in (D, H);
    W_rec (H, H); b (H,); three 0-d rates: p_keep of the input, p_keep of the hidden state,
    and the factor on the recurrent mean (p_keep again, but for the authors' cell); and noise
    (R, H), which the cell ``"sampled"`` needs and others do without.

    Outputs: mean (R, H), variance (R, H), and for the gradient alone a, v (the pre-synaptic
    moments) and c. Cells without a variance of their own (all but ``"moments"`` and
    ``"rectifier"``) do not look at the initial one, and theirs is 0; variance, v and c of
    ``"plain"`` have no rows.

    Raises
    ------
    TypeError
        When the graph is built with other dtypes or numbers of axes.
    ValueError
        When it is run with shapes that do not fit.
    """

    _sources = ("normal", "transfer", "recurrence")
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
        noise: object = None,
    ) -> Apply:
        name = type(self).__name__
        if noise is None:
            if self.cell == "sampled":
                raise TypeError(f"{name}: the cell 'sampled' needs noise")
            noise = mean0  # not looked at
        real = real_inputs(
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
                ("noise", noise, 2),
            ],
        )
        rows = integer_input(name, "n_rows", n_rows, "int64", 1)
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
        dmean0, dvariance0, dW_in, dW_rec, db, *_ = RecurrentLayerGradient(
            self.cell, self.input_scale
        )(
            *inputs,
            *outputs,
            or_zeros(gradients[0], outputs[0]),
            (or_itself if self.cell == "plain" else or_zeros)(gradients[1], outputs[1]),
        )
        return [*disconnected(2), dmean0, dvariance0, dW_in, dW_rec, db, *disconnected(4)]


class RecurrentLayerGradient(_RecurrenceBase):
    """Gradient of `RecurrentLayer`.

    Inputs: those of the layer, its outputs, and the gradients of its mean and variance. Outputs:
    the gradients of the initial mean and variance, W_in, W_rec and b; and da, dv, those of the
    pre-synaptic moments of every row.
    """

    _sources = ("normal", "transfer", "transfer_grad", "recurrence_grad")
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        x = arguments[0]
        matrix, vector = (T.TensorType(x.dtype, (False,) * n) for n in (2, 1))
        outputs = [matrix(), matrix(), matrix(), matrix(), vector(), matrix(), matrix()]
        return theano.graph.basic.Apply(self, list(arguments), outputs)
